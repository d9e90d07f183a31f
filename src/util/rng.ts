/**
 * @file Counter-based random numbers (Philox4x32-10, Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
 * A stream is named by a path of labels and does not depend on how many numbers other streams have drawn.
 */
import { createHash } from "node:crypto";

/** One named stream. Drawing advances it; forking does not. */
export interface Rng {
  /** A stream of its own, named by this stream's path and `labels`; the same labels always give the same stream. */
  fork(...labels: readonly (string | number)[]): Rng;
  /** Uniform 32-bit unsigned integer. */
  nextUint32(): number;
  /** Uniform in [0, 1), 53 bits. */
  uniform(): number;
  /** Uniform integer in [0, below); `below` at least 1. */
  integer(below: number): number;
  /** Standard normal (Box–Muller). */
  normal(): number;
  /** One of `items`; throws on an empty list. */
  choice<T>(items: readonly T[]): T;
  /** A shuffled copy (Fisher–Yates). */
  shuffle<T>(items: readonly T[]): T[];
}

const multiplier0 = 0xd2511f53;
const multiplier1 = 0xcd9e8d57;
const weyl0 = 0x9e3779b9;
const weyl1 = 0xbb67ae85;

/** High and low words of the 64-bit product, without BigInt. */
function multiplyWide(a: number, b: number): readonly [high: number, low: number] {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16); // below 2^33
  const cross = aLow * bHigh + (middle % 0x10000);
  return [(aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(cross / 0x10000)) >>> 0, Math.imul(a, b) >>> 0];
}

/** Ten rounds of Philox4x32 on `counter` under `key`; four 32-bit words. */
export function philox(counter: readonly [number, number, number, number], key: readonly [number, number]): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const [high0, low0] = multiplyWide(multiplier0, c0);
    const [high1, low1] = multiplyWide(multiplier1, c2);
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + weyl0) >>> 0;
    k1 = (k1 + weyl1) >>> 0;
  }
  return [c0, c1, c2, c3];
}

class PhiloxRng implements Rng {
  readonly #path: string;
  readonly #key: readonly [number, number];
  readonly #stream: readonly [number, number];
  #block = 0;
  #words: readonly number[] = [];
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
      this.#words = philox([this.#block >>> 0, Math.floor(this.#block / 2 ** 32), ...this.#stream], this.#key);
      this.#block++;
      this.#next = 0;
    }
    return this.#words[this.#next++]!;
  }

  uniform(): number {
    return ((this.nextUint32() >>> 5) * 67108864 + (this.nextUint32() >>> 6)) / 9007199254740992;
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
