/**
 * @file The gate that a candidate passes before anything serves it: promote, rescale, quarantine or reject, always with
 * reasons. It extends STABLE's gate (arXiv 2510.16089: a budget for forgetting or divergence, the adapter scaled down by
 * bisection until it fits) with:
 *  1. acquisition, which scaling down must not undo, with an interval;
 *  2. a lower confidence bound on retention instead of the observed share, and canaries that may not break at all;
 *  3. a screen of the sources before anything is measured, and budgets for the training;
 *  4. what the adapter served so far answered right and the candidate, which would take its place, does not.
 * Policies have a gate of their own (`policy.ts`), by the same measures and with thresholds of their own.
 * Thresholds are a value; `gate.json` holds one that people edit.
 */
import { type Contradiction, describeContradiction } from "./contradictions.ts";
import { evidenceGaps } from "./evidence.ts";
import { loosenedThresholds } from "./looseness.ts";
import type { Measurement } from "./measurement.ts";
import type { Screening } from "./screen.ts";
import type { GatePolicy, HarmThresholds } from "./thresholds.ts";

/** What the training of the candidate used; `null` where its record does not say, which is over every budget. */
export interface TrainingUsage {
  readonly numSteps: number | null;
  readonly learningRate: number | null;
  readonly loraRank: number | null;
  /** Adapters stored within the last day, or policies where the candidate is one; it is included. */
  readonly adaptersToday: number;
}

/** What is known of a candidate before it is examined. */
export interface GateInputs {
  readonly screenings: readonly Screening[];
  readonly usage: TrainingUsage;
  readonly examSource: "given" | "self-written" | "none";
  /** Reasons for quarantine that a person has looked at and lifted. @defaultValue none */
  readonly accepted?: readonly string[];
  /** What the passages say otherwise than what is held. @defaultValue none */
  readonly contradictions?: readonly Contradiction[];
}

/** The gate's decision and everything behind it. */
export interface GateDecision extends GateInputs {
  readonly outcome: "promote" | "rescale" | "quarantine" | "reject";
  /** Scale to serve at: 1 to promote, below 1 to rescale, `null` otherwise. */
  readonly scale: number | null;
  readonly reasons: readonly string[];
  /** In the order they were made; empty when none was needed. */
  readonly examinations: readonly Measurement[];
  readonly policy: GatePolicy;
  /** Thresholds that let more through than the default gate, as people read them. */
  readonly loosened: readonly string[];
}

/** A share as people read it. */
export const percent = (value: number): string => `${Math.round(100 * value)} %`;

/** Reasons to put the candidate aside for a person. */
export function suspicions(screenings: readonly Screening[], gate: GatePolicy): string[] {
  return screenings.flatMap((screening) => [...orders(screening), ...inventions(screening, gate)]);
}

/** Places where a passage or its edit speaks to the model. */
export const orders = ({ id, injections }: Screening): string[] =>
  injections.map((text) => `${id}: speaks to the model: "${text}"`);

/** Contradictions, where there are more than the gate allows. */
export const disputes = ({ contradictions = [] }: GateInputs, { thresholds }: GatePolicy): string[] =>
  contradictions.length > thresholds.maxContradictions ? contradictions.map(describeContradiction) : [];

/** What an edit says that its passage does not. */
export function inventions(
  { id, support }: Screening,
  { thresholds }: { readonly thresholds: Pick<GatePolicy["thresholds"], "minSupport" | "maxUnsupported"> },
): string[] {
  const { share: supported, unsupported, numClaims } = support;
  const found: string[] = [];
  if (supported < thresholds.minSupport)
    found.push(
      `${id}: only ${percent(supported)} of the edit's words are in the passage, at least ${percent(thresholds.minSupport)} are required`,
    );
  if (numClaims > 0 && unsupported.length / numClaims > thresholds.maxUnsupported)
    found.push(
      `${id}: ${unsupported.length} of ${numClaims} sentences of the edit are not in the passage, such as "${unsupported[0]}"${support.doubts === undefined ? "" : ` (${support.doubts[0]!.why})`}`,
    );
  return found;
}

