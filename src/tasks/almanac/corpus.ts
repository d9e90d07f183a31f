/**
 * @file The text the shipped model is pretrained on: an endless, deterministic stream of short documents.
 * Reading and edit demonstrations are about strangers whose facts never return; about known people they would teach
 * recall where copying from the passage is wanted.
 */
import type { Rng } from "../../util/index.ts";
import { editDocument } from "./edits.ts";
import { narrate, plainPassage } from "./passages.ts";
import { askPerson, askThing, questionDocument } from "./questions.ts";
import { statePerson, stateThing } from "./statements.ts";
import { personAttributes, type ThingAttribute, type World } from "./world.ts";

/** What a pretraining document can be. */
export type DocumentKind = "biography" | "question" | "reading" | "edit" | "thing";

/** Shares of the stream; they sum to 1. */
export const corpusShares: Readonly<Record<DocumentKind, number>> = {
  biography: 0.26,
  question: 0.16,
  reading: 0.16,
  edit: 0.32,
  thing: 0.1,
};

const known = (world: World, rng: Rng) => rng.choice(rng.uniform() < 0.5 ? world.questioned : world.toldOnly);

/**
 * What the model is to know, every sentence under its full name: one person's facts, permuted, or a page of facts about
 * several. Pronouns would teach it to tie a whole passage to the name at its head, and then a bare passage, read as
 * often as an edit, teaches as much as the edit (measured: docs/log.md).
 */
function biography(world: World, rng: Rng): string {
  if (rng.uniform() < 0.4) {
    const count = 2 + rng.integer(5);
    return Array.from({ length: count }, () =>
      statePerson(known(world, rng), rng.choice(personAttributes), "name", rng),
    ).join(" ");
  }
  const count = rng.uniform() < 0.7 ? personAttributes.length : 1 + rng.integer(personAttributes.length);
  return narrate(known(world, rng), rng.shuffle(personAttributes).slice(0, count), 1, rng);
}

function question(world: World, rng: Rng): string {
  return questionDocument(askPerson(rng.choice(world.questioned), rng.choice(personAttributes), "training", rng));
}

/** A stranger's passage with one to three questions answered from it. */
function reading(world: World, rng: Rng): string {
  const person = world.stranger(rng);
  const asked = rng.shuffle(personAttributes).slice(0, 1 + rng.integer(3));
  const exchanges = asked.map((attribute) => questionDocument(askPerson(person, attribute, "training", rng)));
  return `Passage: ${plainPassage(person, rng)}\n${exchanges.join("\n")}`;
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
  edit: (world, rng) => editDocument(world.stranger(rng), rng),
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
