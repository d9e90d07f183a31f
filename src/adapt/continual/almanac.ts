/**
 * @file What a stream of Almanac passages is checked with: known people, in wordings that no training text has and about
 * whom no canary asks, and strangers to read and to write about.
 */
import { allQuestions, askPerson, personAttributes, plainPassage, statePerson, type World } from "../../tasks/index.ts";
import type { Rng } from "../../util/index.ts";
import type { ExamItem } from "../exam.ts";
import type { CheckItems } from "./checks.ts";

/** Sizes of {@link almanacChecks}. */
export interface AlmanacCheckSizes {
  /** Probe texts about known people. */
  readonly numTexts: number;
  /** Strangers with a passage and two questions each. */
  readonly numReaders: number;
  /** Strangers to write an edit about. */
  readonly numWritten: number;
}

/** The sizes of `selkie experiment continual`. */
export const almanacCheckSizes: AlmanacCheckSizes = { numTexts: 20, numReaders: 40, numWritten: 24 };

/** Checks from `world`; people whom a canary names are left out. */
export function almanacChecks(
  world: World,
  canaries: readonly ExamItem[],
  rng: Rng,
  { numTexts, numReaders, numWritten }: AlmanacCheckSizes = almanacCheckSizes,
): CheckItems {
  const isCanary = (name: string) => canaries.some(({ question }) => question.includes(name));
  const people = rng
    .fork("known")
    .shuffle([...world.questioned, ...world.toldOnly])
    .filter(({ name }) => !isCanary(name));
  const stranger = (use: string, index: number) => world.stranger(rng.fork("stranger", use, index));
  return {
    known: people.map((person) => ({
      ...rng.fork("wording", person.name).choice(allQuestions(person, "report")),
      title: "",
    })),
    texts: people.slice(0, numTexts).map((person) => {
      const stream = rng.fork("text", person.name);
      const attributes = stream.shuffle(personAttributes).slice(0, 2);
      return attributes.map((attribute) => statePerson(person, attribute, "name", stream)).join(" ");
    }),
    reading: Array.from({ length: numReaders }, (_, index) => {
      const person = stranger("reading", index);
      const stream = rng.fork("reading", index);
      const passage = plainPassage(person, stream);
      const attributes = stream.shuffle(personAttributes).slice(0, 2);
      return attributes.map((attribute) => ({ passage, ...askPerson(person, attribute, "report", stream) }));
    }).flat(),
    writing: Array.from({ length: numWritten }, (_, index) => {
      const person = stranger("writing", index);
      const context = plainPassage(person, rng.fork("writing", index));
      return { source: { id: person.name, title: "", context }, facts: Object.values(person.facts) };
    }),
  };
}
