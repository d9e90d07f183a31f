/**
 * @file Passage sets about people of the Almanac: its own voices, and voices that it does not have (other questions, other
 * values, other forms, other relations). Everything that an experiment knows about the Almanac's language is here.
 */
import {
  allQuestions,
  almanacPassages,
  type ExamQuestion,
  examinationPassage,
  type PassageForm,
  type Person,
  type PersonAttribute,
  passageStyles,
  personAttributes,
  plainForm,
  type SourcePassage,
} from "../tasks/index.ts";
import type { Trap, Traps } from "./arms.ts";
import { otherRelations, type PassageSet, type PassageSplit, trapsOf } from "./passage-sets.ts";

const questionsOf = (person: Person): ExamQuestion[] =>
  (["selection", "report"] as const).flatMap((use) =>
    allQuestions(person, use).map((question) => ({ ...question, use })),
  );

const passageOf = (person: Person, context: string, questions = questionsOf(person)): SourcePassage => ({
  ...{ id: person.name, file: "almanac", title: "", context, questions },
});

const trapsOfAll = (people: readonly Person[]): Traps =>
  new Map(people.map(({ name, facts }) => [name, trapsOf(name, facts)]));

/** A set in a form of the Almanac's grammar. */
function grammarSet(name: string, summary: string, people: readonly Person[], split: PassageSplit, form: PassageForm) {
  const traps = trapsOfAll(people);
  return { name, summary, split, passages: almanacPassages(people, form), traps } satisfies PassageSet;
}

const everySentence: PassageForm = { ...plainForm, nameRate: 1 };

/** The two sets of the headline: the same people and facts, named once and then by pronouns, or named in every sentence. */
export const namingSets = (people: readonly Person[], split: PassageSplit): PassageSet[] => [
  grammarSet("pronoun", "the person is named in the first sentence, then by pronouns", people, split, plainForm),
  grammarSet("named", "the same people and facts, the person named in every sentence", people, split, everySentence),
];

/** Passages built from families of sentences that no training text holds. */
const familySets = (people: readonly Person[], split: PassageSplit): PassageSet[] =>
  ([0, 1] as const).map((nameRate) =>
    grammarSet(
      `held-out-families-${nameRate === 0 ? "pronoun" : "named"}`,
      `sentences of held-out families, ${nameRate === 0 ? "pronouns" : "named in every sentence"}`,
      people,
      split,
      { style: "prose", nameRate, families: "report" },
    ),
  );

/** Passages laid out as no training text is. */
const styleSets = (people: readonly Person[], split: PassageSplit): PassageSet[] =>
  passageStyles.report.map((style) =>
    grammarSet(`style-${style}`, `a ${style}, in sentences of held-out families`, people, split, {
      ...{ style, nameRate: 0, families: "report" },
    }),
  );

/** Questions as no wording of the Almanac is built, by relation; `{n}` is the name. */
const otherFamilies: Readonly<Record<PersonAttribute, readonly string[]>> = {
  birthplace: ["{n}'s life began in which town?", "Name the town that {n} called a native place."],
  birthYear: ["How is the year called that brought {n} to life?", "{n} first saw daylight in what year?"],
  occupation: ["If you had asked {n} about work, what would the answer have been?", "{n} earned money doing what?"],
  employer: ["The wages of {n} came from whom?", "Name the firm that had {n} on its payroll."],
  ship: ["{n} was a member of the crew of which vessel?", "Name the vessel that {n} served."],
  instrument: ["Music was made by {n} on what?", "{n} was heard playing which instrument?"],
};

function foreignQuestions(people: readonly Person[], split: PassageSplit): PassageSet {
  return {
    ...{
      name: "foreign-questions",
      summary: "the pronoun passages, asked in wordings that are not the grammar's at all",
    },
    split,
    passages: people.map((person) =>
      passageOf(person, examinationPassage(person, "report").context, [
        ...questionsOf(person).filter(({ use }) => use === "selection"),
        ...personAttributes.flatMap((attribute) =>
          otherFamilies[attribute].map((wording) => ({
            question: wording.replace("{n}", person.name),
            answer: person.facts[attribute],
            use: "report" as const,
          })),
        ),
      ]),
    ),
    traps: trapsOfAll(people),
  };
}

