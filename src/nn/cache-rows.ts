/** @file Hands out runs of cache rows: first fit over a sorted list of free runs, neighbours merged when rows come back. */
import { SelkieError } from "../util/index.ts";

interface FreeRun {
  start: number;
  length: number;
}

/** Allocator of contiguous rows `0 .. numRows`. */
export class CacheRows {
  #numRows: number;
  readonly #free: FreeRun[];

  constructor(numRows: number) {
    this.#numRows = numRows;
    this.#free = numRows > 0 ? [{ start: 0, length: numRows }] : [];
  }

  get numRows(): number {
    return this.#numRows;
  }

  /** Adds free rows at the end, up to `numRows` in all. */
  grow(numRows: number): void {
    const added = numRows - this.#numRows;
    const start = this.#numRows;
    this.#numRows = numRows;
    if (added > 0) this.give(start, added);
  }

  /** First row of a run of `length` rows, or `null` when no gap is that long. */
  take(length: number): number | null {
    const index = this.#free.findIndex((run) => run.length >= length);
    if (index < 0) return null;
    const run = this.#free[index]!;
    const { start } = run;
    run.start += length;
    run.length -= length;
    if (run.length === 0) this.#free.splice(index, 1);
    return start;
  }

  /** Gives back a run obtained from {@link take}. */
  give(start: number, length: number): void {
    const after = this.#free.findIndex((run) => run.start > start);
    const index = after < 0 ? this.#free.length : after;
    const before = this.#free[index - 1];
    const next = this.#free[index];
    if (
      (before !== undefined && before.start + before.length > start) ||
      (next !== undefined && start + length > next.start)
    )
      throw new SelkieError("double-free", `internal: cache rows ${start}..${start + length} are already free`);
    this.#free.splice(index, 0, { start, length });
    this.#merge(index);
    this.#merge(index - 1);
  }

  /** Joins run `index` with the one after it when they touch. */
  #merge(index: number): void {
    const run = this.#free[index];
    const next = this.#free[index + 1];
    if (run === undefined || next === undefined || run.start + run.length !== next.start) return;
    run.length += next.length;
    this.#free.splice(index + 1, 1);
  }
}
