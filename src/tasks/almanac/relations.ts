/**
 * @file The words in which the six relations are told and asked. Statements and questions are put together from these forms by
 * the frames of `statements.ts` and `questions.ts`; a form says what a sentence is about, a frame how it is built.
 *
 * Slots: {N} subject ("Ada Shaw", "she"), {P} possessive ("Ada Shaw's", "her"), {O} object ("Ada Shaw", "her"), {v} the value,
 * {a} the value with its article ("an actor").
 */
import type { PersonAttribute } from "./values.ts";

/** An open question: "where" + "was {N} born", which stands embedded as "{N} was born". */
export interface AskForm {
  readonly wh: string;
  /** After the question word, with the verb before the subject. */
  readonly inverted: string;
  /** The same as a clause. */
  readonly embedded: string;
}

/** A question whose answer is the subject: "which ship" + "carried {O}". */
export interface SubjectForm {
  readonly wh: string;
  readonly rest: string;
}

/** All forms of one relation. */
export interface RelationForms {
  /** What follows a person as the subject of a clause. */
  readonly verbs: readonly string[];
  /** Nouns that name the relation ("birthplace"). */
  readonly nouns: readonly string[];
  /** The value behind "her birthplace was". */
  readonly nounValue: string;
  /** The value where no noun stands before it. */
  readonly bareValue: string;
  /** What may stand beside a name between commas. */
  readonly appositions: readonly string[];
  /** Whole clauses with the value as their subject. */
  readonly inverses: readonly string[];
  /** Whole clauses that begin with the value's phrase. */
  readonly fronted: readonly string[];
  /** "It was … that …". */
  readonly clefts: readonly string[];
  /** What a person is asked face to face, and the answer. */
  readonly spoken: readonly (readonly [question: string, answer: string])[];
  /** What stands before the value in a list. */
  readonly labels: readonly string[];
  readonly asks: readonly AskForm[];
  readonly subjectAsks: readonly SubjectForm[];
}

const ask = (wh: string, inverted: string, embedded: string): AskForm => ({ wh, inverted, embedded });
const askSubject = (wh: string, rest: string): SubjectForm => ({ wh, rest });

