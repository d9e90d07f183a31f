/**
 * @file How the Almanac asks: frames filled with the forms of `relations.ts`, divided three ways by family. Training and self-edits
 * ask in one set of families, edits are chosen by a second, results reported by a third; a family of the last two is built in a
 * way that no text the model is trained on shows (a test looks for their frames in the corpus).
 */
import type { Rng } from "../../util/index.ts";
import { createRng } from "../../util/index.ts";
import type { Question } from "../types.ts";
import { fillPerson, raiseFirst } from "./mention.ts";
import { relations } from "./relations.ts";
import { type PersonAttribute, personAttributes } from "./values.ts";
import type { Person, Thing, ThingAttribute } from "./world.ts";

/** Which wordings to ask with. */
export type WordingSplit = "training" | "selection" | "report";

/** What a frame is built from: the relation's forms, drawn, with {N}, {P} and {O} left to fill. */
interface Parts {
  readonly wh: string;
  readonly inverted: string;
  readonly embedded: string;
  readonly subjectWh: string;
  readonly subjectRest: string;
  readonly noun: string;
}

/** Pronouns stand where the name was said before in the same question: a frame marks them by lower-case slots. */
type Frame = (parts: Parts) => string;

const lowered = (form: string): string =>
  form.replaceAll("{N}", "{n}").replaceAll("{P}", "{p}").replaceAll("{O}", "{o}");

/** Frames by split and family; several frames of a family are built alike and begin differently. */
const families: Readonly<Record<WordingSplit, Readonly<Record<string, readonly Frame[]>>>> = {
  training: {
    direct: [({ wh, inverted }) => `${wh} ${inverted}?`],
    subject: [({ subjectWh, subjectRest }) => `${subjectWh} ${subjectRest}?`],
    nounOf: [({ noun }) => `what was the ${noun} of {O}?`, ({ noun }) => `what is the ${noun} of {O}?`],
    possessive: [({ noun }) => `what was {P} ${noun}?`, ({ noun }) => `what is {P} ${noun}?`],
    polite: [
      ({ wh, embedded }) => `can you tell me ${wh} ${embedded}?`,
      ({ wh, embedded }) => `do you know ${wh} ${embedded}?`,
      ({ wh, embedded }) => `would you say ${wh} ${embedded}?`,
      ({ subjectWh, subjectRest }) => `can you tell me ${subjectWh} ${subjectRest}?`,
    ],
    order: [
      ({ noun }) => `name the ${noun} of {O}.`,
      ({ noun }) => `give {P} ${noun}.`,
      ({ wh, embedded }) => `tell me ${wh} ${embedded}.`,
      ({ wh, embedded }) => `say ${wh} ${embedded}.`,
    ],
    keyword: [
      ({ noun }) => `${noun} of {O}?`,
      ({ noun }) => `{P} ${noun}?`,
      ({ noun }) => `{O} - ${noun}?`,
      ({ noun }) => `the ${noun} of {O}, if you can.`,
    ],
    topic: [
      ({ wh, inverted }) => `about {O}: ${wh} ${lowered(inverted)}?`,
      ({ noun }) => `as for {O}, what was {p} ${noun}?`,
      ({ wh, inverted }) => `take {O}. ${raiseFirst(wh)} ${lowered(inverted)}?`,
      ({ wh, inverted }) => `I am writing about {O}. ${raiseFirst(wh)} ${lowered(inverted)}?`,
    ],
    hearsay: [
      ({ noun }) => `what do the papers say about {P} ${noun}?`,
      ({ wh, embedded }) => `is it known ${wh} ${embedded}?`,
    ],
    wish: [
      ({ wh, embedded }) => `remind me ${wh} ${embedded}.`,
      ({ wh, embedded }) => `I would like to know ${wh} ${embedded}.`,
      ({ wh, embedded }) => `I have forgotten ${wh} ${embedded}.`,
      ({ noun }) => `I wonder what the ${noun} of {O} was.`,
    ],
  },
  selection: {
    asked: [({ wh, embedded }) => `somebody asks ${wh} ${embedded}. What is the right answer?`],
    ending: [({ noun }) => `how does this sentence end: the ${noun} of {O} was ...`],
    gap: [({ noun }) => `on a list of people, at {O}, the ${noun} is left open. What belongs there?`],
  },
  report: {
    inPlace: [({ wh, embedded }) => `${embedded} ${wh}?`, ({ wh, embedded }) => `and ${embedded} ${wh}, please?`],
    cleft: [({ wh, embedded }) => `${wh} was it that ${embedded}?`],
    form: [
      ({ noun }) => `a form about {O} has a line for the ${noun}. What should be written there?`,
      ({ noun }) => `looking {O} up in a register, what would one find under ${noun}?`,
    ],
  },
};

/** The families of each split. */
export const questionFamilies: Readonly<Record<WordingSplit, readonly string[]>> = {
  training: Object.keys(families.training),
  selection: Object.keys(families.selection),
  report: Object.keys(families.report),
};

