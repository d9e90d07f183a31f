/**
 * @file Memory for arrays that are kept long and read over and over, such as packed weights: carved from a few large
 * pieces, which the system backs with huge pages. On pages of 4 KiB, weights are read at little more than half the speed.
 */
import type { HostArray } from "../../dtype.ts";
import type { Pool } from "../../pool.ts";

interface Slab {
  readonly memory: HostArray;
  /** Floats handed out so far; what is released in between comes back with the whole slab. */
  used: number;
  numArrays: number;
}

const leastLength = (2 * 2 ** 20) / 4; // one huge page
const mostLength = (32 * 2 ** 20) / 4;
const alignment = 16; // floats of a cache line

/** Hands out f32 arrays from slabs that grow with what is in use. */
export class Slabs {
  readonly #pool: Pool;
  readonly #slabs = new Map<HostArray["buffer"], Slab>();
  #latest: Slab | null = null;
  #length = 0;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Pieces of memory that are taken from the pool. */
  get size(): number {
    return this.#slabs.size;
  }

  /** A 64-byte aligned array with unspecified contents. */
  allocate(length: number): HostArray {
    const padded = Math.ceil(length / alignment) * alignment;
    if (this.#latest === null || this.#latest.used + padded > this.#latest.memory.length)
      this.#latest = this.#grow(padded);
    const slab = this.#latest;
    const array = slab.memory.subarray(slab.used, slab.used + length);
    slab.used += padded;
    slab.numArrays++;
    return array;
  }

  /** Takes back an array; its slab goes when it was the last one there. */
  release(array: HostArray): void {
    const slab = this.#slabs.get(array.buffer)!;
    if (--slab.numArrays > 0) return;
    this.#slabs.delete(array.buffer);
    this.#length -= slab.memory.length;
    if (this.#latest === slab) this.#latest = null;
    this.#pool.release(slab.memory);
  }

  #grow(length: number): Slab {
    const numFloats = Math.max(length, leastLength, Math.min(mostLength, this.#length));
    const slab = { memory: this.#pool.allocate("f32", numFloats), used: 0, numArrays: 0 };
    this.#slabs.set(slab.memory.buffer, slab);
    this.#length += numFloats;
    return slab;
  }
}
