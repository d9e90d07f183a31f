/**
 * @file The M-step of a round: the policy is trained on what was kept, beside old text, and becomes the next policy.
 * The loss is on completion tokens alone; old text is a part of every update, because without it a dozen updates wreck
 * what the base knew (`docs/log.md`).
 */
import type { Engine } from "../../engine/index.ts";
import { encodeContinuation, encodeDocument } from "../../models/index.ts";
import {
  type CheckpointOptions,
  likelihood,
  natsWeights,
  type PlannedObjective,
  type PlannedUpdate,
  type PolicyProgress,
  type TrainDocument,
} from "../../train/index.ts";
import { createRng, type Rng, SelkieError } from "../../util/index.ts";
import type { DomainEdit } from "../domain.ts";
import type { Kept, KeptExample, KeptPair } from "./kept.ts";
import type { PolicyObjective, PolicyUpdate } from "./settings.ts";

/** Inputs of {@link maximise}. */
export interface MaximisationArgs {
  /** Its weights become those of the next policy. */
  readonly engine: Engine;
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
  { tokenizer }: Pick<Engine, "tokenizer">,
  edit: Pick<DomainEdit, "prompt" | "completion" | "isFinished">,
): TrainDocument {
  const encoded = encodeContinuation(tokenizer, edit.prompt, edit.completion);
  const tokenIds = [...encoded.tokenIds, ...(edit.isFinished ? [tokenizer.eosTokenId] : [])];
  return { tokenIds, lossMask: tokenIds.map((_, index) => (index < encoded.numPromptTokens ? 0 : 1)) };
}

const numSupervised = ({ lossMask, tokenIds }: TrainDocument): number =>
  lossMask === undefined
    ? tokenIds.length - 1
    : Array.from(lossMask).reduce((total, isLearned, index) => total + (index > 0 ? isLearned : 0), 0);

/** Examples of one update, each of the completions that count as one, and what is wanted of them. */
interface Batch {
  readonly examples: readonly (readonly TrainDocument[])[];
  readonly objective:
    | {
        readonly kind: "weighted";
        /** Of the nats of each example. */
        readonly weights: readonly number[];
      }
    | Pick<Extract<PlannedObjective, { kind: "preference" }>, "kind" | "loss" | "beta" | "referenceLogprobs">;
}

/** What can be drawn for an update. */
interface Examples {
  readonly count: number;
  batchOf(indices: readonly number[]): Batch;
}

const documentsOf = (engine: Engine, example: KeptExample): TrainDocument[] =>
  example.completions.map((edit) => completionDocument(engine, edit));

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const tokensOf = (documents: readonly TrainDocument[]): number => sum(documents.map(numSupervised));

/** Supervised: nats per token of the examples drawn, each by its weight. */
function weightedExamples(engine: Engine, kept: readonly KeptExample[]): Examples {
  const all = kept.map((example) => documentsOf(engine, example));
  return {
    count: kept.length,
    batchOf(indices) {
      const examples = indices.map((index) => all[index]!);
      const asked = indices.map((index) => kept[index]!.weight);
      const none = examples.map(() => 0); // examples without weight alone want nothing
      const weights = sum(asked) === 0 ? none : natsWeights(likelihood(asked, examples.map(tokensOf)))(none).weights;
      return { examples, objective: { kind: "weighted", weights } };
    },
  };
}

/** Pairs against what the policy gives them before it is changed. */
async function comparedPairs(
  engine: Engine,
  kept: readonly KeptPair[],
  { loss, beta }: Extract<PolicyObjective, { kind: "preference" }>,
): Promise<Examples> {
  const all = kept.flatMap(({ chosen, rejected }) => [documentsOf(engine, chosen), documentsOf(engine, rejected)]);
  const reference: number[] = [];
  for (const documents of all) {
    const { perDocument } = await engine.meanLoss(documents);
    reference.push(-sum(documents.map((document, index) => perDocument[index]! * numSupervised(document))));
  }
  return {
    count: kept.length,
    batchOf(indices) {
      const drawn = indices.flatMap((index) => [2 * index, 2 * index + 1]);
      const referenceLogprobs = drawn.map((index) => reference[index]!);
      const objective = { kind: "preference", loss, beta, referenceLogprobs } as const;
      return { examples: drawn.map((index) => all[index]!), objective };
    },
  };
}

/** Documents of a plan, each listed once. */
class DocumentList {
  readonly documents: TrainDocument[] = [];
  readonly #places = new Map<TrainDocument | string, number>();

  /** Place of the document that `key` names. */
  placeOf(key: TrainDocument | string, document: TrainDocument): number {
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    this.#places.set(key, this.documents.length);
    return this.documents.push(document) - 1;
  }
}

/** One update: what is wanted of the examples, and beside it old text to be kept, by its share. */
function withReplay(
  args: MaximisationArgs,
  list: DocumentList,
  { examples, objective }: Batch,
  rng: Rng,
): PlannedUpdate {
  const { engine, replay, update } = args;
  const { replayShare } = update;
  const own = examples.flat();
  const numReplay = replay.length === 0 ? 0 : Math.round((own.length * replayShare) / (1 - replayShare));
  const old = Array.from({ length: numReplay }, () => {
    const text = rng.choice(replay);
    return list.placeOf(text, { tokenIds: encodeDocument(engine.tokenizer, text) });
  });
  const restWeight = numReplay === 0 ? 0 : replayShare / tokensOf(old.map((place) => list.documents[place]!));
  const share = 1 - replayShare;
  const planned: PlannedObjective =
    objective.kind === "preference"
      ? { ...objective, sizes: examples.map(({ length }) => length), share, restWeight }
      : {
          kind: "weighted",
          weights: [
            ...examples.flatMap((documents, index) => documents.map(() => share * objective.weights[index]!)),
            ...old.map(() => restWeight),
          ],
        };
  return { documents: [...own.map((document) => list.placeOf(document, document)), ...old], objective: planned };
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

async function examplesOf({ engine, kept, update }: MaximisationArgs): Promise<Examples> {
  if (kept.kind === "examples") return weightedExamples(engine, kept.examples);
  if (update.objective.kind === "preference") return comparedPairs(engine, kept.pairs, update.objective);
  throw new SelkieError("bad-option", `maximise: expected examples for "${update.objective.kind}", got pairs`);
}

/** Trains the policy on what was kept; afterwards the weights in `engine` are those of the next policy. */
export async function maximise(args: MaximisationArgs): Promise<MaximisationReport> {
  const { engine, kept, update, seed, signal, onProgress, training } = args;
  const rng = createRng(seed);
  const targets = (kept.kind === "pairs" ? kept.pairs.map(({ chosen }) => chosen) : kept.examples).flatMap((example) =>
    documentsOf(engine, example),
  );
  if (targets.length === 0) return { numExamples: 0, numSteps: 0, nats: null };
  const { lossNats: before } = await engine.meanLoss(targets);
  const examples = await examplesOf(args);
  const list = new DocumentList();
  const updates = planUpdates(examples.count, update, rng).map((indices, step) =>
    withReplay(args, list, examples.batchOf(indices), rng.fork("replay", step)),
  );
  await engine.trainModel(
    {
      target: update.method === "full" ? { kind: "full" } : { kind: "lora", lora: update.lora },
      ...{ documents: list.documents, updates, learningRate: update.learningRate, seed },
      runKey: JSON.stringify([update, kept]),
      checkpoint: training,
    },
    { signal, onProgress },
  );
  const { lossNats: after } = await engine.meanLoss(targets);
  return { numExamples: examples.count, numSteps: updates.length, nats: { before, after } };
}