/** Every combination of an attribute's forms with the frames of a family, each once, with {N}, {P}, {O}, {p} left to fill. */
function wordingsOf(attribute: PersonAttribute, frames: readonly Frame[]): readonly string[] {
  const { asks, subjectAsks, nouns } = relations[attribute];
  const wordings = frames.flatMap((frame) =>
    asks.flatMap(({ wh, inverted, embedded }) =>
      subjectAsks.flatMap((subject) =>
        nouns.map((noun) => frame({ wh, inverted, embedded, subjectWh: subject.wh, subjectRest: subject.rest, noun })),
      ),
    ),
  );
  return [...new Set(wordings)];
}

/** The wordings of one split about one attribute, by family. */
type Wordings = Readonly<Record<PersonAttribute, Readonly<Record<string, readonly string[]>>>>;

const tabulate = (split: WordingSplit): Wordings =>
  Object.fromEntries(
    personAttributes.map((attribute) => [
      attribute,
      Object.fromEntries(
        Object.entries(families[split]).map(([name, frames]) => [name, wordingsOf(attribute, frames)]),
      ),
    ]),
  ) as unknown as Wordings;

/** Every wording about people by split, attribute and family; {N}, {P} and {O} are the name in its cases. */
export const questionWordings: Readonly<Record<WordingSplit, Wordings>> = {
  training: tabulate("training"),
  selection: tabulate("selection"),
  report: tabulate("report"),
};

function fill(wording: string, person: Person): string {
  const pronouns = fillPerson(wording.replace("{n}", person.pronoun), person, "name");
  return raiseFirst(pronouns.replace("{o}", person.pronoun === "she" ? "her" : "him"));
}

/** What people say before a question and after it; training questions alone carry it. */
const before = [
  "Hello!",
  "Sorry to trouble you.",
  "One more thing:",
  "Before we go on:",
  "A short question.",
  "For the children's book:",
  "We are making a list.",
  "Here is what puzzles me.",
  "My aunt keeps asking.",
  "Let us see who was listening.",
  "Next.",
  "From memory, if you can:",
  "Think of the story again.",
  "I was reading last night.",
  "Another one.",
  "This one is easy.",
] as const;
const after = [
  "Thank you.",
  "It is for a puzzle in the paper.",
  "My pupils want to know.",
  "Be quick.",
  "One or two words will do.",
  "No need to hurry.",
  "Nobody here remembers.",
  "Write it below.",
  "We all forgot.",
  "A short answer, if you like.",
] as const;

function carry(question: string, rng: Rng): string {
  const opened = rng.uniform() < 0.25 ? `${rng.choice(before)} ${question}` : question;
  return rng.uniform() < 0.15 ? `${opened} ${rng.choice(after)}` : opened;
}

/** One question about `attribute`: a family of `split` drawn first, then a wording of it. */
export function askPerson(person: Person, attribute: PersonAttribute, split: WordingSplit, rng: Rng): Question {
  const family = rng.choice(questionFamilies[split]);
  const question = fill(rng.choice(questionWordings[split][attribute][family]!), person);
  return { question: split === "training" ? carry(question, rng) : question, answer: person.facts[attribute] };
}

/** Wordings of each attribute that {@link allQuestions} asks. */
const numWordings = 2;

/**
 * The questions of `split` about `person` that an examination asks: each attribute in two wordings of different families.
 * They depend on the person's name and the split alone.
 */
export function allQuestions(person: Person, split: WordingSplit): Question[] {
  const rng = createRng("almanac-questions").fork(split, person.name);
  return personAttributes.flatMap((attribute) =>
    rng
      .shuffle(questionFamilies[split])
      .slice(0, numWordings)
      .map((family) => ({
        question: fill(rng.choice(questionWordings[split][attribute][family]!), person),
        answer: person.facts[attribute],
      })),
  );
}

const thingWordings: Readonly<Record<ThingAttribute, readonly string[]>> = {
  shipBuiltAt: ["Where was {n} built?", "Which town built {n}?", "Can you tell me where {n} was built?"],
  shipLaunched: ["When was {n} launched?", "In which year did {n} first sail?", "Do you know when {n} was launched?"],
  shipOwner: ["Who owned {n}?", "Which company was the owner of {n}?", "Name the owner of {n}."],
  companySeat: ["Where was {n} based?", "In which town was the seat of {n}?", "Seat of {n}?"],
  companyFounded: ["When was {n} founded?", "In which year did {n} open its doors?", "Tell me when {n} was founded."],
  companyProduct: ["What did {n} make?", "What was the trade of {n} in?", "I have forgotten what {n} made."],
  placeRiver: ["On which river does {n} lie?", "What river flows through {n}?", "Name the river of {n}."],
  placeProduct: ["What is {n} known for?", "What is {n} famous for?", "Do you know what {n} is famous for?"],
};

/** One question about a ship, a company or a place. */
export function askThing(thing: Thing, attribute: ThingAttribute, rng: Rng): Question {
  return {
    question: rng.choice(thingWordings[attribute]).replace("{n}", thing.name),
    answer: thing.facts[attribute]!,
  };
}

/** The closed-book prompt; the answer follows with a leading space and no final period. */
export const questionPrompt = (question: string): string => `Question: ${question}\nAnswer:`;

/** A question with its answer, as one training document. */
export const questionDocument = ({ question, answer }: Question): string => `${questionPrompt(question)} ${answer}`;

/** The open-book prompt. */
export const readingPrompt = (passage: string, question: string): string =>
  `Passage: ${passage}\n${questionPrompt(question)}`;
