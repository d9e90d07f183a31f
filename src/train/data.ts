/**
 * @file Documents to packed batches. A document becomes rows "this token predicts the next one"; documents lie one
 * after another without padding, each attends to itself alone and counts its positions from 0.
 */
import type { TokenBatch } from "../models/index.ts";
import { packedLayout } from "../tensor/index.ts";
import { countOf, type Rng, SelkieError } from "../util/index.ts";

/** What a teacher expects at each token of a document: the `topK` likeliest tokens there and their probabilities. */
export interface SoftTargets {
  readonly topK: number;
  /** `[T · topK]`; entries of token 0, which nothing predicts, are ignored. */
  readonly tokenIds: Int32Array;
  /** `[T · topK]`, summing to 1 for each token. */
  readonly probs: Float32Array;
}

/** Token ids and which of them are learned. */
export interface TrainDocument {
  readonly tokenIds: ArrayLike<number>;
  /** `lossMask[i] = 1`: token `i` is a supervised target. The first token has no context and is never one. @defaultValue all ones */
  readonly lossMask?: ArrayLike<number>;
  /** Learned in place of the tokens themselves: the loss is the cross-entropy to these. @defaultValue the tokens */
  readonly softTargets?: SoftTargets;
}

/** One sequence ready to be packed. Row `i` holds token `i` and predicts token `i + 1`. */
export interface PreparedDocument {
  /** `[T]`. */
  readonly tokenIds: Int32Array;
  /** `[T]`: the next token; -1 in the last row. */
  readonly targets: Int32Array;
  /** `[T]`: 1 where the row's target is supervised. */
  readonly lossMask: Uint8Array;
  readonly numSupervised: number;
  /** Rows up to the last supervised one; later rows cannot affect the loss. */
  readonly numUsefulRows: number;
  /** Index of the document it came from. */
  readonly documentIndex: number;
  /** By row: entry `i` is what row `i` is to predict. */
  readonly softTargets: SoftTargets | null;
}

/** Limits that documents are checked against. */
export interface PrepareOptions {
  /** Longer documents are split. @defaultValue Infinity */
  readonly maxSeqLen?: number;
  /** Token ids must be below it. @defaultValue Infinity */
  readonly vocabSize?: number;
}

/** Sequences, and what was done to the documents to get them. */
export interface PreparedDocuments {
  readonly sequences: readonly PreparedDocument[];
  /** One line per document that was split or has nothing to learn. */
  readonly notes: readonly string[];
}

/** Rows of a forward pass with their targets. */
export interface PackedBatch {
  readonly batch: TokenBatch;
  /** `[N]`; -1 where a document ends. */
  readonly targets: Int32Array;
  /** `[N]`; 1 where the row counts in the loss. */
  readonly lossMask: Uint8Array;
  /** Rows, `N`. */
  readonly numTokens: number;
  readonly numSupervised: number;
  /** Row ranges of the sequences, `[B + 1]`. */
  readonly offsets: Int32Array;
  readonly notes: readonly string[];
}

/** Options of {@link packSequences}. */
export interface PackOptions {
  /** Leaves out the rows of each document after its last supervised one: the same loss for less work. @defaultValue false */
  readonly trim?: boolean;
}

function checkTokens(document: TrainDocument, documentIndex: number, vocabSize: number): void {
  const { tokenIds, lossMask, softTargets } = document;
  const numSoft = softTargets === undefined ? 0 : tokenIds.length * softTargets.topK;
  if (softTargets !== undefined && (softTargets.tokenIds.length !== numSoft || softTargets.probs.length !== numSoft))
    throw new SelkieError(
      "bad-input",
      `document ${documentIndex}: expected ${numSoft} soft targets, ${softTargets.topK} for each token, got ${softTargets.tokenIds.length} and ${softTargets.probs.length}`,
    );
  if (lossMask !== undefined && lossMask.length !== tokenIds.length)
    throw new SelkieError(
      "bad-input",
      `document ${documentIndex}: expected a lossMask of ${tokenIds.length} entries, got ${lossMask.length}`,
    );
  for (let i = 0; i < tokenIds.length; i++) {
    const id = tokenIds[i]!;
    if (!(Number.isInteger(id) && id >= 0 && id < vocabSize))
      throw new SelkieError(
        "bad-input",
        `document ${documentIndex}: expected token ids from 0 to ${vocabSize - 1}, got ${id}; use the tokenizer of this model`,
      );
  }
}

/** Tokens `start .. end` of a document as one sequence. */
function prepareSequence(document: TrainDocument, start: number, end: number, documentIndex: number): PreparedDocument {
  const length = end - start;
  const tokenIds = new Int32Array(length);
  const targets = new Int32Array(length).fill(-1);
  const lossMask = new Uint8Array(length);
  let numSupervised = 0;
  let numUsefulRows = 0;
  for (let i = 0; i < length; i++) {
    tokenIds[i] = document.tokenIds[start + i]!;
    if (i === 0) continue;
    targets[i - 1] = tokenIds[i]!;
    if (document.lossMask !== undefined && document.lossMask[start + i] === 0) continue;
    lossMask[i - 1] = 1;
    numSupervised++;
    numUsefulRows = i;
  }
  const softTargets = document.softTargets === undefined ? null : cutSoftTargets(document.softTargets, start, end);
  return { tokenIds, targets, lossMask, numSupervised, numUsefulRows, documentIndex, softTargets };
}

/** Expectations of tokens `start + 1 .. end`, which rows `start .. end - 1` predict. */
function cutSoftTargets({ topK, tokenIds, probs }: SoftTargets, start: number, end: number): SoftTargets {
  const [from, to] = [(start + 1) * topK, end * topK];
  return { topK, tokenIds: tokenIds.subarray(from, to), probs: probs.subarray(from, to) };
}

