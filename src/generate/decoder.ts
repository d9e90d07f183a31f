/** @file The decoding loop's state: who waits, who runs, whose rows of the cache are whose. */
import type { CausalLm, KvCache } from "../models/index.ts";
import type { LoraBank } from "../nn/index.ts";
import { gatherRows, linear, Scope } from "../tensor/index.ts";
import { CacheRows } from "./cache-rows.ts";
import { adaptersOf, groupByAdapter, packRuns, type TokenRun } from "./packing.ts";
import { recordToken, type Sequence, toDraw } from "./request.ts";
import { type SampledToken, TokenSampler } from "./samplers.ts";

/** Prompt tokens of one pass; bounds the memory of activations. A longer prompt enters alone. */
const maxPrefillTokens = 4096;

/** Limits of a {@link Decoder}. */
export interface DecoderOptions {
  readonly bank: LoraBank | null;
  readonly maxBatch: number;
  readonly maxBatchTokens: number;
  readonly wantLogprobs: boolean;
}

/** A sequence that holds cache rows. */
interface Slot {
  readonly sequence: Sequence;
  readonly cacheStart: number;
  /** Slots that entered with the same prompt and adapter; they take this one's keys, values and first logits. */
  readonly followers: Slot[];
}

interface SlotRun extends TokenRun {
  readonly slot: Slot;
}

/** The last sampled token is never fed back, so it needs no row. */
const numRowsOf = (sequence: Sequence): number => sequence.promptIds.length + sequence.limit - 1;

/** Decodes `sequences` in place, one packed pass per {@link step}. */
export class Decoder implements Disposable {
  readonly #lm: CausalLm;
  readonly #options: DecoderOptions;
  readonly #sampler: TokenSampler;
  readonly #rows: CacheRows;
  readonly #kvCache: KvCache;
  readonly #waiting: Sequence[];
  #active: Slot[] = [];
  #numFinished = 0;
  #numTokens = 0;

  constructor(lm: CausalLm, sequences: readonly Sequence[], options: DecoderOptions) {
    this.#lm = lm;
    this.#options = options;
    this.#sampler = new TokenSampler(lm.backend, options.wantLogprobs);
    this.#waiting = [...sequences];
    const needs = sequences.map(numRowsOf).sort((a, b) => b - a);
    const together = needs.slice(0, options.maxBatch).reduce((sum, rows) => sum + rows, 0);
    this.#rows = new CacheRows(Math.max(needs[0] ?? 1, Math.min(together, options.maxBatchTokens)));
    this.#kvCache = lm.createCache(this.#rows.numRows);
  }

  get numFinished(): number {
    return this.#numFinished;
  }

  /** Sampled so far. */
  get numTokens(): number {
    return this.#numTokens;
  }

  /** Lets sequences in, samples one token for each that runs, lets finished ones go. */
  step(): void {
    const leaders = this.#admit();
    const runs = [...this.#active, ...leaders].map(toRun);
    for (const slot of leaders) this.#active.push(slot, ...slot.followers);
    for (const group of groupByAdapter(runs)) this.#pass(group);
    this.#active = this.#active.filter((slot) => {
      if (slot.sequence.stopReason === null) return true;
      this.#rows.give(slot.cacheStart, numRowsOf(slot.sequence));
      this.#numFinished++;
      return false;
    });
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
      const cacheStart = this.#rows.take(numRowsOf(sequence));
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

  /** One forward pass and one sampled token for each of its sequences. */
  #pass(runs: readonly SlotRun[]): void {
    const { precision, outputWeight, backend } = this.#lm;
    const { batch, cacheRows, lastRows } = packRuns(runs, true);
    using scope = new Scope(backend);
    const adapters = adaptersOf(runs, this.#options.bank);
    const hidden = this.#lm.hidden(scope, batch, { adapters, cache: { kvCache: this.#kvCache, rows: cacheRows } }); // [N, D]
    const last = lastRows.length === cacheRows.length ? hidden : gatherRows(scope, hidden, lastRows); // [B, D]
    const dtype = hidden.dtype === "f64" ? "f64" : "f32";
    const logits = linear(scope, last, outputWeight, { compute: precision.compute, dtype }); // [B, V]
    const entries = runs.flatMap(({ slot, tokenIds }, row) => {
      const followers = slot.followers.splice(0);
      for (const { cacheStart } of followers) this.#copyRows(slot.cacheStart, cacheStart, tokenIds.length);
      return [slot, ...followers].map(({ sequence }) => ({ row, sequence }));
    });
    const draws = entries.map(({ row, sequence }) => toDraw(row, sequence));
    this.#sampler.sample(logits, draws).forEach((token, index) => {
      this.#append(entries[index]!.sequence, token);
    });
  }

  #append(sequence: Sequence, token: SampledToken): void {
    recordToken(sequence, token);
    const { tokenId } = token;
    this.#numTokens++;
    if (sequence.stopTokens.has(tokenId)) sequence.stopReason = "stop";
    else if (sequence.tokenIds.length >= sequence.limit) sequence.stopReason = "length";
  }

  /** Copies keys and values of `count` rows. */
  #copyRows(from: number, to: number, count: number): void {
    for (const { keys, values } of this.#kvCache.layers)
      for (const tensor of [keys, values]) {
        const width = tensor.shape[1]!;
        const source = tensor.view(from * width, [count, width]);
        const target = tensor.view(to * width, [count, width]);
        this.#lm.backend.kernels.axpby({ x: source, alpha: 1, y: target, beta: 0 });
      }
  }

  [Symbol.dispose](): void {
    this.#kvCache[Symbol.dispose]();
  }
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
