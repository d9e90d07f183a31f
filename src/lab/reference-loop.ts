/**
 * @file The inner loop as SEAL's released code has it, beside ours, on the same documents: every document padded to the
 * longest the model takes with end-of-text tokens that count in the loss (its TTT_server pads to the maximum and copies the
 * ids into the labels), adapters on the query and value projections alone (the default targets of PEFT). Deviation: Hugging
 * Face's mask keeps padding from attending to padding; here it does, which real tokens, standing before it, never see.
 */
import { type ExamAnswer, type ExamItem, examine, type LearnInnerLoop, type Writer } from "../adapt/index.ts";
import { type EngineJob, withAdapters } from "../engine/index.ts";
import { encodeDocument } from "../models/index.ts";
import type { LoraConfig } from "../nn/index.ts";
import type { TrainDocument } from "../train/index.ts";

/** One way of training on a document. */
export interface LoopVariant {
  readonly name: string;
  /** Unique; names stages. */
  readonly slug: string;
  readonly isPadded: boolean;
  readonly lora: LoraConfig;
  readonly learningRate: number;
}

/** One adapter to train and to ask. */
export interface LoopTrial {
  readonly id: string;
  readonly documents: readonly string[];
  readonly items: readonly ExamItem[];
}

/** What training and asking took. */
export interface LoopTimes {
  readonly trainSeconds: number;
  readonly examSeconds: number;
  /** Rows computed in training, padding included. */
  readonly numTokens: number;
  /** Most memory that the backend held while training, MiB. */
  readonly peakMiB: number;
}

/** Our loop, its parts changed one by one into the reference's, and the reference's own. */
export function loopVariants({ lora, learningRate }: LearnInnerLoop): Readonly<Record<LoopVariantName, LoopVariant>> {
  const attention: LoraConfig = { ...lora, targets: ["q_proj", "v_proj"] };
  return {
    ours: { name: "no padding", slug: "ours", isPadded: false, lora, learningRate },
    attention: { name: "no padding, q and v alone", slug: "attention", isPadded: false, lora: attention, learningRate },
    padded: { name: "padded, with loss on the padding", slug: "padded", isPadded: true, lora, learningRate },
    paddedAttention: {
      ...{ name: "padded, q and v alone", slug: "padded-attention", isPadded: true, learningRate },
      lora: attention,
    },
    reference: {
      ...{ name: "the reference: padded, q and v, rank 32, 1e-3", slug: "reference", isPadded: true },
      lora: { loraRank: 32, loraAlpha: 64, targets: ["q_proj", "v_proj"] },
      learningRate: 1e-3,
    },
  };
}

/** Names of the variants. */
export type LoopVariantName = "ours" | "attention" | "padded" | "paddedAttention" | "reference";

/** A document filled up to `length` tokens; the loss is on all of them. */
export function padDocument({ tokenIds }: TrainDocument, length: number, padding: number): TrainDocument {
  const own = Array.from(tokenIds).slice(0, length);
  return { tokenIds: [...own, ...Array.from({ length: length - own.length }, () => padding)] };
}

/** The training of a trial by a variant. */
export function jobOf(
  { engine }: Writer,
  { epochs, documentsPerStep }: Pick<LearnInnerLoop, "epochs" | "documentsPerStep">,
  { isPadded, lora, learningRate }: LoopVariant,
  { id, documents }: LoopTrial,
): EngineJob {
  const { model, tokenizer } = engine;
  const plain = documents.map((text): TrainDocument => ({ tokenIds: encodeDocument(tokenizer, text) }));
  const padded = () => plain.map((document) => padDocument(document, model.maxSeqLen, tokenizer.eosTokenId));
  return { id, documents: isPadded ? padded() : plain, lora, learningRate, epochs, documentsPerStep };
}

/** Trains all of them at once and asks them together. */
export async function examineTogether(
  context: Writer,
  jobs: readonly EngineJob[],
  trials: readonly LoopTrial[],
  clock: () => number,
): Promise<LoopTimes & { readonly answers: ExamAnswer[][] }> {
  const { engine, signal } = context;
  const began = clock();
  const results = await engine.trainAdapters({ jobs, seed: "reference-loop" }, { signal });
  const trained = clock();
  const peakMiB = (await engine.stats()).peakBytes / 2 ** 20;
  const adapters = results.map(({ adapter }) => adapter);
  const answers = await withAdapters(engine, adapters, (ids) =>
    examine(
      context,
      trials.map(({ items }, index) => ({ items, adapter: ids[index]! })),
    ),
  );
  return {
    answers,
    trainSeconds: (trained - began) / 1000,
    examSeconds: (clock() - trained) / 1000,
    numTokens: results.reduce((total, { numTokens }) => total + numTokens, 0),
    peakMiB,
  };
}

/** The same, one after another: the times of all. */
export async function examineInTurn(
  context: Writer,
  jobs: readonly EngineJob[],
  trials: readonly LoopTrial[],
  clock: () => number,
): Promise<LoopTimes> {
  const total = { trainSeconds: 0, examSeconds: 0, numTokens: 0, peakMiB: 0 };
  for (const [index, job] of jobs.entries()) {
    const one = await examineTogether(context, [job], [trials[index]!], clock);
    total.trainSeconds += one.trainSeconds;
    total.examSeconds += one.examSeconds;
    total.numTokens += one.numTokens;
    total.peakMiB = Math.max(total.peakMiB, one.peakMiB);
  }
  return total;
}
