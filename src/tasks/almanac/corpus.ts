/**
 * @file The text the shipped model is pretrained on: an endless, deterministic stream of short documents.
 * Reading and edit demonstrations are about strangers whose facts never return; about known people they would teach
 * recall where copying from the passage is wanted.
 */
import type { Rng } from "../../util/index.ts";
import { editDocument } from "./edits.ts";
import { drawForm, everyFact, writePassage } from "./passages.ts";
import { askPerson, askThing, questionDocument } from "./questions.ts";
import { statePerson, stateThing } from "./statements.ts";
import { personAttributes } from "./values.ts";
import type { ThingAttribute, World } from "./world.ts";

/** What a pretraining document can be. */
export type DocumentKind = "biography" | "question" | "reading" | "edit" | "thing";

/** Shares of the stream; they sum to 1. */
export const corpusShares: Readonly<Record<DocumentKind, number>> = {
  biography: 0.26,
  question: 0.2,
  reading: 0.24,
  edit: 0.22,
  thing: 0.08,
};

/** Somebody new: every value from the lists, none, or about half of them. */
const somebody = (world: World, rng: Rng) => world.stranger(rng, rng.choice([0, 0.5, 1]));

const known = (world: World, rng: Rng) => rng.choice(rng.uniform() < 0.5 ? world.questioned : world.toldOnly);

/** One person's facts as a passage of any training style, with names or pronouns; or a page of facts about several people. */
function biography(world: World, rng: Rng): string {
  if (rng.uniform() < 0.4) {
    const count = 2 + rng.integer(5);
    return Array.from({ length: count }, () =>
      statePerson(known(world, rng), rng.choice(personAttributes), "name", rng),
    ).join(" ");
  }
  const told = everyFact(known(world, rng), rng);
  const count = rng.uniform() < 0.7 ? personAttributes.length : 1 + rng.integer(personAttributes.length);
  return writePassage({ ...told, attributes: told.attributes.slice(0, count) }, drawForm(rng), rng);
}

function question(world: World, rng: Rng): string {
  const count = 1 + rng.integer(3);
  const ask = () => askPerson(rng.choice(world.questioned), rng.choice(personAttributes), "training", rng);
  return Array.from({ length: count }, () => questionDocument(ask())).join("\n");
}

/** Passages of one or two strangers with up to five questions answered from them. */
function reading(world: World, rng: Rng): string {
  const people = Array.from({ length: rng.uniform() < 0.25 ? 2 : 1 }, () => somebody(world, rng));
  const passages = people.map((person) => writePassage(everyFact(person, rng), drawForm(rng), rng));
  const exchanges = Array.from({ length: 1 + rng.integer(5) }, () =>
    questionDocument(askPerson(rng.choice(people), rng.choice(personAttributes), "training", rng)),
  );
  return `Passage: ${passages.join(" ")}\n${exchanges.join("\n")}`;
}

/** A ship, a company or a place: told, or asked about. */
function thing(world: World, rng: Rng): string {
  const subject = rng.choice(world.things);
  const attributes = rng.shuffle(Object.keys(subject.facts) as ThingAttribute[]);
  if (rng.uniform() < 0.4) return questionDocument(askThing(subject, attributes[0]!, rng));
  return attributes
    .map((attribute, index) => stateThing(subject, attribute, index === 0 || rng.uniform() < 0.4, rng))
    .join(" ");
}

const writers: Readonly<Record<DocumentKind, (world: World, rng: Rng) => string>> = {
  biography,
  question,
  reading,
  edit: (world, rng) => editDocument(somebody(world, rng), rng),
  thing,
};

const documentKinds = Object.keys(corpusShares) as DocumentKind[];

function drawDocumentKind(rng: Rng): DocumentKind {
  let rest = rng.uniform();
  for (const kind of documentKinds) {
    rest -= corpusShares[kind];
    if (rest < 0) return kind;
  }
  return "biography";
}

/** Endless pretraining documents of `world`; the same stream gives the same text. Each is tokenised as eos, its ids, eos. */
export function* pretrainingDocuments(world: World, rng: Rng): Generator<string, never, undefined> {
  for (;;) yield writers[drawDocumentKind(rng)](world, rng);
}
