/**
 * @file Training a policy on its own completions: an update takes some documents and decides what each one's
 * log-probability counts, by fixed weights (supervised, advantage-weighted) or by weights that depend on the model as it
 * is now (preference pairs). Settings of `train.ts`, for a LoRA adapter or the model itself.
 */
import type { CausalLm } from "../models/index.ts";
import {
  adamW,
  chain,
  clipByGlobalNorm,
  type LoraAdapter,
  type LoraConfig,
  type Schedule,
  scheduled,
} from "../nn/index.ts";
import { createRng } from "../util/index.ts";
import type { DatumLike } from "./data.ts";
import type { Objective } from "./objective.ts";
import type { NatsLoss } from "./objectives.ts";
import { onSequences, sharedLikelihood, tokenLikelihood } from "./token-objectives.ts";
import { type TrainOptions, train, type UpdateProgress } from "./train.ts";
import { oneAdapter, wholeModel } from "./trainer.ts";

/** Documents of one update and what they count. */
export interface PolicyBatch {
  readonly documents: readonly DatumLike[];
  /**
   * One fixed weight per document, or a function of their nats under the model as it is now.
   *
   * @defaultValue nats per supervised token of the batch
   */
  readonly weigh?: readonly number[] | ((nats: readonly number[]) => NatsLoss);
}

/** What of the policy is trained: an adapter over it, or all its parameters. */
export type PolicyTarget = { readonly kind: "lora"; readonly lora: LoraConfig } | { readonly kind: "full" };

/** State of training after an update. */
export type PolicyProgress = Pick<UpdateProgress, "step" | "steps" | "loss" | "tokensPerSecond" | "etaSeconds">;

/** Options of {@link trainPolicy}. */
export interface TrainPolicyOptions
  extends Pick<TrainOptions, "steps" | "maxTokensPerMicroBatch" | "checkpoint" | "signal"> {
  readonly lm: CausalLm;
  readonly target: PolicyTarget;
  /** The batch of update `step`, from 0; must depend on `step` alone, so that a run can resume anywhere. */
  readonly source: (step: number) => PolicyBatch;
  /** Peak learning rate. */
  readonly learningRate: number;
  /** @defaultValue linear decay to 0 */
  readonly schedule?: Schedule;
  /** @defaultValue 0 */
  readonly weightDecay?: number;
  /** Limit on the norm of the gradient; 0 means none. @defaultValue 1 */
  readonly clipNorm?: number;
  /** Names the first weights of the adapter, and with `runKey` the run. */
  readonly seed: number | string;
  /** Names the data in the checkpoint, so that another run cannot go on from it. @defaultValue "" */
  readonly runKey?: string;
  readonly onProgress?: (progress: PolicyProgress) => void;
}

/** What came out. */
export interface PolicyResult {
  /** `null` when the model itself was trained. */
  readonly adapter: LoraAdapter | null;
  /** Loss of each update of this call. */
  readonly lossCurve: readonly number[];
  readonly resumedFrom: number;
}

/** Of the documents' nats, as {@link PolicyBatch} wants it. */
function objectiveOf({ weigh }: PolicyBatch): Objective {
  if (weigh === undefined) return tokenLikelihood;
  if (typeof weigh !== "function") return sharedLikelihood(weigh);
  return onSequences("weighed documents", "what the caller divides by", (logprobs) => {
    const { loss, weights } = weigh(Array.from(logprobs, (value) => 0 - value));
    return { loss, gradient: Float64Array.from(weights, (weight) => 0 - weight) };
  });
}

/**
 * Trains the policy. With a checkpoint directory, a call after a kill goes on where the last checkpoint was and ends with
 * the same bits as a run that was never interrupted.
 *
 * @throws {@link SelkieError} `"diverged"` when the loss stops being a number; the signal's reason, after a checkpoint,
 * when it fires.
 */
export async function trainPolicy(options: TrainPolicyOptions): Promise<PolicyResult> {
  const { lm, target, source, steps, learningRate, schedule, weightDecay, clipNorm, seed, runKey } = options;
  const { maxTokensPerMicroBatch, checkpoint, signal, onProgress } = options;
  using trainee =
    target.kind === "full"
      ? wholeModel(lm, "policy")
      : oneAdapter(lm, target.lora, createRng(seed).fork("policy-adapter"));
  const rate = scheduled(learningRate, schedule ?? { kind: "linear" }, steps);
  const lossCurve: number[] = [];
  const { resumedFrom, isFinished } = await train({
    trainee,
    source(step) {
      const batch = source(step);
      return { data: batch.documents, objective: objectiveOf(batch) };
    },
    steps,
    transform: chain(clipByGlobalNorm(clipNorm ?? 1), adamW({ learningRate: rate, weightDecay: weightDecay ?? 0 })),
    settings: [target, steps, learningRate, schedule, weightDecay, clipNorm, seed, runKey, lm.precision],
    who: "policy",
    ...(maxTokensPerMicroBatch !== undefined && { maxTokensPerMicroBatch }),
    ...(checkpoint && { checkpoint }),
    signal,
    onProgress(progress) {
      lossCurve.push(progress.loss);
      onProgress?.(progress);
    },
  });
  if (!isFinished) signal?.throwIfAborted();
  return { adapter: trainee.bank?.extract(0) ?? null, lossCurve, resumedFrom };
}
