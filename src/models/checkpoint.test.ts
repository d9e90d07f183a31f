import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createQuantised, createReferenceBackend, linear, numElements, packedLayout, Scope } from "../tensor/index.ts";
import { createRng } from "../util/index.ts";
import { trainByteLevelBpe } from "./bpe.ts";
import { bf16Precision, type CausalLm, f32Precision } from "./causal-lm.ts";
import { loadCheckpoint, loadModel, saveCheckpoint } from "./checkpoint.ts";
import { digestCheckpoint } from "./digest.ts";
import { createLlama, llama } from "./llama.ts";
import { SafetensorsReader, type TensorToWrite, writeSafetensors } from "./safetensors.ts";

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../test/oracles/fixtures/${name}`, import.meta.url));
const backend = createReferenceBackend();
const load = { precision: f32Precision };
let root = "";
before(async () => {
  root = await mkdtemp(join(tmpdir(), "selkie-checkpoint-"));
});
after(async () => {
  await rm(root, { recursive: true });
});

async function copyOf(name: string): Promise<string> {
  const directory = await mkdtemp(join(root, `${name}-`));
  await cp(fixture(name), directory, { recursive: true });
  return directory;
}

function logitsOf(lm: CausalLm): Float32Array | Float64Array {
  using scope = new Scope(lm.backend);
  const tokenIds = Int32Array.of(1, 17, 5, 80, 33, 5, 61, 2);
  const batch = {
    tokenIds,
    positionIds: tokenIds.map((_, i) => i),
    layout: packedLayout(Int32Array.of(0, tokenIds.length)),
  };
  return linear(scope, lm.hidden(scope, batch), lm.outputWeight, { compute: "f32", dtype: "f32" }).readSync();
}

/** All tensors of a file, changed by `change`. */
async function tensorsOf(
  directory: string,
  change: (tensor: TensorToWrite) => TensorToWrite[] = (tensor) => [tensor],
): Promise<TensorToWrite[]> {
  await using reader = await SafetensorsReader.open(join(directory, "model.safetensors"));
  const tensors: TensorToWrite[] = [];
  for (const { name, shape } of reader.entries.values())
    tensors.push(...change({ name, shape, values: await reader.read(name) }));
  return tensors;
}

const shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] as const;

/** The same checkpoint in two shards. */
async function sharded(): Promise<string> {
  const directory = await copyOf("llama-biases");
  const tensors = await tensorsOf(directory);
  const halves = [tensors.filter((_, i) => i % 2 === 0), tensors.filter((_, i) => i % 2 === 1)];
  const weightMap: { [name: string]: string } = {};
  for (const [i, half] of halves.entries()) {
    await writeSafetensors(join(directory, shards[i]!), half, "f32");
    for (const { name } of half) weightMap[name] = shards[i]!;
  }
  await writeFile(
    join(directory, "model.safetensors.index.json"),
    JSON.stringify({ metadata: {}, weight_map: weightMap }),
  );
  await rm(join(directory, "model.safetensors"));
  return directory;
}

test("a sharded checkpoint gives the logits of the whole one bit for bit", async () => {
  using whole = (await loadModel(backend, fixture("llama-biases"), load)).lm;
  using lm = (await loadModel(backend, await sharded(), load)).lm;
  assert.deepEqual(logitsOf(lm), logitsOf(whole));
});

test("a missing shard and an index that points elsewhere are named", async () => {
  const directory = await sharded();
  await rm(join(directory, shards[1]));
  await assert.rejects(loadModel(backend, directory, load), { code: "missing-file", message: /model-00002-of-00002/ });
  await writeFile(
    join(directory, "model.safetensors.index.json"),
    JSON.stringify({ weight_map: { x: "../../secret.safetensors" } }),
  );
  await assert.rejects(loadModel(backend, directory, load), {
    code: "bad-file",
    message: /index\.json: weight_map\.x: .*same directory/,
  });
});

test("saving and loading gives the same weights, the same logits and the digest that was announced", async () => {
  for (const name of ["llama-biases", "llama-llama3-rope"]) {
    const source = await loadModel(backend, fixture(name), load);
    using original = source.lm;
    const directory = join(root, `saved-${name}`);
    const digest = await saveCheckpoint(directory, { lm: original, tokenizer: { copyFrom: fixture("tokenizer") } });
    const copy = await loadModel(backend, directory, load);
    using lm = copy.lm;
    assert.equal(copy.digest, digest);
    assert.notEqual(copy.digest, source.digest); // another config.json
    assert.deepEqual(copy.config, source.config);
    assert.deepEqual(logitsOf(lm), logitsOf(original));
  }
});

test("a bf16 checkpoint and bf16 weights in memory hold the same rounded values", async () => {
  using original = (await loadModel(backend, fixture("llama-tied"), load)).lm;
  using inMemory = (await loadModel(backend, fixture("llama-tied"), { precision: bf16Precision })).lm;
  const directory = join(root, "bf16");
  await saveCheckpoint(directory, { lm: original, tokenizer: { copyFrom: fixture("tokenizer") }, dtype: "bf16" });
  using onDisk = (await loadModel(backend, directory, load)).lm;
  assert.deepEqual(onDisk.parameters.flat.readSync(), inMemory.parameters.flat.readSync());
  const [exact, rounded] = [original.parameters.flat.readSync(), onDisk.parameters.flat.readSync()];
  exact.forEach((value, i) => {
    assert.ok(Math.abs(rounded[i]! - value) <= Math.abs(value) * 2 ** -8); // half a unit in the last of 8 bits
  });
  const logits = logitsOf(original);
  const largest = Math.max(...logits.map(Math.abs));
  logitsOf(inMemory).forEach((value, i) => {
    assert.ok(Math.abs(value - logits[i]!) < 0.05 * largest); // bf16 keeps about 3 digits per step
  });
});

test("an f16 checkpoint loads to the rounded values", async () => {
  const directory = await copyOf("llama-tied");
  const tensors = await tensorsOf(directory);
  // Powers of two times small integers are exact in f16: bits by hand, 1.5 = 0x3e00, -0.25 = 0xb400.
  let offset = 0;
  const header: { [name: string]: object } = {};
  for (const { name, shape, values } of tensors) {
    header[name] = { dtype: "F16", shape, data_offsets: [offset, offset + 2 * values.length] };
    offset += 2 * values.length;
  }
  const data = new Uint16Array(offset / 2).map((_, i) => (i % 3 === 0 ? 0x3e00 : 0xb400));
  const text = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(text.length));
  await writeFile(join(directory, "model.safetensors"), Buffer.concat([prefix, text, new Uint8Array(data.buffer)]));
  using lm = (await loadModel(backend, directory, load)).lm;
  const [first] = tensors;
  const values = lm.parameters.get(first!.name).readSync();
  assert.deepEqual([...values.subarray(0, 4)], [1.5, -0.25, -0.25, 1.5]);
});

test("rotary tables and a copy of a tied output layer are ignored", async () => {
  const directory = await copyOf("llama-tied");
  const tensors = await tensorsOf(directory);
  const extra = { name: "model.layers.0.self_attn.rotary_emb.inv_freq", shape: [4], values: new Float32Array(4) };
  const embedding = tensors.find(({ name }) => name === "model.embed_tokens.weight")!;
  await writeSafetensors(
    join(directory, "model.safetensors"),
    [...tensors, extra, { ...embedding, name: "lm_head.weight" }],
    "f32",
  );
  using original = (await loadModel(backend, fixture("llama-tied"), load)).lm;
  using lm = (await loadModel(backend, directory, load)).lm;
  assert.deepEqual(logitsOf(lm), logitsOf(original));
});

test("missing, misshapen and surplus weights are named, and nothing stays allocated", async () => {
  const path = async (change: (tensor: TensorToWrite) => TensorToWrite[]): Promise<string> => {
    const directory = await copyOf("llama-tied");
    await writeSafetensors(join(directory, "model.safetensors"), await tensorsOf(directory, change), "f32");
    return directory;
  };
  const own = createReferenceBackend();
  const without = await path((tensor) => (tensor.name === "model.norm.weight" ? [] : [tensor]));
  await assert.rejects(loadModel(own, without, load), {
    code: "missing-tensor",
    message: /expected tensor "model.norm.weight".*1 of 20 missing/,
  });
  const reshaped = await path((tensor) => [
    tensor.name.endsWith("up_proj.weight") ? { ...tensor, shape: tensor.shape.toReversed() } : tensor,
  ]);
  await assert.rejects(loadModel(own, reshaped, load), {
    code: "shape-mismatch",
    message: /up_proj.weight": expected \[48, 32\], got \[32, 48\]/,
  });
  const surplus = await path((tensor) =>
    tensor.name === "model.norm.weight"
      ? [tensor, { name: "model.layers.0.self_attn.q_proj.bias", shape: [32], values: new Float32Array(32) }]
      : [tensor],
  );
  await assert.rejects(loadModel(own, surplus, load), {
    code: "bad-file",
    message: /q_proj.bias" has no place in a model of this config/,
  });
  assert.equal(own.memory().liveTensors, 0);
});

test("a directory without weights or with a truncated file says so", async () => {
  const directory = await copyOf("llama-tied");
  const path = join(directory, "model.safetensors");
  await writeFile(path, (await readFile(path)).subarray(0, -100));
  await assert.rejects(loadModel(backend, directory, load), {
    code: "bad-file",
    message: /model\.safetensors: .*truncated/,
  });
  await rm(path);
  await assert.rejects(loadModel(backend, directory, load), {
    code: "missing-file",
    message: /expected model.safetensors or model.safetensors.index.json, got neither/,
  });
  await assert.rejects(loadModel(backend, join(root, "nowhere"), load), {
    code: "missing-file",
    message: /config\.json/,
  });
});

test("a model and a tokenizer of our own make a checkpoint that loads whole", async () => {
  const json = trainByteLevelBpe(["the sea keeps what she was, the sea keeps"], {
    vocabSize: 270,
    specialTokens: ["<eos>"],
  });
  const sizes = {
    model_type: "llama",
    hidden_size: 8,
    intermediate_size: 16,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    eos_token_id: 0,
    tie_word_embeddings: true,
  };
  using lm = createLlama(backend, llama.parseConfig({ ...sizes, vocab_size: 270 }, "config.json"), f32Precision, {
    rng: createRng(1),
  });
  const directory = join(root, "own");
  await saveCheckpoint(directory, { lm, tokenizer: { json } });
  const { lm: loaded, tokenizer } = await loadCheckpoint(backend, directory, load);
  using _ = loaded;
  assert.equal(tokenizer.eosTokenId, 0);
  assert.equal(tokenizer.decode(tokenizer.encode("the sea")), "the sea");
  assert.deepEqual(loaded.parameters.flat.readSync(), lm.parameters.flat.readSync());
  using small = createLlama(backend, llama.parseConfig({ ...sizes, vocab_size: 260 }, "config.json"), f32Precision, {
    rng: createRng(1),
  });
  await saveCheckpoint(directory, { lm: small, tokenizer: { json } });
  const surplus = await loadCheckpoint(backend, directory, load); // its tokenizer has ten tokens more than it has rows
  using _small = surplus.lm;
  const used = surplus.tokenizer.encode("q");
  assert.equal(used.length, 1);
  assert.throws(() => surplus.tokenizer.encode("the sea and the seal"), {
    code: "bad-input",
    message: /^text: expected tokens that the model in .* has \(ids below 260\), got ".*" with id 26\d; leave it out/,
  });
});

test("quantised weights are those of the plain checkpoint, quantised; what is no matrix stays as it was", async () => {
  const directory = fixture("llama-biases");
  using plain = (await loadModel(backend, directory, load)).lm;
  for (const weights of ["int8", "nf4"] as const) {
    const { lm, digest } = await loadModel(backend, directory, { precision: { ...f32Precision, weights } });
    using _lm = lm;
    assert.equal(digest, await digestCheckpoint(directory), "adapters fit the checkpoint in any format");
    for (const { name, shape } of lm.parameters.specs) {
      const stored = plain.parameters.get(name).readSync();
      const isLookup = name === "model.embed_tokens.weight" || name === "lm_head.weight";
      const format = shape.length === 2 ? (isLookup ? "int8" : weights) : null;
      assert.equal(lm.parameters.get(name).quantised?.format ?? null, format, name);
      if (format === null) assert.deepEqual(lm.parameters.get(name).readSync(), stored);
      else {
        using expected = createQuantised(backend, shape as [number, number], format);
        expected.write(stored);
        assert.deepEqual(lm.parameters.get(name).readSync(), expected.readSync());
      }
    }
  }
});

test("loading quantised weights never holds the originals", async () => {
  const fresh = createReferenceBackend();
  using lm = (await loadModel(fresh, fixture("llama-tied"), { precision: { ...f32Precision, weights: "nf4" } })).lm;
  assert.equal(fresh.memory().peakBytes, fresh.memory().liveBytes);
  assert.ok(
    lm.parameters.numBytes < 0.5 * 4 * lm.parameters.specs.reduce((sum, { shape }) => sum + numElements(shape), 0),
  );
});
