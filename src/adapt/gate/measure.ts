/** @file Examines a candidate for the gate: exam, canaries and divergence from the base, at any scale of the adapter. */
import { modelKl, nextTokenKl } from "../../generate/index.ts";
import { encodeContinuation } from "../../models/index.ts";
import { bankOf, type LoraAdapter } from "../../nn/index.ts";
import { bootstrapMean, type Interval, mean, type Rng } from "../../util/index.ts";
import { type Canaries, measureRetention, whichKept } from "../canaries.ts";
import { accuracy, type ExamAnswer, type ExamContext, type ExamItem, examine } from "../exam.ts";
import { questionPrompt } from "../prompts.ts";
import type { Measurement } from "./measurement.ts";

/** What an examination needs. */
export interface ExaminerArgs extends Omit<ExamContext, "bank"> {
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
  const { checkpoint, questions, canaries, near = [] } = args;
  const known = await whatServedKnows(args);
  const takers = (adapterIndex: number | null) => [
    { adapterIndex, items: questions },
    { adapterIndex, items: canaries.items },
    { adapterIndex, items: near },
    ...(known === null || adapterIndex === null ? [] : [{ adapterIndex, items: known.items }]),
  ];
  const [before, sure, nearBefore] = (await examine({ ...args, bank: null }, takers(null))) as [
    ExamAnswer[],
    ExamAnswer[],
    ExamAnswer[],
  ];
  const probes = probesOf(args, canaries, sure);
  return async (scale) => {
    const { lm } = checkpoint;
    using bank = bankOf(lm.backend, lm.linearLayers, [scaleAdapter(args.adapter, scale)]);
    const [after, kept, nearAfter, still = []] = (await examine({ ...args, bank }, takers(0))) as [
      ExamAnswer[],
      ExamAnswer[],
      ExamAnswer[],
      ExamAnswer[]?,
    ];
    const divergences = await nextTokenKl(lm, probes, { bank, signal: args.signal });
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
  { checkpoint: { tokenizer }, templates }: Pick<ExamContext, "checkpoint" | "templates">,
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
  const { served = null, checkpoint } = args;
  if (served === null) return null;
  const { lm } = checkpoint;
  using bank = bankOf(lm.backend, lm.linearLayers, [served.adapter]);
  const [answers] = await examine({ ...args, bank }, [{ adapterIndex: 0, items: served.questions }]);
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
  readonly base: Omit<ExamContext, "bank">;
  readonly policy: Omit<ExamContext, "bank">;
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

/** Examines a policy as a model: canaries, and divergence from the base on their prompts. */
export async function examinePolicy({ base, policy, canaries, heldOut }: PolicyExaminerArgs): Promise<Measurement> {
  const exam = [{ adapterIndex: null, items: canaries.items }];
  const [before] = await examine({ ...base, bank: null }, exam);
  const [after] = await examine({ ...policy, bank: null }, exam);
  const probes = probesOf(base, canaries, before!);
  const divergences = await modelKl(base.checkpoint.lm, policy.checkpoint.lm, probes, { signal: policy.signal });
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
