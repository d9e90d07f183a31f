/**
 * @file Memory pool of a host backend. Buffers are kept by size class and handed out again, so the steady state of a
 * training loop allocates nothing; the counts show leaks.
 */
import { SelkieError } from "../util/index.ts";
import type { MemoryStats } from "./backend.ts";
import { bytesPerElement, type DType, type HostArray, viewAs } from "./dtype.ts";

/** Creates memory of exactly `numBytes` bytes. */
export type AllocateBytes = (numBytes: number) => ArrayBuffer;

/** Rounds up to a class with at most 12.5 % waste, so that batches of slightly different length share buffers. */
function sizeClass(numBytes: number): number {
  const least = Math.max(numBytes, 64);
  const step = 2 ** Math.max(6, Math.floor(Math.log2(least)) - 3);
  return Math.ceil(least / step) * step;
}

/** Free lists by size class, with counts of what is out. */
export class Pool {
  readonly #allocateBytes: AllocateBytes;
  readonly #maxPooledBytes: number;
  readonly #free = new Map<number, ArrayBuffer[]>();
  readonly #live = new Set<ArrayBuffer>();
  #liveBytes = 0;
  #peakBytes = 0;
  #pooledBytes = 0;

  constructor(allocateBytes: AllocateBytes, maxPooledBytes: number = 4 * 2 ** 30) {
    this.#allocateBytes = allocateBytes;
    this.#maxPooledBytes = maxPooledBytes;
  }

  allocate(dtype: DType, length: number): HostArray {
    const numBytes = sizeClass(length * bytesPerElement[dtype]);
    const reused = this.#free.get(numBytes)?.pop();
    if (reused !== undefined) this.#pooledBytes -= numBytes;
    const memory = reused ?? this.#allocateBytes(numBytes);
    this.#live.add(memory);
    this.#liveBytes += numBytes;
    this.#peakBytes = Math.max(this.#peakBytes, this.#liveBytes);
    return viewAs(dtype, memory, length);
  }

  release(data: HostArray): void {
    const memory = data.buffer;
    if (!this.#live.delete(memory))
      throw new SelkieError(
        "not-allocated",
        "internal: release of memory that this backend did not allocate or already took back",
      );
    this.#liveBytes -= memory.byteLength;
    if (this.#pooledBytes + memory.byteLength > this.#maxPooledBytes) return;
    this.#pooledBytes += memory.byteLength;
    const list = this.#free.get(memory.byteLength);
    if (list === undefined) this.#free.set(memory.byteLength, [memory]);
    else list.push(memory);
  }

  stats(): MemoryStats {
    return {
      liveTensors: this.#live.size,
      liveBytes: this.#liveBytes,
      peakBytes: this.#peakBytes,
      pooledBytes: this.#pooledBytes,
    };
  }

  resetPeak(): void {
    this.#peakBytes = this.#liveBytes;
  }
}
