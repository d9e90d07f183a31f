/**
 * @file Data to packed batches. A datum is rows "after this token, predict that one", each with a weight of its own; data
 * lie one after another without padding, each attends to itself alone and counts its positions from 0.
 */
import type { TokenBatch } from "../models/index.ts";
import { packedLayout } from "../tensor/index.ts";
import { countOf, SelkieError } from "../util/index.ts";

/** What a teacher expects at each token of a document: the `topK` likeliest tokens there and their probabilities. */
export interface SoftTargets {
  readonly topK: number;
  /** `[T · topK]`; entries of token 0, which nothing predicts, are ignored. */
  readonly tokenIds: Int32Array;
  /** `[T · topK]`, summing to 1 for each token. */
  readonly probs: Float32Array;
}

/**
 * Rows to learn from. Row `i` has read tokens `0 .. i` and is to predict `targets[i]`; what that counts, and whether it is
 * to become likelier or less likely, is `weights[i]`.
 */
export interface Datum {
  /** `[T]`. */
  readonly tokenIds: ArrayLike<number>;
  /** `[T]`: token ids; negative where nothing is predicted. */
  readonly targets: ArrayLike<number>;
  /** `[T]`, finite, f32: 0 where a target is not supervised; may be a fraction, or negative. */
  readonly weights: ArrayLike<number>;
  /** By row, `[T · topK]`: learned in place of the targets. @defaultValue the targets */
  readonly softTargets?: SoftTargets;
  /** `[T]` each: numbers that an objective asks for by name, such as `samplerLogprobs` and `advantages`. @defaultValue none */
  readonly extras?: Readonly<Record<string, ArrayLike<number>>>;
}

/** A text to learn: the short form of a {@link Datum} whose rows predict the next token. */
export interface TrainDocument {
  readonly tokenIds: ArrayLike<number>;
  /** `lossMask[i] = 1`: token `i` is a supervised target. The first token has no context and is never one. @defaultValue all ones */
  readonly lossMask?: ArrayLike<number>;
  /** Learned in place of the tokens themselves: the loss is the cross-entropy to these. @defaultValue the tokens */
  readonly softTargets?: SoftTargets;
}

/** What everything that trains or measures takes. */
export type DatumLike = Datum | TrainDocument;

/** One sequence ready to be packed: a {@link Datum} that was checked, or a part of one. */
export interface PreparedDocument {
  /** `[T]`. */
  readonly tokenIds: Int32Array;
  /** `[T]`; -1 where nothing is predicted. */
  readonly targets: Int32Array;
  /** `[T]`; 0 where the row's target is not supervised. */
  readonly weights: Float32Array;
  readonly numSupervised: number;
  /** Rows up to the last supervised one; later rows cannot affect the loss. */
  readonly numUsefulRows: number;
  /** Index of the datum it came from. */
  readonly documentIndex: number;
  /** By row: entry `i` is what row `i` is to predict. */
  readonly softTargets: SoftTargets | null;
  /** `[T]` each. */
  readonly extras: Readonly<Record<string, Float32Array>>;
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
  /** `[N]`: what the row counts in the loss; 0 where it does not. */
  readonly weights: Float32Array;
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

function requireLength(where: string, what: string, expected: number, got: number): void {
  if (expected !== got)
    throw new SelkieError("bad-input", `${where}: expected ${what} of ${expected} entries, got ${got}`);
}

function requireIds(where: string, ids: ArrayLike<number>, lowest: number, vocabSize: number): void {
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i]!;
    if (!(Number.isInteger(id) && id >= lowest && id < vocabSize))
      throw new SelkieError(
        "bad-input",
        `${where}: expected token ids from 0 to ${vocabSize - 1}, got ${id}; use the tokenizer of this model`,
      );
  }
}

function check(datum: DatumLike, documentIndex: number, vocabSize: number): void {
  const where = `document ${documentIndex}`;
  const { tokenIds, softTargets } = datum;
  const numSoft = softTargets === undefined ? 0 : tokenIds.length * softTargets.topK;
  if (softTargets !== undefined && (softTargets.tokenIds.length !== numSoft || softTargets.probs.length !== numSoft))
    throw new SelkieError(
      "bad-input",
      `${where}: expected ${numSoft} soft targets, ${softTargets.topK} for each token, got ${softTargets.tokenIds.length} and ${softTargets.probs.length}`,
    );
  requireIds(where, tokenIds, 0, vocabSize);
  if (!("targets" in datum)) {
    if (datum.lossMask !== undefined) requireLength(where, "a lossMask", tokenIds.length, datum.lossMask.length);
    return;
  }
  requireLength(where, "targets", tokenIds.length, datum.targets.length);
  requireLength(where, "weights", tokenIds.length, datum.weights.length);
  requireIds(where, datum.targets, Number.NEGATIVE_INFINITY, vocabSize);
  if (!Array.from(datum.weights).every(Number.isFinite))
    throw new SelkieError("bad-input", `${where}: expected finite weights, got ${Array.from(datum.weights)}`);
  for (const [name, values] of Object.entries(datum.extras ?? {}))
    requireLength(where, name, tokenIds.length, values.length);
}