/** Budgets that the training exceeded. */
export function overruns(
  usage: TrainingUsage,
  { budgets }: Pick<GatePolicy, "budgets">,
  kind: "adapter" | "policy" = "adapter",
): string[] {
  const limits: readonly (readonly [what: string, used: number | null, limit: number])[] = [
    kind === "adapter"
      ? ["adapters within a day", usage.adaptersToday, budgets.maxAdaptersPerDay]
      : ["policies within a day", usage.adaptersToday, budgets.maxPoliciesPerDay],
    ["training steps", usage.numSteps, budgets.maxSteps],
    ["learning rate", usage.learningRate, budgets.maxLearningRate],
    ["LoRA rank", usage.loraRank, budgets.maxRank],
  ];
  return limits
    .filter(([, used, limit]) => used === null || !(used <= limit)) // what is no number is over every budget
    .map(([what, used, limit]) => `over budget: ${used ?? "an unknown number of"} ${what}, at most ${limit}`);
}

/** What is wrong with what was learned; scaling down cannot mend it. */
export function shortfalls(
  { gain, before, after }: Measurement,
  { thresholds }: { readonly thresholds: Pick<GatePolicy["thresholds"], "minGain" | "minGainLow"> },
): string[] {
  if (gain === null || before === null || after === null)
    return ["nothing was measured: there is no question to examine with"];
  const found: string[] = [];
  if (!(gain.mean > thresholds.minGain))
    found.push(`it did not learn: ${percent(after)} right after, ${percent(before)} before`);
  else if (!(gain.low >= thresholds.minGainLow))
    found.push(`what it learned is not beyond chance: the gain's interval begins at ${percent(gain.low)}`);
  return found;
}

/** What the candidate harmed; scaling down may mend it. */
export function harms(measured: Measurement, { thresholds }: { readonly thresholds: HarmThresholds }): string[] {
  const found: string[] = [];
  const { criticalBroken, broken, keptLow, numKept, numKnown, klNats, served, near } = measured;
  if (criticalBroken.length > thresholds.maxCriticalBroken)
    found.push(`a critical canary broke: "${criticalBroken[0]}"`);
  if (broken.length > thresholds.maxBrokenShare * numKnown)
    found.push(
      `${broken.length} of ${numKnown} canaries broke, at most ${percent(thresholds.maxBrokenShare)} may, such as "${broken[0]}"`,
    );
  if (keptLow !== null && !(keptLow >= thresholds.minKeptLow))
    found.push(
      `it forgot: ${numKept} of ${numKnown} known answers kept, with confidence at least ${percent(keptLow)}; ${percent(thresholds.minKeptLow)} are required`,
    );
  if (near !== undefined && near.numKept < thresholds.minNearKept * near.numKnown)
    found.push(
      `it overwrote what lies near: ${near.numKept} of ${near.numKnown} known answers about the same names and values kept; ${percent(thresholds.minNearKept)} are required`,
    );
  if (!(klNats <= thresholds.maxKlNats))
    found.push(`it drifted: ${klNats.toFixed(3)} nats per token from the base, at most ${thresholds.maxKlNats}`);
  if (served !== undefined && served.lost.length > thresholds.maxLost * served.numRight)
    found.push(`it loses what is served now: ${describeLoss(served)}; at most ${percent(thresholds.maxLost)} may go`);
  return found;
}

/**
 * Decides about a candidate. `measure` examines it at a scale and is called once at scale 1, then, when the candidate
 * learned but did harm, for the bisection.
 */
