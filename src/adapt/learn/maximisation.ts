/**
 * @file The M-step of a round: the policy is trained on what was kept, beside old text, and becomes the next policy.
 * The loss is on completion tokens alone; old text is a part of every update, because without it a dozen updates wreck
 * what the base knew (`docs/log.md`).
 */
import { type Checkpoint, encodeDocument, encodePrompt, mergeAdapter } from "../../models/index.ts";
import {
  type CheckpointOptions,
  meanLoss,
  type PolicyBatch,
  type PolicyProgress,
  type TrainDocument,
  trainPolicy,
} from "../../train/index.ts";
import { createRng, type Rng } from "../../util/index.ts";
import type { SampledEdit } from "../propose.ts";
import type { Kept, KeptExample } from "./kept.ts";
import { preferenceLoss } from "./preference.ts";
import type { PolicyUpdate } from "./settings.ts";

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
export function completionDocument(checkpoint: Checkpoint, edit: SampledEdit): TrainDocument {
  const { tokenizer } = checkpoint;
  const promptIds = encodePrompt(tokenizer, edit.prompt);
  const end = edit.isFinished ? [tokenizer.eosTokenId] : [];
  const tokenIds = [...promptIds, ...tokenizer.encode(edit.completion), ...end];
  return { tokenIds, lossMask: tokenIds.map((_, index) => (index < promptIds.length ? 0 : 1)) };
}

const numSupervised = ({ lossMask, tokenIds }: TrainDocument): number =>
  lossMask === undefined
    ? tokenIds.length - 1
    : Array.from(lossMask).reduce((total, isLearned, index) => total + (index > 0 ? isLearned : 0), 0);

/** Documents with weights that sum, over their tokens, to `share`. */
interface Part {
  readonly documents: readonly TrainDocument[];
  readonly weights: readonly number[];
}

function partOf(documents: readonly TrainDocument[], relative: readonly number[], share: number): Part {
  const tokens = documents.reduce((total, document, index) => total + relative[index]! * numSupervised(document), 0);
  return { documents, weights: relative.map((weight) => (tokens === 0 ? 0 : (share * weight) / tokens)) };
}

/** Old text of one update, `count` documents of it. */
function replayPart(args: MaximisationArgs, count: number, rng: Rng): Part {
  const { update, replay, checkpoint } = args;
  const texts = replay.length === 0 ? [] : Array.from({ length: count }, () => rng.choice(replay));
  const documents = texts.map((text) => ({ tokenIds: encodeDocument(checkpoint.tokenizer, text) }));
  return partOf(
    documents,
    documents.map(() => 1),
    update.replayShare,
  );
}

/** Documents of one preference pair, and where they are in its update. */
interface PreparedPair {
  readonly documents: readonly TrainDocument[];
  readonly numChosen: number;
  /** Nats of the documents under the policy before the update. */
  readonly reference: readonly number[];
}

const documentsOf = (checkpoint: Checkpoint, example: KeptExample): TrainDocument[] =>
  example.completions.map((edit) => completionDocument(checkpoint, edit));

/** What can be drawn for an update: `of(indices)` makes a batch of these, with old text beside them. */
interface Lessons {
  readonly count: number;
  batch(indices: readonly number[], rng: Rng): PolicyBatch;
}

function exampleLessons(args: MaximisationArgs, examples: readonly KeptExample[]): Lessons {
  const { checkpoint, update } = args;
  const prepared = examples.map((example) => ({ weight: example.weight, documents: documentsOf(checkpoint, example) }));
  const numReplay = replayCount(update, 1);
  return {
    count: examples.length,
    batch(indices, rng) {
      const drawn = indices.flatMap((index) => prepared[index]!.documents.map((document) => ({ document, index })));
      const own = partOf(
        drawn.map(({ document }) => document),
        drawn.map(({ index }) => prepared[index]!.weight),
        1 - update.replayShare,
      );
      const old = replayPart(args, Math.round(numReplay * drawn.length), rng);
      return { documents: [...own.documents, ...old.documents], weigh: [...own.weights, ...old.weights] };
    },
  };
}

/** Replay documents per document of one's own, so that they are their share of all. */
const replayCount = ({ replayShare }: PolicyUpdate, numDocuments: number): number =>
  (numDocuments * replayShare) / (1 - replayShare);

function pairLessons(args: MaximisationArgs, pairs: readonly PreparedPair[]): Lessons {
  const { update } = args;
  const { objective, replayShare } = update;
  if (objective.kind !== "preference") throw new TypeError("internal: pairs are of the preference objective");
  return {
    count: pairs.length,
    batch(indices, rng) {
      const drawn = indices.map((index) => pairs[index]!);
      const own = drawn.flatMap(({ documents }) => documents);
      const old = replayPart(args, Math.round(replayCount(update, own.length)), rng);
      const weigh = (nats: readonly number[]) => {
        let next = 0;
        let loss = 0;
        const weights = drawn.flatMap(({ documents, numChosen, reference }) => {
          const margins = documents.map((_, at) => reference[at]! - nats[next + at]!);
          const margin = margins.reduce((total, value, at) => total + (at < numChosen ? value : -value), 0);
          next += documents.length;
          const found = preferenceLoss(objective.loss, margin, objective.beta);
          const scale = (1 - replayShare) / drawn.length;
          loss += scale * found.loss;
          return documents.map((_, at) => scale * (at < numChosen ? -found.gradient : found.gradient)); // d margin / d nats
        });
        old.weights.forEach((weight, at) => {
          loss += weight * nats[own.length + at]!;
        });
        return { loss, weights: [...weights, ...old.weights] };
      };
      return { documents: [...own, ...old.documents], weigh };
    },
  };
}

/** Pairs as documents, with what the policy gives them before it is changed. */
function preparePairs(checkpoint: Checkpoint, kept: Extract<Kept, { kind: "pairs" }>): PreparedPair[] {
  return kept.pairs.map(({ chosen, rejected }) => {
    const better = documentsOf(checkpoint, chosen);
    const documents = [...better, ...documentsOf(checkpoint, rejected)];
    const { perDocument } = meanLoss(checkpoint.lm, documents);
    const reference = documents.map((document, index) => perDocument[index]! * numSupervised(document));
    return { documents, numChosen: better.length, reference };
  });
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
  const lessons =
    kept.kind === "pairs" ? pairLessons(args, preparePairs(checkpoint, kept)) : exampleLessons(args, kept.examples);
  const plan = planUpdates(lessons.count, update, rng);
  const { adapter } = await trainPolicy({
    lm,
    target: update.method === "full" ? { kind: "full" } : { kind: "lora", lora: update.lora },
    source: (step) => lessons.batch(plan[step]!, rng.fork("replay", step)),
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
  return { numExamples: lessons.count, numSteps: plan.length, nats: { before, after } };
}
