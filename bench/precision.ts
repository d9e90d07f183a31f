/**
 * @file What training in bf16 costs: the held-out loss of two checkpoints of the nano recipe, one trained in f32 and one in
 * bf16, on the same documents, which neither saw, both read in f32.
 *
 *     ./selkie pretrain nano --precision f32 --out runs/nano-f32      (and bf16 likewise)
 *     npm run bench:precision -- --f32 runs/nano-f32 --bf16 models/nano [--out docs/results/precision]
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { encodeDocument, f32Precision, loadCheckpoint } from "../src/models/index.ts";
import { createWorld, pretrainingDocuments } from "../src/tasks/index.ts";
import { openBackend } from "../src/tensor/index.ts";
import { meanLoss } from "../src/train/index.ts";
import { bootstrapMean, createRng } from "../src/util/index.ts";

const numDocuments = 1000;

const { values } = parseArgs({
  options: {
    f32: { type: "string" },
    bf16: { type: "string", default: "models/nano" },
    out: { type: "string", default: "docs/results/precision" },
  },
});
if (values.f32 === undefined)
  throw new Error("precision: expected --f32 <checkpoint of the nano recipe trained in f32>");
const backend = openBackend();

/** Loss of each held-out document, nats per token, and the loss of the last training step as the run recorded it. */
async function measure(directory: string): Promise<{ perDocument: readonly number[]; mean: number; lastStep: number }> {
  const { lm: model, tokenizer } = await loadCheckpoint(backend, directory, { precision: f32Precision });
  using lm = model;
  const documents = [];
  for (const text of pretrainingDocuments(createWorld(), createRng("held-out"))) {
    documents.push({ tokenIds: encodeDocument(tokenizer, text) });
    if (documents.length === numDocuments) break;
  }
  const { perDocument, lossNats } = meanLoss(lm, documents);
  const record = JSON.parse(await readFile(join(directory, "selkie.json"), "utf8")) as { lossNats: number };
  return { perDocument, mean: lossNats, lastStep: record.lossNats };
}

const [f32, bf16] = [await measure(values.f32), await measure(values.bf16)];
const differences = bf16.perDocument.map((loss, index) => loss - f32.perDocument[index]!);
const result = {
  command: "npm run bench:precision -- --f32 <checkpoint> --bf16 models/nano",
  numDocuments,
  f32: { heldOutNats: f32.mean, lastStepNats: f32.lastStep },
  bf16: { heldOutNats: bf16.mean, lastStepNats: bf16.lastStep },
  relativeDifference: { heldOut: bf16.mean / f32.mean - 1, lastStep: bf16.lastStep / f32.lastStep - 1 },
  pairedDifferenceNats: bootstrapMean(differences, createRng("precision")),
};
await mkdir(dirname(values.out), { recursive: true });
await writeFile(`${values.out}.json`, `${JSON.stringify(result, null, 1)}\n`);
console.log(JSON.stringify(result, null, 1));
