/**
 * @file Packed copies of frozen weights. A product reads its second factor in panels; packing them anew costs as much as
 * the product itself when rows are few, so factors that keep their values are packed once.
 */
import type { ComputeType, HostArray } from "../../dtype.ts";
import type { Pool } from "../../pool.ts";
import type { Tensor } from "../../tensor.ts";
import type { NativeContext } from "./native.ts";
import { Slabs } from "./slabs.ts";

/** How a product uses its second factor. */
export interface FactorUse {
  readonly n: number;
  readonly k: number;
  readonly transposeB: boolean;
  readonly compute: ComputeType;
  /** Factors that lie one after the other, each `n` × `k`; their copies do so too. @defaultValue 1 */
  readonly numGroups?: number;
}

/** Which tensors are frozen, and the copies made so far: one per orientation and arithmetic in which a tensor was used. */
export class FrozenFactors {
  readonly #context: NativeContext;
  readonly #slabs: Slabs;
  /** By the memory of the frozen tensor. */
  readonly #copies = new Map<HostArray, Map<string, HostArray>>();

  constructor(context: NativeContext, pool: Pool) {
    this.#context = context;
    this.#slabs = new Slabs(pool);
  }

  /** Arrays that are taken from the pool for the copies. */
  get numSlabs(): number {
    return this.#slabs.size;
  }

  freeze(weights: readonly Tensor[]): void {
    for (const { data } of weights) if (!this.#copies.has(data)) this.#copies.set(data, new Map());
  }

  thaw(weights: readonly Tensor[]): void {
    for (const { data } of weights) {
      for (const packed of this.#copies.get(data)?.values() ?? []) this.#slabs.release(packed);
      this.#copies.delete(data);
    }
  }

  /** The packed copy of `data` for a product, made when first asked for; `null` when `data` is not frozen. */
  packed(data: HostArray, use: FactorUse): HostArray | null {
    const copies = this.#copies.get(data);
    if (copies === undefined) return null;
    const { n, k, transposeB, compute, numGroups = 1 } = use;
    const key = `${n} ${k} ${transposeB} ${compute}`;
    const known = copies.get(key);
    if (known !== undefined) return known;
    const numbers = [n, k, Number(transposeB), Number(compute === "bf16")];
    const length = new Float64Array(1);
    this.#context.run("packFactor", numbers, data, null, length);
    const each = length[0]!;
    const packed = this.#slabs.allocate(each * numGroups);
    for (let group = 0; group < numGroups; group++) {
      const factor = data.subarray(group * n * k, (group + 1) * n * k);
      this.#context.run("packFactor", numbers, factor, packed.subarray(group * each, (group + 1) * each), length);
    }
    copies.set(key, packed);
    return packed;
  }
}
