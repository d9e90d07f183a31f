/**
 * @file The running batch: sequences enter and leave at any step. A step is one packed pass: the prompts of those that
 * enter, the last token of the others. Nothing a sequence does, failing included, changes what another one gets.
 */
import type { CausalLm } from "../models/index.ts";
import type { AdapterPlaces, DecodeCache } from "../nn/index.ts";
import { gatherRows, linear, Scope } from "../tensor/index.ts";
import { adaptersOf, groupByAdapter, packRuns, type TokenRun } from "./packing.ts";
import { recordToken, type Sequence, toDraw } from "./request.ts";
import { notFinite, type SampledToken, TokenSampler } from "./samplers.ts";

/** Prompt tokens of one pass; bounds the memory of activations. A longer prompt enters alone. */
const maxPrefillTokens = 4096;
/** Cache rows to begin with where nobody says how many will be needed; the cache doubles when that is too few. */
const firstRows = 1024;

/** Limits of a {@link RunningBatch}. */
export interface RunningBatchOptions {
  /** Sequences decoded together, at least 1. */
  readonly maxBatch: number;
  /** Cache rows: tokens of prompts and completions held at once. One longer sequence still runs, alone. */
  readonly maxBatchTokens: number;
  /** False leaves log-probabilities of greedy tokens out, which saves a pass over the vocabulary. */
  readonly wantLogprobs: boolean;
  /** The adapters that sequences name. */
  readonly bank: AdapterPlaces | null;
}

/** A sequence that has room in the cache. */
interface Slot {
  readonly sequence: Sequence;
  readonly cacheStart: number;
  /** Slots that entered with the same prompt and adapter; they take this one's cached prompt and first logits. */
  readonly followers: Slot[];
}

interface SlotRun extends TokenRun {
  readonly slot: Slot;
}

/** Rows of the cache that a sequence needs in all; the last sampled token is never fed back and needs none. */
export const numRowsOf = (sequence: Sequence): number => sequence.promptIds.length + sequence.limit - 1;

/** Sequences that are decoded together; see the file's comment. */
export class RunningBatch implements Disposable {
  readonly #lm: CausalLm;
  readonly #options: RunningBatchOptions;
  readonly #sampler: TokenSampler;
  readonly #waiting: Sequence[] = [];
  readonly #cache: DecodeCache;
  #active: Slot[] = [];

  constructor(lm: CausalLm, options: RunningBatchOptions) {
    this.#lm = lm;
    this.#options = options;
    this.#cache = lm.createCache(0);
    this.#sampler = new TokenSampler(lm.backend, options.wantLogprobs);
  }

  /** Sequences that have not ended. */
  get size(): number {
    return this.#waiting.length + this.#active.length;
  }

  /** Sequences that hold cache rows. */
  get numActive(): number {
    return this.#active.length;
  }

  /** Rows of the cache. */
  get cacheRows(): number {
    return this.#cache.numRows;
  }

  /** Puts a sequence at the end of the queue; it starts at the next step that has room. */
  add(sequence: Sequence): void {
    this.#waiting.push(sequence);
  }

  /** Takes a sequence out, wherever it is, and its rows back; false where it is not here any more. */
  remove(sequence: Sequence): boolean {
    const waiting = this.#waiting.indexOf(sequence);
    if (waiting >= 0) this.#waiting.splice(waiting, 1);
    const slot = this.#active.find((other) => other.sequence === sequence);
    if (slot !== undefined) this.#leave(slot);
    return waiting >= 0 || slot !== undefined;
  }

