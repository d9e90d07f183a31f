/** @file The cache of attention layers: one row of keys and one of values per token and layer. */
import {
  type AttentionLayout,
  type Backend,
  bytesPerElement,
  createTensor,
  type DType,
  type Tensor,
} from "../tensor/index.ts";
import { SelkieError, ShapeError } from "../util/index.ts";
import { CacheRows } from "./cache-rows.ts";
import type { DecodeCache } from "./decode-cache.ts";

/** Sizes of a {@link KvCache}. */
export interface KvCacheSizes {
  readonly numRows: number;
  readonly numLayers: number;
  /** Numbers in a row of keys, `K·E`; values have as many. */
  readonly width: number;
  readonly dtype: DType;
}

interface CachedSequence {
  readonly capacity: number;
  length: number;
}

/** Keys and values of past tokens, `[numRows, K·E]` per layer; a sequence has consecutive rows. */
export class KvCache implements DecodeCache {
  readonly bytesPerRow: number;
  readonly #backend: Backend;
  readonly #sizes: KvCacheSizes;
  #layers: readonly { readonly keys: Tensor<"S KE">; readonly values: Tensor<"S KE"> }[];
  readonly #rows: CacheRows;
  readonly #sequences = new Map<number, CachedSequence>();

  constructor(backend: Backend, sizes: KvCacheSizes) {
    this.#backend = backend;
    this.#sizes = sizes;
    this.#rows = new CacheRows(sizes.numRows);
    this.#layers = this.#createLayers(sizes.numRows);
    this.bytesPerRow = 2 * sizes.numLayers * sizes.width * bytesPerElement[sizes.dtype];
  }

  get numRows(): number {
    return this.#rows.numRows;
  }

  grow(numRows: number): void {
    const { width } = this.#sizes;
    if (numRows < this.numRows)
      throw new SelkieError("bad-option", `internal: cache: expected at least ${this.numRows} rows, got ${numRows}`);
    const old = this.#tensors;
    const layers = this.#createLayers(numRows);
    const larger = layers.flatMap(({ keys, values }) => [keys, values]);
    for (const [index, x] of old.entries()) {
      if (x.size > 0)
        this.#backend.kernels.axpby({ x, alpha: 1, y: larger[index]!.view(0, [this.numRows, width]), beta: 0 });
      x[Symbol.dispose]();
    }
    this.#layers = layers;
    this.#rows.grow(numRows);
  }

  allocate(length: number): number | null {
    const start = this.#rows.take(length);
    if (start !== null) this.#sequences.set(start, { capacity: length, length: 0 });
    return start;
  }

  copy(from: number, to: number, length: number): void {
    const [source, target] = [this.#sequence(from), this.#sequence(to)];
    if (target.length > 0 || length > source.length || length > target.capacity)
      throw new SelkieError(
        "bad-option",
        `internal: cache: expected to copy at most ${source.length} tokens to an empty sequence with room for ${target.capacity}, got ${length} tokens and a sequence of ${target.length}`,
      );
    for (const tensor of this.#tensors) {
      const width = tensor.shape[1]!;
      const x = tensor.view(from * width, [length, width]);
      this.#backend.kernels.axpby({ x, alpha: 1, y: tensor.view(to * width, [length, width]), beta: 0 });
    }
    target.length = length;
  }

  truncate(sequence: number, length: number): void {
    const known = this.#sequence(sequence);
    if (!(Number.isInteger(length) && length >= 0 && length <= known.length))
      throw new SelkieError("bad-option", `internal: cache: expected at most ${known.length} tokens, got ${length}`);
    known.length = length;
  }

  free(sequence: number): void {
    this.#rows.give(sequence, this.#sequence(sequence).capacity);
    this.#sequences.delete(sequence);
  }

  /**
   * Makes room for the queries of one pass and returns their rows, `[N]`. Every layer of the pass then writes there.
   *
   * @throws {@link ShapeError} unless each sequence goes on where it stands and its room suffices.
   */
  extend({ qOffsets, kStarts, kLengths }: AttentionLayout): Int32Array {
    const rows = new Int32Array(qOffsets.at(-1)!);
    const sequences = Array.from(kStarts, (start) => this.#sequence(start));
    for (const [b, sequence] of sequences.entries()) {
      const [begin, end, length] = [qOffsets[b]!, qOffsets[b + 1]!, kLengths[b]!];
      if (length !== sequence.length + end - begin || length > sequence.capacity)
        throw new ShapeError(
          `layout.kLengths[${b}]`,
          `${sequence.length} cached and ${end - begin} new tokens within ${sequence.capacity} rows`,
          `${length}`,
          "a pass goes on where its sequence stands; truncate it first, or allocate more rows",
        );
      for (let row = begin; row < end; row++) rows[row] = kStarts[b]! + length - end + row;
    }
    for (const [b, sequence] of sequences.entries()) sequence.length = kLengths[b]!;
    return rows;
  }

  /** Stores the keys and values of a pass at the rows of {@link extend} and returns all of the layer's. */
  write(layer: number, rows: Int32Array, k: Tensor<"N KE">, v: Tensor<"N KE">): { keys: Tensor; values: Tensor } {
    const { keys, values } = this.#layers[layer]!;
    this.#backend.kernels.setRows({ x: k, rows, y: keys });
    this.#backend.kernels.setRows({ x: v, rows, y: values });
    return { keys, values };
  }

  [Symbol.dispose](): void {
    for (const tensor of this.#tensors) tensor[Symbol.dispose]();
  }

  get #tensors(): readonly Tensor[] {
    return this.#layers.flatMap(({ keys, values }) => [keys, values]);
  }

  #createLayers(numRows: number): { keys: Tensor; values: Tensor }[] {
    const { numLayers, width, dtype } = this.#sizes;
    const rows = (): Tensor => createTensor(this.#backend, [numRows, width], dtype);
    return Array.from({ length: numLayers }, () => ({ keys: rows(), values: rows() }));
  }

  #sequence(start: number): CachedSequence {
    const sequence = this.#sequences.get(start);
    if (sequence !== undefined) return sequence;
    throw new SelkieError("unknown-name", `internal: cache: expected a sequence that was allocated, got row ${start}`);
  }
}
