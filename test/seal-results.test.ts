/**
 * @file The statistics of this project on SEAL's own results: they must give the figures published about them. The
 * fixture is derived by test/oracles/record-seal-results.ts, which checks the complete results as well.
 */
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import type { ContinualMatrix } from "../src/adapt/index.ts";
import {
  checkContinual,
  checkContrast,
  checkMean,
  checkRewards,
  checkSelectedGain,
  publishedContrasts,
} from "./support/seal-results.ts";

interface Fixture {
  readonly means: Readonly<Record<string, string>>;
  readonly contrasts: readonly string[];
  readonly rewards: Readonly<Record<string, readonly string[]>>;
  readonly continual: ContinualMatrix;
}

const fixture: Fixture = JSON.parse(
  readFileSync(new URL("oracles/fixtures/seal-results.json", import.meta.url), "utf8"),
);

/** `0.2:3 0.4:1` as `[0.2, 0.2, 0.2, 0.4]`. */
const readHistogram = (text: string): number[] =>
  text.split(" ").flatMap((entry) => {
    const [value, count] = entry.split(":").map(Number);
    return Array.from({ length: count! }, () => value!);
  });

/** `5 012 …` as accuracies: 0, 1 and 2 right answers of 5. */
const readRewards = (text: string): number[][] => {
  const [count, ...edits] = text.split(" ");
  return edits.map((runs) => [...runs].map((digit) => Number.parseInt(digit, 36) / Number(count)));
};

describe("SEAL's released results give the figures published about them", () => {
  for (const [arm, text] of Object.entries(fixture.means))
    test(`mean accuracy of ${arm}`, () => checkMean(arm, readHistogram(text)));

  publishedContrasts.forEach(([first, second], index) => {
    test(`${first} less ${second}, with its interval`, () =>
      checkContrast(index, readHistogram(fixture.contrasts[index]!)));
  });

  for (const [run, passages] of Object.entries(fixture.rewards))
    test(`reliability of the rewards of ${run}`, () => checkRewards(run, passages.map(readRewards)));

  test("best of five, with the luck taken off", () =>
    checkSelectedGain(fixture.rewards["rank_iter0"]!.map(readRewards)));

  test("the eight-step stream", () => checkContinual(fixture.continual));
});
