/**
 * @file Which people of the Almanac a verb may read. The outer loop's rounds learn from some of the validation people and
 * from strangers; experiments are tuned and tried on others of the validation people. The test people are for figures to be
 * published: only `selkie experiment … --test-set` reads them, says so and writes it down, and every other command refuses
 * them.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../registry/index.ts";
import { almanacPassages, createWorld, loadPassages, type Person, type SourcePassage } from "../tasks/index.ts";
import { countOf, createRng, SelkieError } from "../util/index.ts";

/** Validation people that no round learns from: held out for trying and tuning. */
const numDevelopment = 50;

/** Where `source` names people of the Almanac and not a file of that name. */
export const isAlmanac = (source: string): boolean => source === "almanac" && !existsSync(source);

/**
 * Whom rounds of the outer loop learn from: validation people, and as many strangers whose last names and values stand on no list,
 * since a policy that never meets a new value in its rounds learns to write the nearest one of its lists.
 */
export function roundPeople(): readonly Person[] {
  const { validation, stranger } = createWorld();
  const rng = createRng("almanac-round-people");
  return validation.slice(0, -numDevelopment).map((person, index) => (index % 2 === 0 ? person : stranger(rng, 1)));
}

/** The validation people that no round learns from. */
export const developmentPeople = (): readonly Person[] => createWorld().validation.slice(-numDevelopment);

/** Held-out passages, and who they are about. */
export interface HeldOut {
  readonly split: "validation" | "test" | "file";
  readonly passages: readonly SourcePassage[];
  /** The Almanac's people they are about; `null` for passages from a file. */
  readonly people: readonly Person[] | null;
  /** People of the same split whose last names and values no training text holds; empty for passages from a file. */
  readonly unseen: readonly Person[];
}

/** What {@link readHeldOut} is asked for. */
export interface HeldOutArgs {
  /** Files, folders or `almanac`. */
  readonly source: string;
  readonly limit: number | undefined;
  readonly isTestSet: boolean;
}

/**
 * Held-out passages: the Almanac's, or those of a file.
 *
 * @param note - Is told when the test set is read.
 * @throws {@link SelkieError} when a file holds test people, or the test set is asked for beside a file.
 */
export async function readHeldOut(
  { source, limit, isTestSet }: HeldOutArgs,
  note: (text: string) => void,
): Promise<HeldOut> {
  if (!isAlmanac(source)) {
    if (isTestSet)
      throw new SelkieError(
        "bad-option",
        `--test-set: expected --held-out almanac, whose test people it reads, got --held-out ${source}; leave one out`,
      );
    return {
      split: "file",
      passages: refuseTestPeople(await loadPassages([source], limit), source),
      people: null,
      unseen: [],
    };
  }
  const { test, testUnseen, validationUnseen } = createWorld();
  const people = (isTestSet ? test : developmentPeople()).slice(0, limit);
  const unseen = (isTestSet ? testUnseen : validationUnseen).slice(0, people.length);
  if (isTestSet)
    note(
      `reading the test set: ${countOf(people.length, "person", "people")}; no setting may be chosen by what comes of it`,
    );
  return { split: isTestSet ? "test" : "validation", passages: almanacPassages(people), people, unseen };
}

const fewestFacts = 3;

/**
 * The passages, none of them about a test person: nobody's name together with three of their facts.
 *
 * @throws {@link SelkieError} `"bad-input"` that names passage and person.
 */
export function refuseTestPeople<T extends Pick<SourcePassage, "id" | "context">>(
  passages: readonly T[],
  source: string,
): readonly T[] {
  const { test: seen, testUnseen } = createWorld();
  const test = [...seen, ...testUnseen];
  for (const { id, context } of passages) {
    const person = test.find(
      ({ name, facts }) =>
        context.includes(name) && Object.values(facts).filter((value) => context.includes(value)).length >= fewestFacts,
    );
    if (person !== undefined)
      throw new SelkieError(
        "bad-input",
        `${source}: expected nobody of the Almanac's test set, got ${person.name} in ${id}; test people are read by selkie experiment --test-set alone, so that nothing is tuned on them`,
      );
  }
  return passages;
}

/** One time the test set was read. */
export interface TestSetReading {
  readonly command: string;
  /** SHA-256 of the model. */
  readonly model: string;
  readonly people: number;
}

/** Adds to `test-set.json` beside the results that the test set was read; the same reading is written once. */
export function recordTestSetReading(directory: string, reading: TestSetReading): void {
  const file = join(directory, "test-set.json");
  const known = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as TestSetReading[]) : [];
  const isKnown = known.some((other) => JSON.stringify(other) === JSON.stringify(reading));
  if (!isKnown) writeFileAtomic(file, `${JSON.stringify([...known, reading], null, 1)}\n`);
}
