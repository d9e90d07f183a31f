/**
 * @file Counter-based random numbers (Philox4x32-10, Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
 * A stream is named by a path of labels and does not depend on how many numbers other streams have drawn.
 */
import { createHash } from "node:crypto";

/** Consecutive blocks of one stream, for whoever computes them elsewhere; block `b` is Philox of `[b, b >> 32, ...stream]`. */
export interface PhiloxBlocks {
  readonly key: readonly [number, number];
  readonly stream: readonly [number, number];
  readonly firstBlock: number;
}

/** Where a stream stands, as plain data: {@link rngAt} goes on from there. */
export interface RngState {
  readonly path: string;
  readonly block: number;
  /** Words of the block in use that were drawn, 0 to 4. */
  readonly next: number;
}

/** One named stream. Drawing advances it; forking does not. */
export interface Rng {
  /** A stream of its own, named by this stream's path and `labels`; the same labels always give the same stream. */
  fork(...labels: readonly (string | number)[]): Rng;
  /** Uniform 32-bit unsigned integer. */
  nextUint32(): number;
  /** Uniform in [0, 1), 53 bits. */
  uniform(): number;
  /** Takes `count` whole blocks of two {@link uniform} numbers each; words left of the block in use are skipped. */
  takeBlocks(count: number): PhiloxBlocks;
  /** Uniform integer in [0, below); `below` at least 1. */
  integer(below: number): number;
  /** Standard normal (Box–Muller). */
  normal(): number;
  /** One of `items`; throws on an empty list. */
  choice<T>(items: readonly T[]): T;
  /** A shuffled copy (Fisher–Yates). */
  shuffle<T>(items: readonly T[]): T[];
  /** Where the stream stands; the stream itself does not move. */
  state(): RngState;
}

const multiplier0 = 0xd2511f53;
const multiplier1 = 0xcd9e8d57;
const weyl0 = 0x9e3779b9;
const weyl1 = 0xbb67ae85;

/** High word of the 64-bit product of two 32-bit words, in 32-bit integer steps, which the compiler keeps in registers. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle1 = Math.imul(aHigh, bLow);
  const middle2 = Math.imul(aLow, bHigh);
  const carry = (Math.imul(aLow, bLow) >>> 16) + (middle1 & 0xffff) + (middle2 & 0xffff);
  return (Math.imul(aHigh, bHigh) + (middle1 >>> 16) + (middle2 >>> 16) + (carry >>> 16)) | 0;
}

/** Ten rounds of Philox4x32 on `counter` under `key`, in place: four 32-bit words. Drawing many numbers must not allocate. */
function philoxInPlace(counter: Uint32Array, key0: number, key1: number): void {
  let c0 = counter[0]! | 0;
  let c1 = counter[1]! | 0;
  let c2 = counter[2]! | 0;
  let c3 = counter[3]! | 0;
  let k0 = key0 | 0;
  let k1 = key1 | 0;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(multiplier0, c0);
    const high1 = multiplyHigh(multiplier1, c2);
    const low0 = Math.imul(multiplier0, c0);
    c0 = high1 ^ c1 ^ k0;
    c1 = Math.imul(multiplier1, c2);
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + weyl0) | 0;
    k1 = (k1 + weyl1) | 0;
  }
  counter[0] = c0;
  counter[1] = c1;
  counter[2] = c2;
  counter[3] = c3;
}

/** Ten rounds of Philox4x32 on `counter` under `key`; four 32-bit words. */
export function philox(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  const words = Uint32Array.from(counter);
  philoxInPlace(words, key[0], key[1]);
  return [words[0]!, words[1]!, words[2]!, words[3]!];
}

/** The number in [0, 1) that two words make. */
function toUniform(first: number, second: number): number {
  return ((first >>> 5) * 67108864 + (second >>> 6)) / 9007199254740992;
}

/** Calls `visit` with the first `count` numbers of {@link Rng.uniform} that `blocks` hold. */
export function uniformsOf(blocks: PhiloxBlocks, count: number, visit: (value: number, index: number) => void): void {
  for (let index = 0; index < count; index += 2) {
    const block = blocks.firstBlock + index / 2;
    const words = philox([block, Math.floor(block / 2 ** 32), ...blocks.stream], blocks.key);
    visit(toUniform(words[0], words[1]), index);
    if (index + 1 < count) visit(toUniform(words[2], words[3]), index + 1);
  }
}

/** Calls `visit` with the first `count` 32-bit words that `blocks` hold, four of a block in order. */
export function wordsOf(blocks: PhiloxBlocks, count: number, visit: (word: number, index: number) => void): void {
  for (let first = 0; first < count; first += 4) {
    const block = blocks.firstBlock + first / 4;
    const words = philox([block, Math.floor(block / 2 ** 32), ...blocks.stream], blocks.key);
    for (let word = 0; word < 4 && first + word < count; word++) visit(words[word]!, first + word);
  }
}

class PhiloxRng implements Rng {
  readonly #path: string;
  readonly #key: readonly [number, number];
  readonly #stream: readonly [number, number];
  #block = 0;
  readonly #words = new Uint32Array(4);
  #next = 4;

  constructor(path: string) {
    const digest = createHash("sha256").update(path).digest();
    this.#path = path;
    this.#key = [digest.readUInt32LE(0), digest.readUInt32LE(4)];
    this.#stream = [digest.readUInt32LE(8), digest.readUInt32LE(12)];
  }

  fork(...labels: readonly (string | number)[]): Rng {
    return new PhiloxRng(`${this.#path}/${labels.map((label) => encodeURIComponent(label)).join("/")}`);
  }

  nextUint32(): number {
    if (this.#next === 4) {
      this.#words[0] = this.#block;
      this.#words[1] = Math.floor(this.#block / 2 ** 32);
      this.#words[2] = this.#stream[0];
      this.#words[3] = this.#stream[1];
      philoxInPlace(this.#words, this.#key[0], this.#key[1]);
      this.#block++;
      this.#next = 0;
    }
    return this.#words[this.#next++]!;
  }

  uniform(): number {
    return toUniform(this.nextUint32(), this.nextUint32());
  }

  takeBlocks(count: number): PhiloxBlocks {
    const firstBlock = this.#block;
    this.#block += count;
    this.#next = 4;
    return { key: this.#key, stream: this.#stream, firstBlock };
  }

  state(): RngState {
    return { path: this.#path, block: this.#block, next: this.#next };
  }

  /** Moves to a recorded position. */
  seek({ block, next }: RngState): void {
    if (next < 4) {
      this.#block = block - 1;
      this.#next = 4;
      this.nextUint32(); // fills the words of the block in use
    }
    this.#block = block;
    this.#next = next;
  }

  integer(below: number): number {
    return Math.floor(this.uniform() * below);
  }

  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  choice<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError("choice: expected at least one item, got none");
    return items[this.integer(items.length)]!;
  }

  shuffle<T>(items: readonly T[]): T[] {
    const copy = [...items];
    for (let i = copy.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [copy[i], copy[j]] = [copy[j]!, copy[i]!];
    }
    return copy;
  }
}

/** The root stream of a run; everything random in the run forks from it. */
export function createRng(seed: number | string): Rng {
  return new PhiloxRng(`selkie:${seed}`);
}

/** The stream that stands where `state` says; it draws what the recorded one would have drawn next. */
export function rngAt(state: RngState): Rng {
  const rng = new PhiloxRng(state.path);
  rng.seek(state);
  return rng;
}