export async function decideGate(
  policy: GatePolicy,
  inputs: GateInputs,
  measure: (scale: number) => Promise<Measurement>,
): Promise<GateDecision> {
  const examinations: Measurement[] = [];
  const loosened = loosenedThresholds(policy);
  const decide = (
    outcome: GateDecision["outcome"],
    scale: number | null,
    reasons: readonly string[],
  ): GateDecision => ({
    ...inputs,
    outcome,
    scale,
    reasons,
    examinations,
    policy,
    loosened,
  });
  const suspicious = [...suspicions(inputs.screenings, policy), ...disputes(inputs, policy)].filter(
    (reason) => !inputs.accepted?.includes(reason),
  );
  if (suspicious.length > 0) return decide("quarantine", null, suspicious);
  const excess = overruns(inputs.usage, policy);
  if (excess.length > 0) return decide("reject", null, excess);
  if (inputs.examSource === "self-written" && !policy.thresholds.allowSelfWrittenExam)
    return decide("reject", null, ["the exam was written by the model itself; give questions of your own"]);
  const whole = await measure(1);
  examinations.push(whole);
  const missing = [...evidenceGaps(whole, policy), ...shortfalls(whole, policy)];
  const harm = harms(whole, policy);
  if (missing.length > 0) return decide("reject", null, [...missing, ...harm]);
  const passed = [...describeAccepted(inputs), ...describeLoosened(loosened)];
  if (harm.length === 0) return decide("promote", 1, [describePass(whole), ...passed]);
  const fit = await largestFit(policy, measure, examinations);
  if (fit === null) {
    const tried =
      examinations.length === 1
        ? ""
        : ` at scale 1, and no smaller scale of ${examinations.length - 1} tried keeps what was learned without harm`;
    return decide("reject", null, [`${harm.join("; ")}${tried}`]);
  }
  return decide("rescale", fit.scale, [
    `${harm.join("; ")} at scale 1`,
    `at scale ${fit.scale}: ${describePass(fit)}`,
    ...passed,
  ]);
}

/** What a decision to promote says besides its figures. */
export const describeAccepted = ({ accepted = [] }: GateInputs): string[] =>
  accepted.length === 0 ? [] : [`a person has accepted: ${accepted.join("; ")}`];

/** The same of a gate that lets more through than the default one. */
export const describeLoosened = (loosened: readonly string[]): string[] =>
  loosened.length === 0 ? [] : [`the gate is looser than the default: ${loosened.join(", ")}`];

/** Bisection of the scale: harm grows with it, and so does what was learned. The largest examined that passes. */
async function largestFit(
  policy: GatePolicy,
  measure: (scale: number) => Promise<Measurement>,
  examinations: Measurement[],
): Promise<Measurement | null> {
  const { maxExaminations, minScale } = policy.rescale;
  let [low, high] = [0, 1];
  let fit: Measurement | null = null;
  for (let round = 0; round < maxExaminations; round++) {
    const scale = (low + high) / 2;
    if (scale < minScale) break;
    const measured = await measure(scale);
    examinations.push(measured);
    const isHarmless = harms(measured, policy).length === 0;
    const hasLearned = [...evidenceGaps(measured, policy), ...shortfalls(measured, policy)].length === 0;
    if (isHarmless && hasLearned) fit = measured;
    if (!isHarmless && !hasLearned) break; // less of it learns less, more of it harms more
    if (isHarmless) low = scale;
    else high = scale;
  }
  return fit;
}

const describeLoss = ({ record, numRight, lost }: NonNullable<Measurement["served"]>): string =>
  `${lost.length} of the ${numRight} answers that ${record.slice(0, 12)} gives right to its exam${lost.length === 0 ? "" : `, such as "${lost[0]}"`}`;

const describePass = ({ before, after, numKept, numKnown, klNats, served, near }: Measurement): string =>
  `${percent(after ?? 0)} right after, ${percent(before ?? 0)} before; ${numKept} of ${numKnown} known answers kept${near === undefined ? "" : `, ${near.numKept} of ${near.numKnown} near the passages`}; ${klNats.toFixed(3)} nats per token from the base${served === undefined ? "" : `; it loses ${describeLoss(served)}`}`;