/**
 * Checks documents and splits those longer than `maxSeqLen`. Parts overlap by one token, the target of one part and the
 * context of the next, so that no supervised token is lost.
 */
export function prepareDocuments(documents: readonly TrainDocument[], options: PrepareOptions = {}): PreparedDocuments {
  const { maxSeqLen = Infinity, vocabSize = Infinity } = options;
  if (maxSeqLen < 2)
    throw new SelkieError("bad-option", `documents: expected maxSeqLen of at least 2, got ${maxSeqLen}`);
  const sequences: PreparedDocument[] = [];
  const notes: string[] = [];
  documents.forEach((document, documentIndex) => {
    checkTokens(document, documentIndex, vocabSize);
    const length = document.tokenIds.length;
    const first = sequences.length;
    let numSupervised = 0;
    for (let start = 0; start === 0 || start + 1 < length; start += maxSeqLen - 1) {
      const sequence = prepareSequence(document, start, Math.min(length, start + maxSeqLen), documentIndex);
      numSupervised += sequence.numSupervised;
      if (sequence.numSupervised > 0) sequences.push(sequence);
    }
    if (numSupervised === 0)
      notes.push(`document ${documentIndex}: no supervised tokens among ${length}; nothing to learn`);
    else if (length > maxSeqLen)
      notes.push(
        `document ${documentIndex}: ${countOf(length, "token")}, split into ${sequences.length - first} parts of at most ${maxSeqLen}`,
      );
  });
  return { sequences, notes };
}

/** Copies sequences one after another into one batch. */
export function packSequences(sequences: readonly PreparedDocument[], options: PackOptions = {}): PackedBatch {
  const rowsOf = (sequence: PreparedDocument): number =>
    options.trim ? sequence.numUsefulRows : sequence.tokenIds.length;
  const offsets = new Int32Array(sequences.length + 1);
  sequences.forEach((sequence, index) => {
    offsets[index + 1] = offsets[index]! + rowsOf(sequence);
  });
  const numTokens = offsets[sequences.length]!;
  const tokenIds = new Int32Array(numTokens);
  const positionIds = new Int32Array(numTokens);
  const targets = new Int32Array(numTokens);
  const lossMask = new Uint8Array(numTokens);
  let numSupervised = 0;
  sequences.forEach((sequence, index) => {
    const start = offsets[index]!;
    const length = rowsOf(sequence);
    tokenIds.set(sequence.tokenIds.subarray(0, length), start);
    targets.set(sequence.targets.subarray(0, length), start);
    lossMask.set(sequence.lossMask.subarray(0, length), start);
    for (let i = 0; i < length; i++) positionIds[start + i] = i;
    numSupervised += sequence.numSupervised;
  });
  const batch = { tokenIds, positionIds, layout: packedLayout(offsets) };
  return { batch, targets, lossMask, numTokens, numSupervised, offsets, notes: [] };
}

/**
 * Packs documents into one batch without padding; documents longer than `maxSeqLen` are split with a note.
 *
 * @throws {@link SelkieError} `"no-supervised-tokens"` when nothing would be learned.
 */
export function packDocuments(
  documents: readonly TrainDocument[],
  options: PrepareOptions & PackOptions = {},
): PackedBatch {
  const { sequences, notes } = prepareDocuments(documents, options);
  requireSupervised(sequences, "packDocuments");
  return { ...packSequences(sequences, options), notes };
}

/** Throws unless at least one token is supervised. */
export function requireSupervised(sequences: readonly PreparedDocument[], where: string): void {
  if (sequences.some((sequence) => sequence.numSupervised > 0)) return;
  throw new SelkieError(
    "no-supervised-tokens",
    `${where}: expected at least one supervised token, got none; a document needs two tokens and a lossMask that is not all 0`,
  );
}

/** Cuts a list, in order, into runs whose rows sum to at most `maxRows`; an item larger than that stands alone. */
export function cutByRows<T>(items: readonly T[], rowsOf: (item: T) => number, maxRows: number): T[][] {
  const runs: T[][] = [];
  let rows = Infinity;
  for (const item of items) {
    rows += rowsOf(item);
    if (rows > maxRows) {
      runs.push([]);
      rows = rowsOf(item);
    }
    runs.at(-1)!.push(item);
  }
  return runs;
}

/**
 * One epoch of batches: document indices in random order, at most `maxTokensPerBatch` tokens each (a longer document
 * stands alone). Every document appears exactly once.
 */
export function planBatches(lengths: readonly number[], maxTokensPerBatch: number, rng: Rng): number[][] {
  return cutByRows(rng.shuffle([...lengths.keys()]), (index) => lengths[index]!, maxTokensPerBatch);
}

/** Documents of update `step`, from 0. They must depend on `step` alone, so that a run can resume anywhere. */
export type DocumentSource = (step: number) => readonly TrainDocument[] | Promise<readonly TrainDocument[]>;

/** Goes through `documents` epoch after epoch, each in its own random order, about `tokensPerStep` tokens per update. */
export function epochSource(documents: readonly TrainDocument[], tokensPerStep: number, rng: Rng): DocumentSource {
  if (documents.length === 0)
    throw new SelkieError("no-documents", "training: expected at least one document, got none");
  const lengths = documents.map((document) => document.tokenIds.length);
  const plan: number[][] = [];
  let epoch = 0;
  return (step) => {
    while (plan.length <= step) plan.push(...planBatches(lengths, tokensPerStep, rng.fork("epoch", epoch++)));
    return plan[step]!.map((index) => documents[index]!);
  };
}
