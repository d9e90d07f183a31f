/**
 * @file Writes what check-peft.py checks: the adapter of `src/models/peft.test.ts` and the logits it gives on llama-tied.
 * Usage: node test/oracles/write-peft-adapter.ts ADAPTER_DIRECTORY LOGITS.json
 */
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { f32Precision, loadAdapter, loadModel, saveAdapter } from "../../src/models/index.ts";
import { bankOf, LoraBank } from "../../src/nn/index.ts";
import { createReferenceBackend, linear, packedLayout, Scope } from "../../src/tensor/index.ts";
import { createRng } from "../../src/util/index.ts";

const [directory, logitsPath] = process.argv.slice(2) as [string, string];
const base = fileURLToPath(new URL("fixtures/llama-tied", import.meta.url));
const backend = createReferenceBackend();
const { lm, digest } = await loadModel(backend, base, { precision: f32Precision });
const { documents } = JSON.parse(await readFile(`${base}/expected.json`, "utf8")) as { documents: number[][] };

using bank = new LoraBank(backend, lm.linearLayers, [
  { loraRank: 3, loraAlpha: 7, targets: ["q_proj", "o_proj", "up_proj", "down_proj"] },
]);
const rng = createRng("check-peft");
const { flat } = bank.parameters;
flat.write(Float32Array.from({ length: flat.size }, () => (rng.integer(1024) - 512) / 1024));
await saveAdapter(directory, bank.extract(0), { baseModelNameOrPath: "llama-tied", baseDigest: digest });

using loaded = bankOf(backend, lm.linearLayers, [(await loadAdapter(directory)).adapter]);
using scope = new Scope(backend);
const offsets = [0];
for (const ids of documents) offsets.push(offsets.at(-1)! + ids.length);
const batch = {
  tokenIds: Int32Array.from(documents.flat()),
  positionIds: Int32Array.from(documents.flatMap((ids) => ids.map((_, position) => position))),
  layout: packedLayout(Int32Array.from(offsets)),
};
const hidden = lm.hidden(scope, batch, { adapters: loaded.batch(Int32Array.of(0, offsets.at(-1)!)) });
const logits = linear(scope, hidden, lm.outputWeight, { compute: "f32" }).readSync();
await writeFile(
  logitsPath,
  `${JSON.stringify({ documents, logits: Array.from(logits, (logit) => Number(logit.toPrecision(8))) })}\n`,
);
lm[Symbol.dispose]();