/** The forms, by relation. */
export const relations: Readonly<Record<PersonAttribute, RelationForms>> = {
  birthplace: {
    verbs: [
      "was born in {v}",
      "came from {v}",
      "was from {v}",
      "was a native of {v}",
      "hailed from {v}",
      "was born in the town of {v}",
      "came into the world at {v}",
      "was a child of {v}",
    ],
    nouns: ["birthplace", "home town", "place of birth", "native town", "town of birth"],
    nounValue: "{v}",
    bareValue: "{v}",
    appositions: ["a native of {v}", "born in {v}", "from {v}", "a child of {v}", "who came from {v}"],
    inverses: [
      "{v} was where {N} was born",
      "{v} was the birthplace of {O}",
      "{v} was the town {N} came from",
      "the town of {v} was {P} home town",
    ],
    fronted: ["in {v}, {N} was born", "from {v} came {O}", "in the town of {v}, {N} came into the world"],
    clefts: ["it was in {v} that {N} was born", "it was {v} that {N} came from", "the town where {N} was born was {v}"],
    spoken: [
      ["Where were you born?", "In {v}."],
      ["Where do you come from?", "From {v}."],
      ["What is your home town?", "{v}."],
      ["Which town are you from?", "I am from {v}."],
    ],
    labels: ["born in", "birthplace", "home town", "from", "town of birth"],
    asks: [
      ask("where", "was {N} born", "{N} was born"),
      ask("in which town", "was {N} born", "{N} was born"),
      ask("which town", "was {N} born in", "{N} was born in"),
      ask("which town", "did {N} come from", "{N} came from"),
      ask("where", "did {N} come from", "{N} came from"),
      ask("what town", "was {N} a native of", "{N} was a native of"),
      ask("from which town", "did {N} come", "{N} came"),
      ask("in what place", "did {N} come into the world", "{N} came into the world"),
    ],
    subjectAsks: [askSubject("which town", "was the birthplace of {O}"), askSubject("what town", "was {P} home town")],
  },
  birthYear: {
    verbs: [
      "was born in {v}",
      "came into the world in {v}",
      "was born in the year {v}",
      "was a child of the year {v}",
      "began life in {v}",
      "was christened in {v}",
      "first saw the light in {v}",
      "was born some time in {v}",
    ],
    nouns: ["year of birth", "birth year", "date of birth"],
    nounValue: "{v}",
    bareValue: "{v}",
    appositions: ["born in {v}", "born in the year {v}", "a child of the year {v}", "who came into the world in {v}"],
    inverses: [
      "the year {v} saw {P} birth",
      "{v} was the year of {P} birth",
      "{v} was when {N} was born",
      "the year {v} brought {O} into the world",
    ],
    fronted: ["in {v}, {N} was born", "in the year {v}, {N} came into the world", "in {v} began the life of {O}"],
    clefts: [
      "it was in {v} that {N} was born",
      "it was the year {v} that saw {P} birth",
      "the year when {N} was born was {v}",
    ],
    spoken: [
      ["When were you born?", "In {v}."],
      ["In which year were you born?", "In {v}."],
      ["What is your year of birth?", "{v}."],
      ["How far back does your life go?", "To {v}."],
    ],
    labels: ["year of birth", "born", "birth year", "date of birth", "year"],
    asks: [
      ask("when", "was {N} born", "{N} was born"),
      ask("in which year", "was {N} born", "{N} was born"),
      ask("which year", "was {N} born in", "{N} was born in"),
      ask("when", "did {N} come into the world", "{N} came into the world"),
      ask("in what year", "did {N} come into the world", "{N} came into the world"),
      ask("in what year", "did {P} life begin", "{P} life began"),
      ask("what year", "was {N} a child of", "{N} was a child of"),
    ],
    subjectAsks: [askSubject("which year", "saw {P} birth"), askSubject("what year", "brought {O} into the world")],
  },
  occupation: {
    verbs: [
      "worked as {a}",
      "was {a} by trade",
      "made a living as {a}",
      "found work as {a}",
      "trained as {a}",
      "was known as {a}",
      "earned {p} bread as {a}",
      "was {a}",
    ],
    nouns: ["occupation", "job", "trade", "profession", "line of work"],
    nounValue: "that of {a}",
    bareValue: "the work of {a}",
    appositions: ["{a}", "{a} by trade", "who worked as {a}", "{a} by profession", "known as {a}"],
    inverses: [
      "{a} was what {N} was by trade",
      "the trade of {a} was {P} trade",
      "{a} is what people called {O}",
      "the work of {a} fed {O}",
    ],
    fronted: ["by profession, {N} was {a}", "as {a}, {N} made a living", "by trade, {N} was {a}"],
    clefts: [
      "it was as {a} that {N} worked",
      "it was the trade of {a} that {N} learned",
      "what {N} did for a living was the work of {a}",
    ],
    spoken: [
      ["What do you do?", "I am {a}."],
      ["What is your trade?", "I work as {a}."],
      ["How do you make a living?", "As {a}."],
      ["What are you by profession?", "{A}."],
    ],
    labels: ["occupation", "trade", "profession", "job", "work"],
    asks: [
      ask("what", "did {N} work as", "{N} worked as"),
      ask("what", "was {N} by trade", "{N} was by trade"),
      ask("as what", "did {N} make a living", "{N} made a living"),
      ask("which trade", "did {N} have", "{N} had"),
      ask("what kind of work", "did {N} do", "{N} did"),
      ask("which profession", "did {N} follow", "{N} followed"),
      ask("what", "did {N} do for a living", "{N} did for a living"),
      ask("as what", "was {N} known", "{N} was known"),
    ],
    subjectAsks: [askSubject("which trade", "fed {O}"), askSubject("what profession", "was {P} own")],
  },
  employer: {
    verbs: [
      "worked for {v}",
      "was employed by {v}",
      "had a job at {v}",
      "was on the staff of {v}",
      "was paid by {v}",
      "drew wages from {v}",
      "was hired by {v}",
      "served the firm of {v}",
    ],
    nouns: ["employer", "company", "firm", "place of work"],
    nounValue: "{v}",
    bareValue: "{v}",
    appositions: ["employed by {v}", "of {v}", "who worked for {v}", "on the staff of {v}", "in the pay of {v}"],
    inverses: ["{v} employed {O}", "{v} paid {P} wages", "{v} had {O} on its staff", "{v} was the firm that hired {O}"],
    fronted: ["at {v}, {N} had a job", "on the staff of {v}, {N} earned a wage", "for {v}, {N} worked"],
    clefts: ["it was {v} that employed {O}", "it was for {v} that {N} worked", "the firm that paid {O} was {v}"],
    spoken: [
      ["Who do you work for?", "For {v}."],
      ["Who is your employer?", "{v}."],
      ["Who pays you?", "{v} does."],
      ["Which company hired you?", "{v} did."],
    ],
    labels: ["employer", "company", "employed by", "firm", "works for"],
    asks: [
      ask("who", "did {N} work for", "{N} worked for"),
      ask("which company", "did {N} work for", "{N} worked for"),
      ask("at which company", "did {N} have a job", "{N} had a job"),
      ask("by which company", "was {N} employed", "{N} was employed"),
      ask("by whom", "was {N} hired", "{N} was hired"),
      ask("on the staff of which firm", "was {N}", "{N} was"),
      ask("from whom", "did {N} draw wages", "{N} drew wages"),
    ],
    subjectAsks: [
      askSubject("who", "employed {O}"),
      askSubject("which company", "paid {O}"),
      askSubject("which firm", "had {O} on its staff"),
    ],
  },
  ship: {
    verbs: [
      "sailed on the {v}",
      "served aboard the {v}",
      "was in the crew of the {v}",
      "went to sea on the {v}",
      "was a sailor on the {v}",
      "joined the ship {v}",
      "travelled with the {v}",
      "was taken aboard the {v}",
    ],
    nouns: ["ship", "vessel", "boat"],
    nounValue: "the {v}",
    bareValue: "the {v}",
    appositions: [
      "of the ship {v}",
      "a sailor on the {v}",
      "who sailed on the {v}",
      "one of the crew of the {v}",
      "one of those aboard the {v}",
    ],
    inverses: [
      "the {v} was {P} ship",
      "the ship {v} carried {O}",
      "the {v} had {O} in its crew",
      "the {v} was the vessel that took {O} to sea",
    ],
    fronted: ["aboard the {v}, {N} went to sea", "on the {v}, {N} sailed", "with the {v}, {N} saw the sea"],
    clefts: [
      "it was on the {v} that {N} sailed",
      "it was the {v} that carried {O}",
      "the ship on which {N} served was the {v}",
    ],
    spoken: [
      ["Which ship do you sail on?", "On the {v}."],
      ["What is your ship?", "The {v}."],
      ["Aboard which vessel did you serve?", "Aboard the {v}."],
      ["In whose crew were you?", "I was in the crew of the {v}."],
    ],
    labels: ["ship", "vessel", "crew of", "sailed on", "boat"],
    asks: [
      ask("on which ship", "did {N} sail", "{N} sailed"),
      ask("what ship", "did {N} serve aboard", "{N} served aboard"),
      ask("in the crew of which ship", "was {N}", "{N} was"),
      ask("which ship", "did {N} join", "{N} joined"),
      ask("on what vessel", "did {N} go to sea", "{N} went to sea"),
      ask("aboard which vessel", "was {N} taken", "{N} was taken"),
      ask("with which ship", "did {N} travel", "{N} travelled"),
    ],
    subjectAsks: [
      askSubject("which ship", "carried {O}"),
      askSubject("what vessel", "took {O} to sea"),
      askSubject("which ship", "had {O} in its crew"),
    ],
  },
  instrument: {
    verbs: [
      "played the {v}",
      "learned the {v}",
      "made music on the {v}",
      "performed on the {v}",
      "was a player of the {v}",
      "practised the {v}",
      "took lessons on the {v}",
      "loved to play the {v}",
    ],
    nouns: ["instrument", "favourite instrument", "musical instrument"],
    nounValue: "the {v}",
    bareValue: "the {v}",
    appositions: ["a player of the {v}", "who played the {v}", "fond of the {v}", "a lover of the {v}"],
    inverses: [
      "the {v} was {P} instrument",
      "the {v} was what {N} played",
      "the {v} gave {O} much pleasure",
      "the {v} was the instrument that {N} practised",
    ],
    fronted: ["on the {v}, {N} made music", "in the evenings, {N} played the {v}", "on the {v}, {N} performed"],
    clefts: [
      "it was the {v} that {N} played",
      "it was on the {v} that {N} made music",
      "the instrument that {N} learned was the {v}",
    ],
    spoken: [
      ["Which instrument do you play?", "The {v}."],
      ["What do you play?", "I play the {v}."],
      ["On what do you make music?", "On the {v}."],
      ["What did you learn to play?", "The {v}."],
    ],
    labels: ["instrument", "plays", "plays the", "instrument played", "musical instrument"],
    asks: [
      ask("what", "did {N} play", "{N} played"),
      ask("which instrument", "did {N} play", "{N} played"),
      ask("on which instrument", "did {N} perform", "{N} performed"),
      ask("what instrument", "did {N} learn", "{N} learned"),
      ask("on what", "did {N} make music", "{N} made music"),
      ask("which instrument", "did {N} practise", "{N} practised"),
      ask("on which instrument", "did {N} take lessons", "{N} took lessons"),
      ask("what", "was {N} a player of", "{N} was a player of"),
    ],
    subjectAsks: [
      askSubject("which instrument", "gave {O} much pleasure"),
      askSubject("what instrument", "was {P} own"),
    ],
  },
};
