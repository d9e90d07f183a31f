/**
 * @file The M-step of a round: the policy is trained on what was kept, beside old text, and becomes the next policy.
 * The loss is on completion tokens alone; old text is a part of every update, because without it a dozen updates wreck
 * what the base knew (`docs/log.md`).
 */
import { type Checkpoint, encodeContinuation, encodeDocument, mergeAdapter } from "../../models/index.ts";
import {
  type CheckpointOptions,
  dpo,
  ipo,
  likelihood,
  meanLoss,
  natsWeights,
  type PolicyBatch,
  type PolicyProgress,
  type SequenceObjective,
  type TrainDocument,
  trainPolicy,
} from "../../train/index.ts";
import { createRng, type Rng, SelkieError } from "../../util/index.ts";
import type { DomainEdit } from "../domain.ts";
import type { Kept, KeptExample, KeptPair } from "./kept.ts";
import type { PolicyObjective, PolicyUpdate } from "./settings.ts";

/** Inputs of {@link maximise}. */
export interface MaximisationArgs {
  /** Its weights become those of the next policy. */
  readonly checkpoint: Checkpoint;
  readonly kept: Kept;
  readonly update: PolicyUpdate;
  /** Old text; may be empty when the share is 0. */
  readonly replay: readonly string[];
  readonly seed: string;
  /** Where the training state is kept, so that a killed M-step goes on. */
  readonly training?: CheckpointOptions;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: PolicyProgress) => void;
}

/** What the M-step did. */
export interface MaximisationReport {
  readonly numExamples: number;
  readonly numSteps: number;
  /** Nats per completion token of the kept (chosen) completions, before and after; `null` when nothing was kept. */
  readonly nats: { readonly before: number; readonly after: number } | null;
}

/** Prompt and completion as one document whose loss is on the completion, and on its end where it was not cut. */
export function completionDocument(
  checkpoint: Checkpoint,
  edit: Pick<DomainEdit, "prompt" | "completion" | "isFinished">,
): TrainDocument {
  const { tokenizer } = checkpoint;
  const encoded = encodeContinuation(tokenizer, edit.prompt, edit.completion);
  const tokenIds = [...encoded.tokenIds, ...(edit.isFinished ? [tokenizer.eosTokenId] : [])];
  return { tokenIds, lossMask: tokenIds.map((_, index) => (index < encoded.numPromptTokens ? 0 : 1)) };
}

const numSupervised = ({ lossMask, tokenIds }: TrainDocument): number =>
  lossMask === undefined
    ? tokenIds.length - 1
    : Array.from(lossMask).reduce((total, isLearned, index) => total + (index > 0 ? isLearned : 0), 0);

/** Examples of one update, with what is wanted of their log-probabilities. */
interface Batch {
  /** Documents of each example: the completions that count as one. */
  readonly examples: readonly (readonly TrainDocument[])[];
  readonly objective: SequenceObjective;
  /** Its gradient does not depend on the log-probabilities, so that none need be measured before the update. */
  readonly isLinear: boolean;
}

/** What can be drawn for an update. */
interface Examples {
  readonly count: number;
  batchOf(indices: readonly number[]): Batch;
}

const documentsOf = (checkpoint: Checkpoint, example: KeptExample): TrainDocument[] =>
  example.completions.map((edit) => completionDocument(checkpoint, edit));

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const tokensOf = (documents: readonly TrainDocument[]): number => sum(documents.map(numSupervised));

/** Supervised: nats per token of the examples drawn, each by its weight. */
function weightedExamples(checkpoint: Checkpoint, kept: readonly KeptExample[]): Examples {
  const all = kept.map((example) => documentsOf(checkpoint, example));
  return {
    count: kept.length,
    batchOf(indices) {
      const examples = indices.map((index) => all[index]!);
      const weights = indices.map((index) => kept[index]!.weight);
      const objective = sum(weights) === 0 ? indifferent : likelihood(weights, examples.map(tokensOf));
      return { examples, objective, isLinear: true };
    },
  };
}

/** Wants nothing: an update of weightless examples alone. */
const indifferent: SequenceObjective = (logprobs) => ({ loss: 0, gradient: new Float64Array(logprobs.length) });