/** The rows of a document: each token is the target of the row before it. A datum is returned as it is. */
export function toDatum(document: DatumLike): Datum {
  if ("targets" in document) return document;
  const { tokenIds, lossMask, softTargets } = document;
  const length = tokenIds.length;
  const targets = new Int32Array(length).fill(-1);
  const weights = new Float32Array(length);
  for (let i = 1; i < length; i++) {
    targets[i - 1] = tokenIds[i]!;
    weights[i - 1] = lossMask === undefined || lossMask[i] !== 0 ? 1 : 0;
  }
  if (softTargets === undefined) return { tokenIds, targets, weights };
  const { topK } = softTargets;
  const rows: SoftTargets = { topK, tokenIds: new Int32Array(length * topK), probs: new Float32Array(length * topK) };
  rows.tokenIds.set(softTargets.tokenIds.subarray(topK));
  rows.probs.set(softTargets.probs.subarray(topK));
  return { tokenIds, targets, weights, softTargets: rows };
}

/** Rows `start .. end` of a datum as one sequence. The last row of a part predicts nothing: the next part begins with it. */
function prepareSequence(datum: Datum, start: number, end: number, documentIndex: number): PreparedDocument {
  const length = end - start;
  const tokenIds = new Int32Array(length);
  const targets = new Int32Array(length).fill(-1);
  const weights = new Float32Array(length);
  let numSupervised = 0;
  let numUsefulRows = 0;
  for (let i = 0; i < length; i++) {
    tokenIds[i] = datum.tokenIds[start + i]!;
    const isSeam = i === length - 1 && end < datum.tokenIds.length;
    if (isSeam || datum.targets[start + i]! < 0) continue;
    targets[i] = datum.targets[start + i]!;
    weights[i] = datum.weights[start + i]!;
    if (weights[i] === 0) continue;
    numSupervised++;
    numUsefulRows = i + 1;
  }
  const soft = datum.softTargets;
  const softTargets = soft === undefined ? null : cutSoftTargets(soft, start, start + numUsefulRows);
  const extras = Object.fromEntries(
    Object.entries(datum.extras ?? {}).map(([name, values]) => [
      name,
      Float32Array.from({ length }, (_, i) => values[start + i]!),
    ]),
  );
  return { tokenIds, targets, weights, numSupervised, numUsefulRows, documentIndex, softTargets, extras };
}

function cutSoftTargets({ topK, tokenIds, probs }: SoftTargets, start: number, end: number): SoftTargets {
  return {
    topK,
    tokenIds: tokenIds.subarray(start * topK, end * topK),
    probs: probs.subarray(start * topK, end * topK),
  };
}

/**
 * Checks documents and splits those longer than `maxSeqLen`. Parts overlap by one token, the target of one part and the
 * context of the next, so that no supervised token is lost.
 */
export function prepareDocuments(documents: readonly DatumLike[], options: PrepareOptions = {}): PreparedDocuments {
  const { maxSeqLen = Infinity, vocabSize = Infinity } = options;
  if (maxSeqLen < 2)
    throw new SelkieError("bad-option", `documents: expected maxSeqLen of at least 2, got ${maxSeqLen}`);
  const sequences: PreparedDocument[] = [];
  const notes: string[] = [];
  documents.forEach((document, documentIndex) => {
    check(document, documentIndex, vocabSize);
    const datum = toDatum(document);
    const length = document.tokenIds.length;
    const first = sequences.length;
    let numSupervised = 0;
    for (let start = 0; start === 0 || start + 1 < length; start += maxSeqLen - 1) {
      const sequence = prepareSequence(datum, start, Math.min(length, start + maxSeqLen), documentIndex);
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
  const weights = new Float32Array(numTokens);
  let numSupervised = 0;
  sequences.forEach((sequence, index) => {
    const start = offsets[index]!;
    const length = rowsOf(sequence);
    tokenIds.set(sequence.tokenIds.subarray(0, length), start);
    targets.set(sequence.targets.subarray(0, length), start);
    weights.set(sequence.weights.subarray(0, length), start);
    for (let i = 0; i < length; i++) positionIds[start + i] = i;
    numSupervised += sequence.numSupervised;
  });
  const batch = { tokenIds, positionIds, layout: packedLayout(offsets) };
  return { batch, targets, weights, numTokens, numSupervised, offsets, notes: [] };
}

/**
 * Packs documents into one batch without padding; documents longer than `maxSeqLen` are split with a note.
 *
 * @throws {@link SelkieError} `"no-supervised-tokens"` when nothing would be learned.
 */
export function packDocuments(
  documents: readonly DatumLike[],
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
    `${where}: expected at least one supervised token, got none; a document needs two tokens and a lossMask that is not all 0, a datum a target whose weight is not 0`,
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
