/**
 * @file Self-edits: the demonstrations from which the untrained policy learns the form, and the edits an all-knowing editor would write.
 * Demonstrations are mediocre on purpose (pronouns, gaps, errors), every kind is common, and quality varies within a kind:
 * a policy that already wrote the best edit would leave nothing for reinforcement to find.
 */
import type { Rng } from "../../util/index.ts";
import { drawForm, everyFact, narrate, writePassage } from "./passages.ts";
import { askPerson } from "./questions.ts";
import { paraphrasePerson, statePerson } from "./statements.ts";
import { type PersonAttribute, personAttributes } from "./values.ts";
import { type Person, wrongValue } from "./world.ts";

/** The kinds of self-edit SEAL asks for; `plain` repeats the passage. */
export const editKinds = ["implications", "implications-long", "rewrite", "self-qa", "plain"] as const;
/** One of {@link editKinds}. */
export type EditKind = (typeof editKinds)[number];

/** How often a demonstration is of each kind; they sum to 1. */
export const demonstrationShares: Readonly<Record<EditKind, number>> = {
  implications: 0.24,
  "implications-long": 0.16,
  rewrite: 0.21,
  "self-qa": 0.18,
  plain: 0.21,
};

type Facts = Readonly<Record<PersonAttribute, string>>;

/** What one edit says: which facts, in which order, with which values. */
interface Selection {
  readonly attributes: readonly PersonAttribute[];
  readonly values: Facts;
}

/** Draws `from` to `to` facts; each value is wrong with probability `errorRate`. */
function select(person: Person, from: number, to: number, errorRate: number, rng: Rng): Selection {
  const count = from + rng.integer(to - from + 1);
  const attributes = rng.shuffle(personAttributes).slice(0, count);
  const values = { ...person.facts };
  for (const attribute of attributes) {
    if (rng.uniform() < errorRate) values[attribute] = wrongValue(attribute, values[attribute], rng);
  }
  return { attributes, values };
}

const everything = (person: Person, rng: Rng): Selection => select(person, 6, 6, 0, rng);

/** One statement per line. */
function implications(person: Person, { attributes, values }: Selection, nameRate: number, rng: Rng): string {
  return attributes
    .map((attribute) => {
      const mention = rng.uniform() < nameRate ? "name" : "pronoun";
      return statePerson(person, attribute, mention, rng, values[attribute]);
    })
    .join("\n");
}

/** Several full-name paraphrases per fact, one per line. */
function longImplications(person: Person, { attributes, values }: Selection, paraphrases: number, rng: Rng): string {
  return attributes
    .flatMap((attribute) => paraphrasePerson(person, attribute, paraphrases, rng, values[attribute]))
    .join("\n");
}

/** Numbered questions in trained wordings, each with its answer on the next line. */
function selfQa(person: Person, { attributes, values }: Selection, rng: Rng): string {
  return attributes
    .map((attribute, index) => {
      const { question } = askPerson(person, attribute, "training", rng);
      return `Question ${index + 1}: ${question}\nAnswer: ${values[attribute]}`;
    })
    .join("\n");
}

/** One rewritten passage per line: the facts permuted, the name at the start alone. */
function rewrite(person: Person, draw: () => Selection, count: number, rng: Rng): string {
  return Array.from({ length: count }, () => {
    const { attributes, values } = draw();
    return narrate(person, attributes, 0, rng, values);
  }).join("\n");
}

/** One way of writing each kind of edit about `person`, whose passage is `passage`. */
type EditWriters = Readonly<Record<EditKind, (person: Person, passage: string, rng: Rng) => string>>;

/** The mediocre editor. */
const demonstrations: EditWriters = {
  implications: (person, _passage, rng) =>
    implications(person, select(person, 2, 6, 0.12, rng), rng.choice([0, 0, 0.5, 1]), rng),
  "implications-long": (person, _passage, rng) =>
    longImplications(person, select(person, 3, 6, 0.1, rng), 1 + rng.integer(2), rng),
  rewrite: (person, _passage, rng) => rewrite(person, () => select(person, 3, 6, 0.1, rng), 1 + rng.integer(3), rng),
  "self-qa": (person, _passage, rng) => selfQa(person, select(person, 2, 5, 0.12, rng), rng),
  plain: (_person, passage) => passage,
};

/** The all-knowing editor: every fact, none wrong. */
const oracles: EditWriters = {
  implications: (person, _passage, rng) => implications(person, everything(person, rng), 1, rng),
  "implications-long": (person, _passage, rng) => longImplications(person, everything(person, rng), 3, rng),
  rewrite: (person, _passage, rng) => rewrite(person, () => everything(person, rng), 3, rng),
  "self-qa": (person, _passage, rng) => selfQa(person, everything(person, rng), rng),
  plain: (_person, passage) => passage,
};

/** The kind of one demonstration, drawn by {@link demonstrationShares}. */
export function drawEditKind(rng: Rng): EditKind {
  let rest = rng.uniform();
  for (const kind of editKinds) {
    rest -= demonstrationShares[kind];
    if (rest < 0) return kind;
  }
  return "plain";
}

/** The text of a demonstration of `kind`, as good or bad as the draw makes it. */
export function demonstrateEdit(person: Person, passage: string, kind: EditKind, rng: Rng): string {
  return demonstrations[kind](person, passage, rng);
}

/** The best edit of `kind`: all six facts, all right. */
export function oracleEdit(person: Person, passage: string, kind: EditKind, rng: Rng): string {
  return oracles[kind](person, passage, rng);
}

/** What the policy is given to write an edit about `passage`; it goes on with a space, the kind, a newline and the text. */
export const selfEditPrompt = (passage: string): string => `Passage: ${passage}\nSelf-edit:`;

/** A whole demonstration: a stranger's passage and an edit of it. */
export function editDocument(person: Person, rng: Rng): string {
  const passage = writePassage(everyFact(person, rng), drawForm(rng), rng);
  const kind = drawEditKind(rng);
  return `${selfEditPrompt(passage)} ${kind}\n${demonstrateEdit(person, passage, kind, rng)}`;
}
