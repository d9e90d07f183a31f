/** @file `gate.json`: the gate as people edit it. */
import { z } from "zod";
import { SelkieError } from "../../util/index.ts";
import { defaultGate } from "./default-gate.ts";
import type { GatePolicy } from "./gate.ts";

const share = z.number().min(0).max(1);
const count = z.number().min(0);
const schema = z.strictObject({
  thresholds: z
    .strictObject({
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
    })
    .partial(),
  policies: z
    .strictObject({
      minGain: z.number().min(-1).max(1),
      minGainLow: z.number().min(-1).max(1),
      requireHeldOut: z.boolean(),
      minKeptLow: share,
      maxBrokenShare: share,
      maxCriticalBroken: count,
      maxKlNats: count,
      maxUnsupported: share,
      maxUnfaithful: share,
    })
    .partial(),
  evidence: z.strictObject({ minQuestions: count, minKnown: count, minKlTokens: count, minHeldOut: count }).partial(),
  budgets: z
    .strictObject({
      maxAdaptersPerDay: count,
      maxPoliciesPerDay: count,
      maxSteps: count,
      maxLearningRate: count,
      maxRank: count,
    })
    .partial(),
  rescale: z.strictObject({ maxExaminations: z.int().min(0).max(20), minScale: share }).partial(),
});

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
  const parsed = schema.partial().safeParse(value);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join(".") || "the file"}: ${issue.message}`);
    throw new SelkieError("bad-file", `${path}: expected a gate, got ${problems.join("; ")}; ${cure}`);
  }
  const { thresholds, policies, evidence, budgets, rescale } = parsed.data;
  return {
    thresholds: { ...defaultGate.thresholds, ...thresholds },
    policies: { ...defaultGate.policies, ...policies },
    evidence: { ...defaultGate.evidence, ...evidence },
    budgets: { ...defaultGate.budgets, ...budgets },
    rescale: { ...defaultGate.rescale, ...rescale },
  } as GatePolicy;
}
