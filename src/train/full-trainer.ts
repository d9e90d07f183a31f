/** @file Full-parameter training: documents in, a trained model out. Settings of `train.ts`, with AdamW and its usual company. */
import type { CausalLm } from "../models/index.ts";
import { type AdamWOptions, adamW, chain, clipByGlobalNorm, ema, type Schedule, scheduled } from "../nn/index.ts";
import { SelkieError } from "../util/index.ts";
import type { DatumLike } from "./data.ts";
import { type TrainOptions, type TrainResult, train, type UpdateProgress } from "./train.ts";
import { wholeModel } from "./trainer.ts";

/** State of training after an update. */
export interface TrainProgress extends Omit<UpdateProgress, "loss" | "natsPerToken" | "metrics"> {
  /** Nats per supervised token of this update's documents, before the update. */
  readonly lossNats: number;
}

/** Options of {@link trainFull}. */
export interface TrainFullOptions
  extends Pick<TrainOptions, "steps" | "maxTokensPerMicroBatch" | "checkpoint" | "signal"> {
  /** Its parameters change in place; `lm.precision` sets the arithmetic, storage must be f32 (f64). */
  readonly lm: CausalLm;
  /** Documents of update `step`, from 0. They must depend on `step` alone, so that a run can resume anywhere. */
  readonly source: (step: number) => readonly DatumLike[] | Promise<readonly DatumLike[]>;
  /** Peak learning rate. */
  readonly learningRate: number;
  /** @defaultValue constant */
  readonly schedule?: Schedule;
  readonly optimizer?: AdamWOptions;
  /** Limit on the norm of the gradient; 0 means none. @defaultValue 1 */
  readonly clipNorm?: number;
  /** Decay of the averaged weights, which replace the trained ones at the end; 0 means no averaging. @defaultValue 0 */
  readonly emaDecay?: number;
  /** Names data and seed in the checkpoint, so that another run cannot go on from it. @defaultValue "" */
  readonly runKey?: string;
  readonly onProgress?: (progress: TrainProgress) => void;
}

/** How {@link trainFull} ended. */
export interface TrainFullResult extends Omit<TrainResult, "natsPerToken"> {
  /** Loss of the last update of this call; NaN when it did none. */
  readonly lossNats: number;
}

/**
 * Trains every parameter of `lm`. With a checkpoint directory, a call after a kill goes on where the last checkpoint
 * was and ends with the same bits as a run that was never interrupted.
 *
 * @throws {@link SelkieError} `"diverged"` when the loss stops being a number; `"checkpoint-mismatch"` when the
 * directory belongs to a run with other settings.
 */
export async function trainFull(options: TrainFullOptions): Promise<TrainFullResult> {
  const { lm, source, steps, learningRate, schedule, optimizer, clipNorm, maxTokensPerMicroBatch } = options;
  const { emaDecay, runKey, checkpoint, signal, onProgress } = options;
  if (!(Number.isInteger(steps) && steps >= 0 && learningRate >= 0))
    throw new SelkieError(
      "bad-option",
      `training: expected whole steps and a learning rate of at least 0, got ${steps} and ${learningRate}`,
    );
  const rate = scheduled(learningRate, schedule ?? { kind: "constant" }, steps);
  const links = [clipByGlobalNorm(clipNorm ?? 1), adamW({ ...optimizer, learningRate: rate })];
  const parameters = lm.parameters.specs.map(({ name, shape }) => [name, shape]);
  const limits = [clipNorm, maxTokensPerMicroBatch, emaDecay, runKey, lm.precision];
  using trainee = wholeModel(lm);
  const { natsPerToken, ...result } = await train({
    trainee,
    source,
    steps,
    transform: chain(...links, ...(emaDecay === undefined || emaDecay === 0 ? [] : [ema(emaDecay)])),
    settings: [steps, learningRate, schedule, optimizer, ...limits, parameters],
    ...(maxTokensPerMicroBatch !== undefined && { maxTokensPerMicroBatch }),
    ...(checkpoint && { checkpoint }),
    signal,
    ...(onProgress && {
      onProgress: ({ loss: _, natsPerToken: lossNats, metrics: __, ...progress }) =>
        onProgress({ ...progress, lossNats }),
    }),
  });
  return { ...result, lossNats: natsPerToken };
}
