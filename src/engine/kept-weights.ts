/** @file Copies of a model's weights, to go back to. */
import { createHash } from "node:crypto";
import type { CausalLm } from "../models/index.ts";
import { SelkieError } from "../util/index.ts";
import type { WeightsId } from "./engine.ts";

const valuesOf = (lm: CausalLm): Float32Array => Float32Array.from(lm.parameters.flat.readSync());

/** Bytes hashed at once; Node refuses more than 2 GiB. */
const chunkBytes = 1 << 28;

/** SHA-256 of all weights as they are now. */
export function digestWeights(lm: CausalLm): string {
  const { buffer, byteOffset, byteLength } = valuesOf(lm);
  const bytes = new Uint8Array(buffer, byteOffset, byteLength);
  const hash = createHash("sha256");
  for (let done = 0; done < byteLength; done += chunkBytes) hash.update(bytes.subarray(done, done + chunkBytes));
  return hash.digest("hex");
}

/** The copies that an engine holds. */
export class KeptWeights {
  readonly #copies = new Map<WeightsId, Float32Array>();
  #nextId = 0;

  keep(lm: CausalLm): WeightsId {
    const id = this.#nextId++;
    this.#copies.set(id, valuesOf(lm));
    return id;
  }

  restore(lm: CausalLm, id: WeightsId): void {
    const values = this.#copies.get(id);
    if (values === undefined)
      throw new SelkieError(
        "unknown-name",
        `engine: expected weights that are kept, got number ${id}; keep them first`,
      );
    lm.parameters.thaw();
    lm.parameters.flat.write(values);
  }

  forget(id: WeightsId): void {
    this.#copies.delete(id);
  }
}
