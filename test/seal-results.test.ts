/**
 * @file The statistics of this project on SEAL's own results: they must give the figures published about them. The
 * fixture is derived by test/oracles/record-seal-results.ts, which checks the complete results as well.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import type { ContinualMatrix } from "../src/adapt/index.ts";
import { createRng } from "../src/util/index.ts";
import {
  bestOfGain,
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

/** Passages × 5 edits × 6 repetitions; passages differ by 0.5, edits by 0.3, noise is 0.6. */
function simulate(numGroups: number): number[][][] {
  const rng = createRng("simulated-design");
  return Array.from({ length: numGroups }, () => {
    const centre = 0.5 * rng.normal();
    return Array.from({ length: 5 }, () => {
      const value = centre + 0.3 * rng.normal();
      return Array.from({ length: 6 }, () => value + 0.6 * rng.normal());
    });
  });
}

describe("best of n", () => {
  test("by hand", () => {
    const { mean, best, apparentGain, expectedGain } = bestOfGain([
      [
        [0, 2],
        [4, 6],
      ],
    ]);
    assert.deepEqual([mean, best, apparentGain], [3, 5, 2]);
    assert.ok(Math.abs(expectedGain - 2 * (7 / 8)) < 1e-9);
  });

  test("promises what the winners show when measured again", () => {
    const design = simulate(4000);
    const first = design.map((units) => units.map((values) => values.slice(0, 3)));
    const mean = (values: readonly number[]) => values.reduce((total, value) => total + value, 0) / values.length;
    const again = design.map((units, group) => {
      const means = first[group]!.map(mean);
      const fresh = units.map((values) => mean(values.slice(3)));
      return fresh[means.indexOf(Math.max(...means))]! - mean(fresh);
    });
    const { apparentGain, expectedGain } = bestOfGain(first);
    assert.ok(Math.abs(expectedGain - mean(again)) < 0.02, `${expectedGain} ${mean(again)}`);
    assert.ok(apparentGain > 1.8 * mean(again), "the apparent gain is mostly luck here");
  });
});
