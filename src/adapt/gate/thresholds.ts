/** @file The thresholds of the gate: what each means, what it may be, and what it is where nobody sets another. */
import { z } from "zod";

/** What a policy must reach. */
export interface PolicyThresholds {
  /** Gain on held-out passages over the policy it began from, as a share of right answers after one edit … */
  readonly minGain: number;
  /** … and the lower end of its 95 % interval. */
  readonly minGainLow: number;
  /** Refuse a policy that was not examined on held-out passages; how many there must be is part of the evidence. */
  readonly requireHeldOut: boolean;
  readonly minKeptLow: number;
  readonly maxBrokenShare: number;
  readonly maxCriticalBroken: number;
  /** KL(base ‖ policy) on probe prompts, nats per token. */
  readonly maxKlNats: number;
  /** An edit fails the screen when more than this share of its sentences is not in its passage … */
  readonly maxUnsupported: number;
  /** … and this share of the edits it was trained on may fail. */
  readonly maxUnfaithful: number;
}

/** The least that a decision to promote rests on. */
export interface EvidenceThresholds {
  /** Questions of an adapter's exam. */
  readonly minQuestions: number;
  /** Canaries that the base answers, which a candidate could forget. */
  readonly minKnown: number;
  /** Tokens that the divergence is a mean over. */
  readonly minKlTokens: number;
  /** Held-out passages behind a policy's gain, where one is claimed. */
  readonly minHeldOut: number;
}

/** What a candidate must reach, and what its training may cost. */
export interface GatePolicy {
  readonly thresholds: {
    /** Gain in answers right, as a share, must be above this … */
    readonly minGain: number;
    /** … and the lower end of its 95 % interval at least this. */
    readonly minGainLow: number;
    /** Lower 95 % bound of the share of known answers kept. */
    readonly minKeptLow: number;
    /** Share of the canaries known before that may be broken after. */
    readonly maxBrokenShare: number;
    /** The same among canaries marked critical. */
    readonly maxCriticalBroken: number;
    /** KL(base ‖ candidate) on probe prompts, nats per token. */
    readonly maxKlNats: number;
    /** Share of what the adapter served so far answers right that the candidate may get wrong; 1 only reports it. */
    readonly maxLost: number;
    /** Share of an edit's content words and numbers found in its passage; the worst edit counts. */
    readonly minSupport: number;
    /** Share of an edit's sentences that its passage does not support; the worst edit counts. */
    readonly maxUnsupported: number;
    /** Facts of the passages that may contradict what the model, its known facts or earlier records hold. */
    readonly maxContradictions: number;
    /** An answer less probable than this is no knowledge that could be contradicted. */
    readonly minHeldProbability: number;
    /** Known answers near the passages that must be kept, as a share. */
    readonly minNearKept: number;
    /** Accept an exam that the model wrote itself, where no questions were given. */
    readonly allowSelfWrittenExam: boolean;
  };
  /** For policies, in place of the thresholds of the same names. */
  readonly policies: PolicyThresholds;
  /** How much must have been measured before a candidate can pass: nothing asked shows nothing lost. */
  readonly evidence: EvidenceThresholds;
  readonly budgets: {
    readonly maxAdaptersPerDay: number;
    readonly maxPoliciesPerDay: number;
    readonly maxSteps: number;
    readonly maxLearningRate: number;
    readonly maxRank: number;
  };
  readonly rescale: {
    /** Examinations of a scaled adapter; 0 never rescales. */
    readonly maxExaminations: number;
    /** Smallest scale worth having. */
    readonly minScale: number;
  };
}

/** Thresholds of what may not come to harm. */
export type HarmThresholds = Pick<
  GatePolicy["thresholds"],
  "minKeptLow" | "maxBrokenShare" | "maxCriticalBroken" | "maxKlNats" | "maxLost" | "minNearKept"
>;

/** Bounds and default of every threshold. One that {@link GatePolicy} gains or loses must do so here, or it does not compile. */
type Fields = {
  readonly [Group in keyof GatePolicy]: {
    readonly [Name in keyof GatePolicy[Group]]: z.ZodDefault<z.ZodType<GatePolicy[Group][Name]>>;
  };
};

const share = z.number().min(0).max(1);
const difference = z.number().min(-1).max(1);
const count = z.number().min(0);
const flag = z.boolean();

const fields: Fields = {
  thresholds: {
    minGain: difference.default(0),
    minGainLow: difference.default(0),
    minKeptLow: share.default(0.75),
    maxBrokenShare: share.default(0.1),
    maxCriticalBroken: count.default(0),
    maxKlNats: count.default(0.5),
    maxLost: share.default(1),
    minSupport: share.default(0.4),
    maxUnsupported: share.default(0),
    maxContradictions: count.default(0),
    minHeldProbability: share.default(0.85),
    minNearKept: share.default(0.7),
    allowSelfWrittenExam: flag.default(true),
  },
  policies: {
    minGain: difference.default(0),
    minGainLow: difference.default(0),
    requireHeldOut: flag.default(true),
    minKeptLow: share.default(0.75),
    maxBrokenShare: share.default(0.1),
    maxCriticalBroken: count.default(0),
    maxKlNats: count.default(0.5),
    maxUnsupported: share.default(0.35),
    maxUnfaithful: share.default(0.25),
  },
  evidence: {
    minQuestions: count.default(5),
    minKnown: count.default(20),
    minKlTokens: count.default(20),
    minHeldOut: count.default(5),
  },
  budgets: {
    maxAdaptersPerDay: count.default(50),
    maxPoliciesPerDay: count.default(20),
    maxSteps: count.default(20_000),
    maxLearningRate: count.default(5e-3),
    maxRank: count.default(64),
  },
  rescale: { maxExaminations: z.int().min(0).max(20).default(5), minScale: share.default(0.1) },
};

type Field = z.ZodDefault<z.ZodType>;

/** A schema of the gate: of each group by `group`, of each field by `field`. */
const schemaOf = (field: (field: Field) => z.ZodType, group: (fields: z.ZodObject) => z.ZodType) =>
  z.strictObject(
    Object.fromEntries(
      Object.entries<Readonly<Record<string, Field>>>(fields).map(([name, own]) => {
        const shape = Object.fromEntries(Object.entries(own).map(([threshold, schema]) => [threshold, field(schema)]));
        return [name, group(z.strictObject(shape))];
      }),
    ),
  ) as unknown as z.ZodType<GatePolicy>;

/** The gate as people write it: what is left out has its default. */
export const gateSchema: z.ZodType<GatePolicy> = schemaOf(
  (field) => field,
  (group) => group.prefault({}),
);

/** The gate as a program passes it: whole. */
export const wholeGateSchema: z.ZodType<GatePolicy> = schemaOf(
  (field) => field.unwrap(),
  (group) => group,
);

/** The gate where there is no `gate.json`. */
export const defaultGate: GatePolicy = gateSchema.parse({});
