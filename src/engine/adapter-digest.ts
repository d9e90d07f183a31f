/** @file What names an adapter: the digest of its weights. */
import { createHash } from "node:crypto";
import type { LoraAdapter } from "../nn/index.ts";

const bytesOf = (values: Float32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** SHA-256 over rank, alpha, and the names and weights of all modules. */
export function digestAdapter({ loraRank, loraAlpha, modules }: LoraAdapter): string {
  const hash = createHash("sha256").update(JSON.stringify([loraRank, loraAlpha, [...modules.keys()]]));
  for (const { loraA, loraB } of modules.values()) hash.update(bytesOf(loraA)).update(bytesOf(loraB));
  return hash.digest("hex");
}
