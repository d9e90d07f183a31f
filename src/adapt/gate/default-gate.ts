/** @file The thresholds where nobody sets others, and what others are called looser than. */
import type { GatePolicy } from "./gate.ts";

/** The gate where there is no `gate.json`. */
export const defaultGate: GatePolicy = {
  thresholds: {
    minGain: 0,
    minGainLow: 0,
    minKeptLow: 0.75,
    maxBrokenShare: 0.1,
    maxCriticalBroken: 0,
    maxKlNats: 0.5,
    maxLost: 1,
    minSupport: 0.4,
    maxUnsupported: 0,
    maxContradictions: 0,
    minHeldProbability: 0.85,
    minNearKept: 0.7,
    allowSelfWrittenExam: true,
  },
  policies: {
    minGain: 0,
    minGainLow: 0,
    requireHeldOut: true,
    minKeptLow: 0.75,
    maxBrokenShare: 0.1,
    maxCriticalBroken: 0,
    maxKlNats: 0.5,
    maxUnsupported: 0.35,
    maxUnfaithful: 0.25,
  },
  evidence: { minQuestions: 5, minKnown: 20, minKlTokens: 20, minHeldOut: 5 },
  budgets: { maxAdaptersPerDay: 50, maxPoliciesPerDay: 20, maxSteps: 20_000, maxLearningRate: 5e-3, maxRank: 64 },
  rescale: { maxExaminations: 5, minScale: 0.1 },
};
