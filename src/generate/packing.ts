/** @file Packs runs of tokens into one forward pass: ids, positions, layout, adapter segments. */
import type { CausalLm, TokenBatch } from "../models/index.ts";
import type { AdapterBatch, AdapterPlaces } from "../nn/index.ts";
import { packedLayout } from "../tensor/index.ts";
import { SelkieError } from "../util/index.ts";

/** Consecutive tokens of one sequence that go through the model together. */
export interface TokenRun {
  readonly tokenIds: ArrayLike<number>;
  /** Position of the first of them. */
  readonly position: number;
  /** The sequence in the cache. */
  readonly cacheStart: number;
  /** `null` runs the base model. */
  readonly adapterIndex: number | null;
}

/** A packed pass. */
export interface PackedPass {
  readonly batch: TokenBatch;
  /** Index in the pass of each run's last token. */
  readonly lastRows: Int32Array;
}

/** Packs `runs`; with `cached`, queries look at each run's sequence in the cache from position 0 on, else at the run itself. */
export function packRuns(runs: readonly TokenRun[], cached: boolean): PackedPass {
  const qOffsets = new Int32Array(runs.length + 1);
  runs.forEach((run, index) => {
    qOffsets[index + 1] = qOffsets[index]! + run.tokenIds.length;
  });
  const numTokens = qOffsets.at(-1)!;
  const tokenIds = new Int32Array(numTokens);
  const positionIds = new Int32Array(numTokens);
  runs.forEach((run, index) => {
    const offset = qOffsets[index]!;
    for (let i = 0; i < run.tokenIds.length; i++) {
      tokenIds[offset + i] = run.tokenIds[i]!;
      positionIds[offset + i] = run.position + i;
    }
  });
  const layout = cached
    ? {
        qOffsets,
        kStarts: Int32Array.from(runs, (run) => run.cacheStart),
        kLengths: Int32Array.from(runs, (run) => run.position + run.tokenIds.length),
      }
    : packedLayout(qOffsets);
  return { batch: { tokenIds, positionIds, layout }, lastRows: qOffsets.slice(1).map((end) => end - 1) };
}

/** Splits runs into passes by what they need: base-model runs, and adapter runs in ascending adapter order. */
export function groupByAdapter<Run extends { readonly adapterIndex: number | null }>(runs: readonly Run[]): Run[][] {
  const base = runs.filter((run) => run.adapterIndex === null);
  const adapted = runs.filter((run) => run.adapterIndex !== null).sort((a, b) => a.adapterIndex! - b.adapterIndex!);
  return [base, adapted].filter((group) => group.length > 0);
}

/** Adapters of a pass made of one group of {@link groupByAdapter}; `null` for the base model. */
export function adaptersOf(runs: readonly TokenRun[], bank: AdapterPlaces | null): AdapterBatch | null {
  if (bank === null || runs[0]!.adapterIndex === null) return null;
  const segments = new Int32Array(bank.numPlaces + 1);
  for (const run of runs) segments[run.adapterIndex! + 1]! += run.tokenIds.length;
  for (let g = 0; g < bank.numPlaces; g++) segments[g + 1]! += segments[g]!;
  return bank.batch(segments);
}

/** Throws `"bad-option"` unless `adapterIndex` names an adapter of `bank`. */
export function checkAdapterIndex(who: string, adapterIndex: number | null, bank: AdapterPlaces | null): void {
  if (adapterIndex === null) return;
  if (bank === null)
    throw new SelkieError("bad-option", `${who}: adapterIndex ${adapterIndex} needs a bank; pass options.bank`);
  if (!Number.isInteger(adapterIndex) || adapterIndex < 0 || adapterIndex >= bank.numPlaces)
    throw new SelkieError("bad-option", `${who}: expected adapterIndex below ${bank.numPlaces}, got ${adapterIndex}`);
}

/** Throws `"bad-input"` unless every id is a whole number below `vocabSize`. */
export function checkTokenIds(who: string, tokenIds: ArrayLike<number>, vocabSize: number): void {
  for (let i = 0; i < tokenIds.length; i++) {
    const id = tokenIds[i]!;
    if (!Number.isInteger(id) || id < 0 || id >= vocabSize)
      throw new SelkieError(
        "bad-input",
        `${who}: expected token ids from 0 to ${vocabSize - 1}, got ${id} at position ${i}; use the model's own tokenizer`,
      );
  }
}

/** What is read whole: a sequence, and the adapter that it is read with. */
export interface WholeSequence {
  readonly tokenIds: ArrayLike<number>;
  /** @defaultValue null, the model alone */
  readonly adapterIndex?: number | null;
}

/** The run of a sequence that is read whole; throws `"bad-input"` where the model cannot, `"bad-option"` for an unknown adapter. */
export function wholeRun(
  who: string,
  { tokenIds, adapterIndex = null }: WholeSequence,
  { maxSeqLen, vocabSize }: Pick<CausalLm, "maxSeqLen" | "vocabSize">,
  bank: AdapterPlaces | null,
): TokenRun {
  if (tokenIds.length === 0 || tokenIds.length > maxSeqLen)
    throw new SelkieError("bad-input", `${who}: expected 1 to ${maxSeqLen} tokens, got ${tokenIds.length}`);
  checkTokenIds(who, tokenIds, vocabSize);
  checkAdapterIndex(who, adapterIndex, bank);
  return { tokenIds, position: 0, cacheStart: 0, adapterIndex };
}
