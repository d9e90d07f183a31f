/** @file `gate.json`: the gate as people edit it, in part; and the whole one that a program passes. */
import { z } from "zod";
import { SelkieError } from "../../util/index.ts";
import type { GatePolicy } from "./thresholds.ts";
import { defaultGate } from "./thresholds.ts";

const share = z.number().min(0).max(1);
const count = z.number().min(0);
const whole = z.strictObject({
  thresholds: z.strictObject({
    minGain: z.number().min(-1).max(1),
    minGainLow: z.number().min(-1).max(1),
    minKeptLow: share,
    maxBrokenShare: share,
    maxCriticalBroken: count,
    maxKlNats: count,
    maxLost: share,
    minSupport: share,
    maxUnsupported: share,
    maxContradictions: count,
    minHeldProbability: share,
    minNearKept: share,
    allowSelfWrittenExam: z.boolean(),
  }),
  policies: z.strictObject({
    minGain: z.number().min(-1).max(1),
    minGainLow: z.number().min(-1).max(1),
    requireHeldOut: z.boolean(),
    minKeptLow: share,
    maxBrokenShare: share,
    maxCriticalBroken: count,
    maxKlNats: count,
    maxUnsupported: share,
    maxUnfaithful: share,
  }),
  evidence: z.strictObject({ minQuestions: count, minKnown: count, minKlTokens: count, minHeldOut: count }),
  budgets: z.strictObject({
    maxAdaptersPerDay: count,
    maxPoliciesPerDay: count,
    maxSteps: count,
    maxLearningRate: count,
    maxRank: count,
  }),
  rescale: z.strictObject({ maxExaminations: z.int().min(0).max(20), minScale: share }),
});
const { thresholds, policies, evidence, budgets, rescale } = whole.shape;
/** What people write: any part of it. */
const part = z
  .strictObject({
    thresholds: thresholds.partial(),
    policies: policies.partial(),
    evidence: evidence.partial(),
    budgets: budgets.partial(),
    rescale: rescale.partial(),
  })
  .partial();

const describeIssues = ({ issues }: z.ZodError): string =>
  issues.map(({ path, message }) => `${path.join(".") || "as a whole"}: ${message}`).join("; ");

/**
 * A gate that a program passes, which must be whole: nothing is filled in for whoever decides by it.
 *
 * @throws {@link SelkieError} `"bad-option"` that names what is missing, unknown or out of bounds.
 */
export function checkGate(value: unknown, who: string): GatePolicy {
  const checked = whole.safeParse(value);
  if (checked.success) return checked.data;
  throw new SelkieError(
    "bad-option",
    `${who}: expected a whole gate, got ${describeIssues(checked.error)}; pass defaultGate, or what parseGate makes of a part`,
  );
}

const cure = "correct it by what selkie registry gate prints without it, or remove it for the default";

/** Reads a gate from JSON; what is left out has its default, what is unknown is refused. */
export function parseGate(text: string, path: string): GatePolicy {
  if (text.trim() === "")
    throw new SelkieError(
      "bad-file",
      `${path}: expected a gate, got an empty file; remove it for the default, or write what selkie registry gate prints to another file and move it there`,
    );
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new SelkieError(
      "bad-file",
      `${path}: expected JSON, got ${cause instanceof Error ? cause.message : cause}; ${cure}`,
      { cause },
    );
  }
  const parsed = part.safeParse(value);
  if (!parsed.success)
    throw new SelkieError("bad-file", `${path}: expected a gate, got ${describeIssues(parsed.error)}; ${cure}`);
  const given = parsed.data;
  return {
    thresholds: { ...defaultGate.thresholds, ...given.thresholds },
    policies: { ...defaultGate.policies, ...given.policies },
    evidence: { ...defaultGate.evidence, ...given.evidence },
    budgets: { ...defaultGate.budgets, ...given.budgets },
    rescale: { ...defaultGate.rescale, ...given.rescale },
  } as GatePolicy;
}
