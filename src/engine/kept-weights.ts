/** @file Copies of a model's weights, to go back to. */
import { createHash } from "node:crypto";
import type { CausalLm } from "../models/index.ts";
import { SelkieError } from "../util/index.ts";
import type { WeightsId } from "./engine.ts";

/** Bytes hashed at once; Node refuses more than 2 GiB. */
const chunkBytes = 1 << 28;

/** SHA-256 of all weights as they are now: those in f32, then the codes and scales of quantised matrices. */
export function digestWeights({ parameters }: CausalLm): string {
  const hash = createHash("sha256");
  const add = ({ buffer, byteOffset, byteLength }: Float32Array | Uint8Array | Uint16Array): void => {
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
    for (let done = 0; done < byteLength; done += chunkBytes) hash.update(bytes.subarray(done, done + chunkBytes));
  };
  add(Float32Array.from(parameters.flat.readSync()));
  for (const { name } of parameters.specs) {
    const { quantised } = parameters.get(name);
    if (quantised === null) continue;
    add(quantised.codes);
    add(quantised.scales);
  }
  return hash.digest("hex");
}

/** The copies that an engine holds. */
export class KeptWeights {
  readonly #copies = new Map<WeightsId, Float32Array>();
  #nextId = 0;

  keep(lm: CausalLm): WeightsId {
    const id = this.#nextId++;
    this.#copies.set(id, Float32Array.from(lm.parameters.flat.readSync())); // nothing changes quantised matrices
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
