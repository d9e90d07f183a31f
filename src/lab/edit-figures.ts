/**
 * @file What is in an edit, from its text alone: how many of the exam's answers it states, how many in one statement with
 * the name of whom it is about, and how much of it is wrong. SEAL's released edits, with their exams, say that
 * reinforcement mostly raises the first (from 0.51 to 0.68 in two rounds); a pronoun hides the second.
 */
import { fullStops, type KnowledgeCandidate, type KnowledgeTask, parseQuestions } from "../adapt/index.ts";
import {
  createWorld,
  normaliseAnswer,
  type Person,
  personAttributes,
  personValues,
  unseenValues,
} from "../tasks/index.ts";
import { answerCoverage } from "./coverage.ts";

/** Figures of one edit, the passage that is learned beside it left out. */
export interface EditFigures {
  readonly kind: string;
  /** Share of the report questions' answers that the edit contains, word for word but for case and punctuation. */
  readonly coverage: number;
  /** The same within one sentence or question that names the person; `null` where nobody is known by name. */
  readonly namedCoverage: number | null;
  /** Different values that are somebody else's; `null` where the truth is not known. */
  readonly wrongFacts: number | null;
  readonly words: number;
  readonly numDocuments: number;
}

/** The Almanac's people of whatever split by name. */
export function almanacPeople(): ReadonlyMap<string, Person> {
  const { test, validation, testUnseen, validationUnseen, questioned, toldOnly } = createWorld();
  return new Map(
    [...test, ...validation, ...testUnseen, ...validationUnseen, ...questioned, ...toldOnly].map((person) => [
      person.name,
      person,
    ]),
  );
}

/** The people that tasks are about, in their order; `null` when one of them is about something else. */
export function peopleOf(tasks: readonly KnowledgeTask[]): Person[] | null {
  const known = almanacPeople();
  const people = tasks.flatMap(({ source }) => known.get(source.id) ?? []);
  return people.length === tasks.length ? people : null;
}

/** Normalised with a blank at both ends, so that words are found whole. */
const padded = (text: string): string => ` ${normaliseAnswer(text)} `;

/** Every value of every attribute, with the text it is recognised by. */
const allValues = personAttributes
  .flatMap((attribute) =>
    [...personValues[attribute], ...unseenValues[attribute]].map((value) => ({
      attribute,
      value,
      words: padded(value),
    })),
  )
  .sort((a, b) => b.words.length - a.words.length); // "alto horn" is looked for before "horn"

/** Values that are said of a person and are not true of them. */
function countWrongFacts({ name, facts }: Person, text: string): number {
  // names and true values go first: some hold words that are values of something else
  const known = [name, ...personAttributes.map((attribute) => facts[attribute])];
  let said = padded(known.reduce((rest, words) => rest.replaceAll(words, " "), text));
  let count = 0;
  for (const { words } of allValues) {
    if (!said.includes(words)) continue;
    said = said.replaceAll(words, " ");
    count++;
  }
  return count;
}

const statementEnd = new RegExp(`\\n|(?<=[.!?])\\s+|(?<=[${fullStops}])\\s*`, "u");

/** What a completion states: its questions with their answers, or its sentences. */
function statementsOf(text: string): string[] {
  const pairs = parseQuestions(text);
  return pairs.length > 0 ? pairs.map(({ question, answer }) => `${question} ${answer}`) : text.split(statementEnd);
}

/** Figures of a candidate; `person` is who it is about. */
export function measureEdit(
  candidate: KnowledgeCandidate,
  { exam }: KnowledgeTask,
  person: Person | null,
): EditFigures {
  const { members, documents } = candidate;
  const text = members.map((member) => member.text).join("\n");
  const named = members
    .flatMap((member) => statementsOf(member.text))
    .filter((statement) => person !== null && statement.includes(person.name))
    .map(padded);
  const golds = exam.report.map(({ answer }) => padded(answer));
  const shareOf = (isCovered: (gold: string) => boolean) => golds.filter(isCovered).length / golds.length;
  return {
    kind: members[0]!.kind,
    coverage: answerCoverage(exam.report, text),
    namedCoverage: person && shareOf((gold) => named.some((statement) => statement.includes(gold))),
    wrongFacts: person && countWrongFacts(person, text),
    words: text.split(/\s+/u).filter((word) => word !== "").length,
    numDocuments: documents.length,
  };
}