  /** Lets sequences in, samples one token for each that runs, lets finished ones go; returns those that got a token or failed. */
  step(): readonly Sequence[] {
    const leaders = this.#admit();
    const runs = [...this.#active, ...leaders].map(toRun);
    for (const slot of leaders) this.#active.push(slot, ...slot.followers);
    const moved = this.#active.map(({ sequence }) => sequence);
    for (const group of groupByAdapter(runs)) this.#pass(group);
    for (const slot of this.#active) if (slot.sequence.stopReason !== null) this.#leave(slot);
    return moved;
  }

  /** Makes room for `numRows` cache rows in all, where it is known how many will be needed. */
  reserve(numRows: number): void {
    if (numRows > this.#cache.numRows) this.#cache.grow(numRows);
  }

  #leave(slot: Slot): void {
    this.#cache.free(slot.cacheStart);
    this.#active = this.#active.filter((other) => other !== slot);
  }

  /** Slots for as many waiting sequences as fit, in order; equal prompts hang under the first of them. */
  #admit(): Slot[] {
    const leaders = new Map<string, Slot>();
    let numEntering = 0;
    let numPrefill = 0;
    while (this.#waiting.length > 0 && this.#active.length + numEntering < this.#options.maxBatch) {
      const sequence = this.#waiting[0]!;
      const key = `${sequence.adapterIndex}:${Array.prototype.join.call(sequence.promptIds)}`;
      const leader = leaders.get(key);
      if (leader === undefined && numEntering > 0 && numPrefill + sequence.promptIds.length > maxPrefillTokens) break;
      const cacheStart = this.#takeRows(numRowsOf(sequence), this.#active.length + numEntering === 0);
      if (cacheStart === null) break;
      this.#waiting.shift();
      numEntering++;
      const slot: Slot = { sequence, cacheStart, followers: [] };
      if (leader !== undefined) leader.followers.push(slot);
      else {
        leaders.set(key, slot);
        numPrefill += sequence.promptIds.length;
      }
    }
    return [...leaders.values()];
  }

  /** First of `count` free rows; the cache grows for them while the limit allows, and beyond it for a sequence that runs alone. */
  #takeRows(count: number, isAlone: boolean): number | null {
    const start = this.#cache.allocate(count);
    if (start !== null) return start;
    const { numRows } = this.#cache;
    const limit = isAlone ? Math.max(count, this.#options.maxBatchTokens) : this.#options.maxBatchTokens;
    const wanted = Math.min(limit, Math.max(firstRows, 2 * numRows, numRows + count));
    if (wanted <= numRows) return null;
    this.#cache.grow(wanted);
    return this.#cache.allocate(count);
  }

  /** One forward pass and one sampled token for each of its sequences. */
  #pass(runs: readonly SlotRun[]): void {
    const { precision, outputWeight, backend } = this.#lm;
    const { batch, lastRows } = packRuns(runs, true);
    using scope = new Scope(backend);
    const adapters = adaptersOf(runs, this.#options.bank);
    const hidden = this.#lm.hidden(scope, batch, { adapters, cache: this.#cache }); // [N, D]
    const last = lastRows.length === batch.tokenIds.length ? hidden : gatherRows(scope, hidden, lastRows); // [B, D]
    const dtype = hidden.dtype === "f64" ? "f64" : "f32";
    const logits = linear(scope, last, outputWeight, { compute: precision.compute, dtype }); // [B, V]
    const entries = runs.flatMap(({ slot, tokenIds }, row) => {
      const followers = slot.followers.splice(0);
      for (const { cacheStart } of followers) this.#cache.copy(slot.cacheStart, cacheStart, tokenIds.length);
      return [slot, ...followers].map(({ sequence }) => ({ row, sequence }));
    });
    const draws = entries.map(({ row, sequence }) => toDraw(row, sequence));
    this.#sampler.sample(logits, draws).forEach((token, index) => {
      append(entries[index]!.sequence, token);
    });
  }

  [Symbol.dispose](): void {
    this.#cache[Symbol.dispose]();
  }
}

function append(sequence: Sequence, token: SampledToken): void {
  const { tokenId } = token;
  if (tokenId < 0) {
    sequence.error = notFinite();
    sequence.stopReason = "error";
    return;
  }
  recordToken(sequence, token);
  if (sequence.stopTokens.has(tokenId)) sequence.stopReason = "stop";
  else if (sequence.tokenIds.length >= sequence.limit) sequence.stopReason = "length";
}

/** The prompt of a sequence that enters, else its last token. */
function toRun(slot: Slot): SlotRun {
  const { promptIds, tokenIds, adapterIndex } = slot.sequence;
  const { cacheStart } = slot;
  if (tokenIds.length === 0) return { slot, tokenIds: promptIds, position: 0, cacheStart, adapterIndex };
  return {
    slot,
    tokenIds: [tokenIds.at(-1)!],
    position: promptIds.length + tokenIds.length - 1,
    cacheStart,
    adapterIndex,
  };
}
