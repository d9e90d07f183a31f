/** @file What an examination of a candidate finds, which the gate decides by. */
import type { Interval } from "../../util/index.ts";

/** What one examination of the candidate, at one scale, found. */
export interface Measurement {
  /** Factor on the adapter, in (0, 1]. */
  readonly scale: number;
  readonly numQuestions: number;
  /** Shares of the exam answered right; `null` without questions. */
  readonly before: number | null;
  readonly after: number | null;
  /** Paired difference over the questions. */
  readonly gain: Interval | null;
  readonly numKnown: number;
  readonly numKept: number;
  /** Lower 95 % bound of the share kept; `null` when nothing was known. */
  readonly keptLow: number | null;
  /** Questions of the canaries that broke, and of the critical ones among them. */
  readonly broken: readonly string[];
  readonly criticalBroken: readonly string[];
  /** Known answers near the passages; absent where the model directory names no known facts. */
  readonly near?: { readonly numKnown: number; readonly numKept: number };
  /** KL(base ‖ candidate), mean over probe positions, nats per token. */
  readonly klNats: number;
  /** Positions that this is the mean over. */
  readonly numKlTokens: number;
  /** Questions of the served adapter's own exam; absent where no other adapter is served. */
  readonly served?: {
    readonly record: string;
    /** That it answers right. */
    readonly numRight: number;
    /** Those among them that the candidate gets wrong. */
    readonly lost: readonly string[];
  };
}