/** Pairs against what the policy gives them before it is changed. */
function comparedPairs(
  checkpoint: Checkpoint,
  kept: readonly KeptPair[],
  { loss, beta }: Extract<PolicyObjective, { kind: "preference" }>,
): Examples {
  const all = kept.flatMap(({ chosen, rejected }) => [
    documentsOf(checkpoint, chosen),
    documentsOf(checkpoint, rejected),
  ]);
  const reference = all.map((documents) => {
    const { perDocument } = meanLoss(checkpoint.lm, documents);
    return -sum(documents.map((document, index) => perDocument[index]! * numSupervised(document)));
  });
  return {
    count: kept.length,
    batchOf(indices) {
      const drawn = indices.flatMap((index) => [2 * index, 2 * index + 1]);
      const pairs = indices.map((_, place) => ({ chosen: 2 * place, rejected: 2 * place + 1 }));
      const referenceLogprobs = drawn.map((index) => reference[index]!);
      const objective = (loss === "dpo" ? dpo : ipo)({ pairs, referenceLogprobs, beta });
      return { examples: drawn.map((index) => all[index]!), objective, isLinear: false };
    },
  };
}

/** One update: what is wanted of the examples, and beside it old text to be kept, by its share. */
function withReplay(args: MaximisationArgs, { examples, objective, isLinear }: Batch, rng: Rng): PolicyBatch {
  const { checkpoint, replay, update } = args;
  const { replayShare } = update;
  const own = examples.flat();
  const numReplay = replay.length === 0 ? 0 : Math.round((own.length * replayShare) / (1 - replayShare));
  const old = Array.from({ length: numReplay }, () => ({
    tokenIds: encodeDocument(checkpoint.tokenizer, rng.choice(replay)),
  }));
  const weighExamples = natsWeights(objective);
  const oldWeight = numReplay === 0 ? 0 : replayShare / tokensOf(old);
  const weigh = (nats: readonly number[]) => {
    let next = 0;
    const perExample = examples.map((documents) => sum(documents.map(() => nats[next++]!)));
    const { loss, weights } = weighExamples(perExample);
    const oldLoss = oldWeight * sum(nats.slice(own.length));
    return {
      loss: (1 - replayShare) * loss + oldLoss,
      weights: [
        ...examples.flatMap((documents, index) => documents.map(() => (1 - replayShare) * weights[index]!)),
        ...old.map(() => oldWeight),
      ],
    };
  };
  const documents = [...own, ...old];
  return { documents, weigh: isLinear ? weigh(documents.map(() => 0)).weights : weigh };
}

/** Indices of the examples of each update: epoch after epoch, each in its own random order. */
function planUpdates(count: number, { epochs, documentsPerStep }: PolicyUpdate, rng: Rng): number[][] {
  const order = Array.from({ length: epochs }, (_, epoch) =>
    rng.fork("epoch", epoch).shuffle([...Array(count).keys()]),
  ).flat();
  return Array.from({ length: Math.ceil(order.length / documentsPerStep) }, (_, step) =>
    order.slice(step * documentsPerStep, (step + 1) * documentsPerStep),
  );
}

function examplesOf({ checkpoint, kept, update }: MaximisationArgs): Examples {
  if (kept.kind === "examples") return weightedExamples(checkpoint, kept.examples);
  if (update.objective.kind === "preference") return comparedPairs(checkpoint, kept.pairs, update.objective);
  throw new SelkieError("bad-option", `maximise: expected examples for "${update.objective.kind}", got pairs`);
}

/** Trains the policy on what was kept and merges what it learned, so that `checkpoint.lm` is the next policy. */
export async function maximise(args: MaximisationArgs): Promise<MaximisationReport> {
  const { checkpoint, kept, update, seed, signal, onProgress, training } = args;
  const { lm } = checkpoint;
  const rng = createRng(seed);
  const targets = (kept.kind === "pairs" ? kept.pairs.map(({ chosen }) => chosen) : kept.examples).flatMap((example) =>
    documentsOf(checkpoint, example),
  );
  if (targets.length === 0) return { numExamples: 0, numSteps: 0, nats: null };
  const before = meanLoss(lm, targets).lossNats;
  const examples = examplesOf(args);
  const plan = planUpdates(examples.count, update, rng);
  const { adapter } = await trainPolicy({
    lm,
    target: update.method === "full" ? { kind: "full" } : { kind: "lora", lora: update.lora },
    source: (step) => withReplay(args, examples.batchOf(plan[step]!), rng.fork("replay", step)),
    steps: plan.length,
    learningRate: update.learningRate,
    seed,
    runKey: JSON.stringify([update, kept]),
    ...(training && { checkpoint: training }),
    signal,
    ...(onProgress && { onProgress }),
  });
  if (adapter !== null) mergeAdapter(lm, adapter);
  const after = meanLoss(lm, targets).lossNats;
  return { numExamples: examples.count, numSteps: plan.length, nats: { before, after } };
}
