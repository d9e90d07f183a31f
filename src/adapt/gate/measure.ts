/** @file Examines a candidate for the gate: exam, canaries and divergence from the base, at any scale of the adapter. */
import { type AdapterId, type Engine, withAdapter } from "../../engine/index.ts";
import { klOfLogits } from "../../generate/index.ts";
import { encodeContinuation } from "../../models/index.ts";
import type { LoraAdapter } from "../../nn/index.ts";
import { bootstrapMean, type Interval, mean, type Rng, SelkieError } from "../../util/index.ts";
import { type Canaries, measureRetention, whichKept } from "../canaries.ts";
import { accuracy, type ExamAnswer, type ExamContext, type ExamItem, examine } from "../exam.ts";
import { questionPrompt } from "../prompts.ts";
import type { Measurement } from "./measurement.ts";

/** What an examination needs. */
export interface ExaminerArgs extends ExamContext {
  readonly adapter: LoraAdapter;
  readonly questions: readonly ExamItem[];
  readonly canaries: Canaries;
  /** Known facts near the passages. @defaultValue none are asked */
  readonly near?: readonly ExamItem[];
  /** The adapter served so far, with its own exam; `null` or absent where there is none to compare with. */
  readonly served?: ServedAdapter | null;
  /** Resamples the questions. */
  readonly rng: Rng;
}

/** An adapter that the candidate would replace. */
export interface ServedAdapter {
  readonly record: string;
  readonly adapter: LoraAdapter;
  readonly questions: readonly ExamItem[];
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
  const { engine, questions, canaries, near = [] } = args;
  const known = await whatServedKnows(args);
  const takers = (adapter: AdapterId | null) => [
    { adapter, items: questions },
    { adapter, items: canaries.items },
    { adapter, items: near },
    ...(known === null || adapter === null ? [] : [{ adapter, items: known.items }]),
  ];
  const [before, sure, nearBefore] = (await examine(args, takers(null))) as [ExamAnswer[], ExamAnswer[], ExamAnswer[]];
  const probes = probesOf(args, canaries, sure);
  return async (scale) => {
    const { sheets, divergences } = await withAdapter(engine, scaleAdapter(args.adapter, scale), async (adapter) => {
      const readings = probes.map((tokenIds) => ({ tokenIds, adapter }));
      return {
        sheets: await examine(args, takers(adapter)),
        divergences: await engine.divergence(readings, { signal: args.signal }),
      };
    });
    const [after, kept, nearAfter, still = []] = sheets as [ExamAnswer[], ExamAnswer[], ExamAnswer[], ExamAnswer[]?];
    return {
      scale,
      ...measureGain(before, after, args.rng),
      ...measureHarm(canaries, sure, kept),
      ...(near.length > 0 && { near: measureNear(near, nearBefore, nearAfter) }),
      ...meanOf(divergences),
      ...(known !== null && { served: measureLoss(known, still) }),
    };
  };
}

function measureNear(
  items: readonly ExamItem[],
  before: readonly ExamAnswer[],
  after: readonly ExamAnswer[],
): NonNullable<Measurement["near"]> {
  const { numKnown, numKept } = measureRetention({ items, hasGold: true }, before, after);
  return { numKnown, numKept };
}

/** Prompts of the canaries with the base's own answers: text on which the candidate should expect what the base does. */
const probesOf = (
  { engine: { tokenizer }, templates }: Pick<ExamContext, "engine" | "templates">,
  canaries: Canaries,
  answers: readonly ExamAnswer[],
): number[][] =>
  canaries.items.map((item, index) => {
    const prompt = questionPrompt(templates, item.question, item.title);
    return [...encodeContinuation(tokenizer, prompt, ` ${answers[index]!.prediction}`).tokenIds];
  });

/** Of nothing the mean is no number, and no candidate passes with it. */
function meanOf(divergences: readonly Float64Array[]): Pick<Measurement, "klNats" | "numKlTokens"> {
  const perToken = divergences.flatMap((values) => [...values]);
  return { klNats: perToken.length === 0 ? Number.NaN : mean(perToken), numKlTokens: perToken.length };
}

/** Questions of its own exam that the served adapter answers right. */
async function whatServedKnows(args: ExaminerArgs): Promise<{ record: string; items: readonly ExamItem[] } | null> {
  const { served = null, engine } = args;
  if (served === null) return null;
  const [answers] = await withAdapter(engine, served.adapter, (adapter) =>
    examine(args, [{ adapter, items: served.questions }]),
  );
  return { record: served.record, items: served.questions.filter((_, index) => answers![index]!.isRight) };
}

const measureLoss = (
  known: { readonly record: string; readonly items: readonly ExamItem[] },
  still: readonly ExamAnswer[],
): NonNullable<Measurement["served"]> => ({
  record: known.record,
  numRight: known.items.length,
  lost: known.items.filter((_, index) => !still[index]!.isRight).map(({ question }) => question),
});

/** What a policy's examination needs. */
export interface PolicyExaminerArgs {
  /** The base as it is served, and the policy as it would be: each with its own prompts. */
  readonly base: ExamContext;
  readonly policy: ExamContext;
  readonly canaries: Canaries;
  /** What the run that made the policy found on held-out passages; `null` where it had none. */
  readonly heldOut: HeldOutGain | null;
}

/** Right answers after one edit of each held-out passage, with the policy and with the one it began from. */
export interface HeldOutGain {
  readonly numPassages: number;
  readonly before: number;
  readonly after: number;
  readonly gain: Interval;
}

/**
 * KL(base ‖ policy) after every token of every probe, nats. The probes are read one at a time: whole predictions are large.
 *
 * @returns Per probe of length `T`, `[T]`.
 */
export async function policyDivergence(
  base: Engine,
  policy: Engine,
  probes: readonly (readonly number[])[],
  signal?: AbortSignal,
): Promise<Float64Array[]> {
  const { vocabSize } = base.model;
  if (vocabSize !== policy.model.vocabSize)
    throw new SelkieError(
      "bad-input",
      `divergence: expected two models of one vocabulary, got ${vocabSize} and ${policy.model.vocabSize} tokens`,
    );
  const results: Float64Array[] = [];
  for (const tokenIds of probes) {
    const [[p], [q]] = await Promise.all([
      base.predict([{ tokenIds }], { signal }),
      policy.predict([{ tokenIds }], { signal }),
    ]);
    const rowOf = (logits: Float32Array, row: number) => logits.subarray(row * vocabSize, (row + 1) * vocabSize);
    results.push(Float64Array.from(tokenIds, (_, row) => klOfLogits(rowOf(p!, row), rowOf(q!, row))));
  }
  return results;
}

/** Examines a policy as a model: canaries, and divergence from the base on their prompts. */
export async function examinePolicy({ base, policy, canaries, heldOut }: PolicyExaminerArgs): Promise<Measurement> {
  const exam = [{ adapter: null, items: canaries.items }];
  const [before] = await examine(base, exam);
  const [after] = await examine(policy, exam);
  const probes = probesOf(base, canaries, before!);
  const divergences = await policyDivergence(base.engine, policy.engine, probes, policy.signal);
  return {
    scale: 1,
    numQuestions: heldOut?.numPassages ?? 0,
    before: heldOut?.before ?? null,
    after: heldOut?.after ?? null,
    gain: heldOut?.gain ?? null,
    ...measureHarm(canaries, before!, after!),
    ...meanOf(divergences),
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
