/** @file Examines a candidate for the gate: exam, canaries and divergence from the base, at any scale of the adapter. */
import { nextTokenKl } from "../generate/index.ts";
import { encodePrompt } from "../models/index.ts";
import { bankOf, type LoraAdapter } from "../nn/index.ts";
import { bootstrapMean, mean, type Rng } from "../util/index.ts";
import { type Canaries, measureRetention, whichKept } from "./canaries.ts";
import { accuracy, type ExamAnswer, type ExamItem, type ExamRoom, examine } from "./exam.ts";
import type { Measurement } from "./gate.ts";
import { questionPrompt } from "./prompts.ts";

/** What an examination needs. */
export interface ExaminerArgs extends Omit<ExamRoom, "bank"> {
  readonly adapter: LoraAdapter;
  readonly questions: readonly ExamItem[];
  readonly canaries: Canaries;
  /** Resamples the questions. */
  readonly rng: Rng;
}

/** The same adapter with a weaker effect. */
export const scaleAdapter = (adapter: LoraAdapter, scale: number): LoraAdapter => ({
  ...adapter,
  loraAlpha: adapter.loraAlpha * scale,
});

const z95 = 1.6448536269514722; // one-sided

/** Lower end of the one-sided 95 % interval of a share (Wilson 1927), which also holds for few trials and for all of them. */
export function shareLowerBound(numRight: number, numTrials: number): number {
  const observed = numRight / numTrials;
  const z2 = z95 * z95;
  const centre = observed + z2 / (2 * numTrials);
  const margin = z95 * Math.sqrt((observed * (1 - observed) + z2 / (4 * numTrials)) / numTrials);
  return Math.max(0, (centre - margin) / (1 + z2 / numTrials));
}

/** Asks the base model once; the function it returns examines the candidate at a scale. */
export async function createExaminer(args: ExaminerArgs): Promise<(scale: number) => Promise<Measurement>> {
  const { checkpoint, questions, canaries } = args;
  const takers = (adapterIndex: number | null) => [
    { adapterIndex, items: questions },
    { adapterIndex, items: canaries.items },
  ];
  const [before, known] = (await examine({ ...args, bank: null }, takers(null))) as [ExamAnswer[], ExamAnswer[]];
  const probes = canaries.items.map((item, index) => [
    ...encodePrompt(checkpoint.tokenizer, questionPrompt(args.templates, item.question, item.title)),
    ...checkpoint.tokenizer.encode(` ${known[index]!.prediction}`),
  ]);
  return async (scale) => {
    const { lm } = checkpoint;
    using bank = bankOf(lm.backend, lm.linearLayers, [scaleAdapter(args.adapter, scale)]);
    const [after, kept] = (await examine({ ...args, bank }, takers(0))) as [ExamAnswer[], ExamAnswer[]];
    const divergences = await nextTokenKl(lm, probes, { bank, signal: args.signal });
    return {
      scale,
      ...measureGain(before, after, args.rng),
      ...measureHarm(canaries, known, kept),
      klNats: divergences.length === 0 ? 0 : mean(divergences.flatMap((perToken) => [...perToken])),
    };
  };
}

function measureGain(
  before: readonly ExamAnswer[],
  after: readonly ExamAnswer[],
  rng: Rng,
): Pick<Measurement, "numQuestions" | "before" | "after" | "gain"> {
  const differences = before.map(({ isRight }, index) => Number(after[index]!.isRight) - Number(isRight));
  return {
    numQuestions: before.length,
    before: accuracy(before),
    after: accuracy(after),
    gain: before.length === 0 ? null : bootstrapMean(differences, rng.fork("gain")),
  };
}

function measureHarm(
  canaries: Canaries,
  before: readonly ExamAnswer[],
  after: readonly ExamAnswer[],
): Pick<Measurement, "numKnown" | "numKept" | "keptLow" | "broken" | "criticalBroken"> {
  const { numKnown, numKept } = measureRetention(canaries, before, after);
  const broken = canaries.items.filter((_, index) => whichKept(canaries, before, after)[index] === false);
  return {
    numKnown,
    numKept,
    keptLow: numKnown === 0 ? null : shareLowerBound(numKept, numKnown),
    broken: broken.map(({ question }) => question),
    criticalBroken: broken.filter((item) => canaries.critical?.has(item.question)).map(({ question }) => question),
  };
}
