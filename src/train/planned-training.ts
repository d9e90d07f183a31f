/**
 * @file A training of a whole model, or of an adapter over it, as plain data: the documents, and for each update which of
 * them it takes and what they count. Nothing in a plan is code, so that it can be sent to the thread that holds the model.
 */
import type { CausalLm } from "../models/index.ts";
import type { Schedule } from "../nn/index.ts";
import { SelkieError } from "../util/index.ts";
import type { DatumLike } from "./data.ts";
import { dpo, ipo, type NatsLoss, natsWeights, type SequenceObjective } from "./objectives.ts";
import {
  type PolicyBatch,
  type PolicyProgress,
  type PolicyResult,
  type PolicyTarget,
  trainPolicy,
} from "./policy-trainer.ts";
import type { CheckpointOptions } from "./train.ts";

/**
 * What an update wants of its documents:
 *  - `weighted`: `Σ_d weights[d] · nats(d)`;
 *  - `preference`: `share · L + restWeight · Σ nats` of the documents that are left over. `L` is the DPO or IPO loss of
 *    pairs: examples come in turn, chosen and rejected, each made of the next `sizes[e]` documents.
 */
export type PlannedObjective =
  | {
      readonly kind: "weighted";
      /** One per document of the update. */
      readonly weights: readonly number[];
    }
  | {
      readonly kind: "preference";
      readonly loss: "dpo" | "ipo";
      readonly beta: number;
      /** Documents of each example, at least 1; an even number of examples. */
      readonly sizes: readonly number[];
      /** Of each example under the policy before it is changed, nats. */
      readonly referenceLogprobs: readonly number[];
      /** Of the pairs in the loss, in (0, 1]. */
      readonly share: number;
      /** Of the nats of each document behind the examples. */
      readonly restWeight: number;
    };

type PlannedPreference = Extract<PlannedObjective, { kind: "preference" }>;

/** One update. */
export interface PlannedUpdate {
  /** Indices of the plan's documents; one may come more than once. */
  readonly documents: readonly number[];
  /** @defaultValue nats per supervised token of the update */
  readonly objective?: PlannedObjective | undefined;
}

/** A training, planned to its end. */
export interface TrainingPlan {
  readonly target: PolicyTarget;
  readonly documents: readonly DatumLike[];
  readonly updates: readonly PlannedUpdate[];
  /** Peak learning rate. */
  readonly learningRate: number;
  /** @defaultValue linear decay to 0 */
  readonly schedule?: Schedule | undefined;
  /** Names the first weights of an adapter, and with `runKey` the run. */
  readonly seed: number | string;
  /** Names the data in the checkpoint, so that another run cannot go on from it. @defaultValue "" */
  readonly runKey?: string | undefined;
  /** Where the state is kept, so that the same call goes on after a kill. @defaultValue it is not kept */
  readonly checkpoint?: CheckpointOptions | undefined;
}

/** What a training heeds and tells. */
export interface PlannedTrainingCall {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: PolicyProgress) => void) | undefined;
}

/** What the nats of an update's documents count. */
type WeighNats = (nats: readonly number[]) => NatsLoss;

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

function preference({ loss, beta, sizes, referenceLogprobs, share, restWeight }: PlannedPreference): WeighNats {
  const pairs = Array.from({ length: sizes.length / 2 }, (_, pair) => ({ chosen: 2 * pair, rejected: 2 * pair + 1 }));
  const objective: SequenceObjective = (loss === "dpo" ? dpo : ipo)({ pairs, referenceLogprobs, beta });
  const weighExamples = natsWeights(objective);
  return (nats) => {
    let next = 0;
    const perExample = sizes.map((size) => sum(Array.from({ length: size }, () => nats[next++]!)));
    const rest = nats.slice(next);
    const found = weighExamples(perExample);
    return {
      loss: share * found.loss + restWeight * sum(rest),
      weights: [
        ...sizes.flatMap((size, example) => Array<number>(size).fill(share * found.weights[example]!)),
        ...rest.map(() => restWeight),
      ],
    };
  };
}

function require(isFine: boolean, where: string, expected: string, got: unknown): void {
  if (!isFine) throw new SelkieError("bad-input", `training plan: ${where}: expected ${expected}, got ${got}`);
}

/** Refuses a plan that cannot be carried out to its end, before its first update. */
function checkPlan({ documents, updates, learningRate }: TrainingPlan): void {
  require(Number.isFinite(learningRate) && learningRate >= 0, "learning rate", "a number of at least 0", learningRate);
  for (const [step, { documents: chosen, objective }] of updates.entries()) {
    const where = `update ${step}`;
    const unknown = chosen.find((index) => documents[index] === undefined);
    require(unknown === undefined, where, `indices of ${documents.length} documents`, unknown);
    if (objective?.kind === "weighted") {
      const { length } = objective.weights;
      require(length === chosen.length, where, `${chosen.length} weights, one per document`, length);
    } else if (objective?.kind === "preference") checkPreference(objective, chosen.length, where);
  }
}

function checkPreference(
  { sizes, referenceLogprobs, beta }: PlannedPreference,
  numDocuments: number,
  where: string,
): void {
  const { length } = sizes;
  require(length > 0 && length % 2 === 0, where, "an even number of examples, chosen and rejected in turn", length);
  require(sizes.every((size) => Number.isInteger(size) && size >= 1), where, "sizes of at least 1", sizes.join(", "));
  require(sum(sizes) <= numDocuments, where, `sizes that add up to at most ${numDocuments} documents`, sum(sizes));
  const references = referenceLogprobs.length;
  require(references === length, where, `${length} log-probabilities of the reference, one per example`, references);
  require(beta > 0, where, "a beta above 0", beta);
}

function batchOf({ documents }: TrainingPlan, update: PlannedUpdate): PolicyBatch {
  const chosen = update.documents.map((index) => documents[index]!);
  const { objective } = update;
  if (objective === undefined) return { documents: chosen };
  return { documents: chosen, weigh: objective.kind === "weighted" ? objective.weights : preference(objective) };
}

/**
 * Trains as planned. With a checkpoint directory, a call after a kill goes on where the last checkpoint was and ends with
 * the same bits as a run that was never interrupted.
 *
 * @throws {@link SelkieError} `"bad-input"` for a plan that does not fit together, before anything is trained; `"diverged"` when the loss stops being a number; the signal's reason, after a checkpoint,
 * when it fires.
 */
export async function trainPlanned(
  lm: CausalLm,
  plan: TrainingPlan,
  { signal, onProgress }: PlannedTrainingCall = {},
): Promise<PolicyResult> {
  const { target, updates, learningRate, schedule, seed, runKey, checkpoint } = plan;
  checkPlan(plan);
  return trainPolicy({
    ...{ lm, target, learningRate, seed, signal },
    source: (step) => batchOf(plan, updates[step]!),
    steps: updates.length,
    ...(schedule && { schedule }),
    ...(runKey !== undefined && { runKey }),
    ...(checkpoint && { checkpoint }),
    ...(onProgress && { onProgress }),
  });
}