const cardLines: Readonly<Record<PersonAttribute, string>> = {
  birthplace: "Place of birth",
  birthYear: "Year of birth",
  occupation: "Trade",
  employer: "Employer",
  ship: "Ship",
  instrument: "Instrument",
};

function recordCards(people: readonly Person[], split: PassageSplit): PassageSet {
  return {
    ...{ name: "record-card", summary: "a card with one field a line", split },
    passages: people.map((person) => {
      const lines = personAttributes.map((attribute) => `${cardLines[attribute]}: ${person.facts[attribute]}`);
      return passageOf(person, [`Name: ${person.name}`, ...lines].join("\n"));
    }),
    traps: trapsOfAll(people),
  };
}

const article = (noun: string): string => `${/^[aeiou]/i.test(noun) ? "an" : "a"} ${noun}`;

/** What is told instead of each relation; `{s}` is who it is about, `{p}` whose. */
const renamed: Readonly<Record<PersonAttribute, (value: string) => string>> = {
  birthplace: (value) => `{s} died in ${value}.`,
  birthYear: (value) => `The year of {p} death was ${value}.`,
  occupation: (value) => `{p} father was ${article(value)}.`,
  employer: (value) => `{s} sued ${value}.`,
  ship: (value) => `{s} built the ${value}.`,
  instrument: (value) => `{s} repaired the ${value}.`,
};

const raise = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

function renamedText({ name, pronoun, facts }: Person): string {
  return personAttributes
    .map((attribute, index) => {
      const [subject, whose] = index === 0 ? [name, `${name}'s`] : [pronoun, pronoun === "she" ? "her" : "his"];
      return raise(renamed[attribute](facts[attribute]).replace("{s}", subject).replace("{p}", whose));
    })
    .join(" ");
}

/** Other relations with values of the same types; the traps ask about the Almanac's own relations, which nothing tells. */
function renamedRelations(people: readonly Person[], split: PassageSplit): PassageSet {
  const trapOf = (person: Person): Trap[] => {
    const own = allQuestions(person, "report");
    return personAttributes.map((attribute) => {
      const { question } = own.find(({ answer }) => answer === person.facts[attribute])!;
      return { question, wrong: person.facts[attribute] };
    });
  };
  return {
    ...{ name: "renamed-relations", summary: "other relations (death, the father's trade, a lawsuit)", split },
    passages: people.map((person) =>
      passageOf(
        person,
        renamedText(person),
        personAttributes.map((attribute) => ({
          question: otherRelations[attribute].replace("{n}", person.name),
          answer: person.facts[attribute],
          use: "report",
        })),
      ),
    ),
    traps: new Map(people.map((person) => [person.name, trapOf(person)])),
  };
}

/** Everybody that the sets of a split are about. */
export interface SetPeople {
  /** Values that training text may show. */
  readonly seen: readonly Person[];
  /** Last names and values that no training text holds. */
  readonly unseen: readonly Person[];
}

/** All voices: the grammar's own and held-out ones, values that training never shows, and forms that are not the grammar's. */
export const almanacSets = ({ seen, unseen }: SetPeople, split: PassageSplit): PassageSet[] => [
  ...namingSets(seen, split),
  ...familySets(seen, split),
  ...namingSets(unseen, split).map((set) => ({
    ...set,
    name: `unseen-values-${set.name}`,
    summary: `last names and values that no training text holds; ${set.summary}`,
  })),
  ...styleSets(seen, split),
  foreignQuestions(seen, split),
  recordCards(seen, split),
  renamedRelations(seen, split),
];
