import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { createReferenceBackend, packedLayout, Scope } from "../tensor/index.ts";
import { SelkieError } from "../util/index.ts";
import type { ConfiguredLm } from "./architecture.ts";
import { f32Precision } from "./causal-lm.ts";
import { loadCheckpoint, loadModel } from "./checkpoint.ts";
import { SafetensorsReader, type TensorToWrite, writeSafetensors } from "./safetensors.ts";

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../test/oracles/fixtures/${name}`, import.meta.url));
const backend = createReferenceBackend();
let root = "";
before(async () => {
  root = await mkdtemp(join(tmpdir(), "selkie-weights-"));
});
after(() => rm(root, { recursive: true }));

/** A copy of the tied fixture, with other tensors and another config.json. */
async function copyWith(
  change: (tensors: TensorToWrite[]) => TensorToWrite[],
  config: object = {},
  dtype: "f32" | "bf16" = "f32",
): Promise<string> {
  const directory = await mkdtemp(join(root, "copy-"));
  await cp(fixture("llama-tied"), directory, { recursive: true });
  const path = join(directory, "model.safetensors");
  const tensors: TensorToWrite[] = [];
  {
    await using reader = await SafetensorsReader.open(path);
    for (const { name, shape } of reader.entries.values())
      tensors.push({ name, shape, values: await reader.read(name) });
  }
  await writeSafetensors(path, change(tensors), dtype);
  const old = JSON.parse(await readFile(join(directory, "config.json"), "utf8")) as object;
  await writeFile(join(directory, "config.json"), JSON.stringify({ ...old, ...config }));
  return directory;
}

const embedding = (tensors: readonly TensorToWrite[]): TensorToWrite =>
  tensors.find(({ name }) => name === "model.embed_tokens.weight")!;
const extra = (name: string, shape: readonly number[]): TensorToWrite => ({
  name,
  shape,
  values: new Float32Array(shape.reduce((product, size) => product * size, 1)),
});

async function load(directory: string): Promise<{ lm: ConfiguredLm; tie: boolean; warnings: string[] }> {
  const warnings: string[] = [];
  const { lm, config } = await loadModel(backend, directory, {
    precision: f32Precision,
    warn: (text) => warnings.push(text),
  });
  return { lm, tie: config.tieWordEmbeddings, warnings };
}

describe("an output layer beside a tied embedding", () => {
  test("is left out where it is a copy, to the bit", async () => {
    const directory = await copyWith((tensors) => [...tensors, { ...embedding(tensors), name: "lm_head.weight" }]);
    const { lm, tie, warnings } = await load(directory);
    using _ = lm;
    assert.deepEqual([tie, warnings], [true, []]);
    assert.equal(lm.parameters.has("lm_head.weight"), false);
  });

  test("is used, and told of, where it differs in one value", async () => {
    let changed = new Float32Array();
    const directory = await copyWith((tensors) => {
      changed = Float32Array.from(embedding(tensors).values);
      changed[changed.length - 1]! += 0.5;
      return [...tensors, { ...embedding(tensors), name: "lm_head.weight", values: changed }];
    });
    const { lm, tie, warnings } = await load(directory);
    using _ = lm;
    assert.equal(tie, false);
    assert.match(warnings[0]!, /tie_word_embeddings is true, but lm_head\.weight differs/);
    assert.deepEqual(lm.outputWeight.readSync(), changed);
  });

  test("of another shape is refused", async () => {
    const directory = await copyWith((tensors) => [...tensors, extra("lm_head.weight", [97, 32])]);
    await assert.rejects(load(directory), /lm_head\.weight.*97/);
  });
});

describe("tensors that config.json has no place for", () => {
  test("are refused where they would change the model", async () => {
    for (const name of [
      "model.layers.0.self_attn.q_proj.bias",
      "model.layers.2.mlp.up_proj.weight",
      "model.layers.0.self_attn.q_proj.weight_scale",
      "model.layers.0.self_attn.q_norm.weight",
      "model.embed_positions.weight",
      "lm_head.bias",
    ])
      await assert.rejects(load(await copyWith((tensors) => [...tensors, extra(name, [32])])), {
        code: "bad-file",
        message: new RegExp(`tensor "${name.replaceAll(".", "\\.")}" has no place in a model of this config\\.json`),
      });
  });

  test("are named where they are a head of another kind, and silent where they follow from config.json", async () => {
    const { lm, warnings } = await load(await copyWith((tensors) => [...tensors, extra("score.weight", [2, 32])]));
    lm[Symbol.dispose]();
    assert.match(warnings[0]!, /tensor "score\.weight" is no part of a language model/);
    const names = ["model.layers.0.self_attn.rotary_emb.inv_freq", "model.rotary_emb.inv_freq"];
    const second = await load(await copyWith((tensors) => [...tensors, ...names.map((name) => extra(name, [4]))]));
    second.lm[Symbol.dispose]();
    assert.deepEqual(second.warnings, []);
  });
});

describe("numbers in config.json that the weights do not bear out", () => {
  const absurd: readonly (readonly [string, number])[] = [
    ["num_hidden_layers", 10_000_000],
    ["num_hidden_layers", 2 ** 31],
    ["hidden_size", 1_073_741_824],
    ["intermediate_size", 2_000_000_000],
    ["vocab_size", 2_000_000_000],
    ["vocab_size", 1e15],
    ["num_attention_heads", 100_000_000],
    ["num_key_value_heads", 0],
    ["head_dim", 2_000_000_000],
    ["head_dim", 7],
    ["max_position_embeddings", 1e11],
    ["max_position_embeddings", 0],
    ["rope_theta", 1e-300],
    ["rope_theta", 1e300],
    ["rms_norm_eps", 1e30],
    ["rms_norm_eps", 0],
  ];
  for (const [key, value] of absurd)
    test(`${key} ${value}`, async () => {
      const directory = await copyWith((tensors) => tensors, { rope_parameters: null, [key]: value });
      const begin = performance.now();
      const before = process.memoryUsage().rss;
      await assert.rejects(load(directory), (error: unknown) => {
        assert.ok(error instanceof SelkieError, String(error));
        return true;
      });
      assert.ok(performance.now() - begin < 5000);
      assert.ok(process.memoryUsage().rss - before < 200 * 2 ** 20);
    });

  test("whatever the fields hold, loading succeeds or refuses by name", async () => {
    const original = JSON.parse(await readFile(join(fixture("llama-tied"), "config.json"), "utf8")) as object;
    const directory = await copyWith((tensors) => tensors);
    await cp(join(fixture("tokenizer"), "tokenizer.json"), join(directory, "tokenizer.json"));
    const value = fc.oneof(
      fc.constantFrom(null, true, -1, 0, 0.5, 1e308, 2 ** 31, 2 ** 53, "", "x", [], {}, [1e9], { type: "linear" }),
      fc.jsonValue(),
    );
    const change = fc.record({ key: fc.constantFrom(...Object.keys(original), "head_dim", "rope_theta"), value });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
        const fields = Object.fromEntries(changes.map((entry) => [entry.key, entry.value]));
        await writeFile(join(directory, "config.json"), JSON.stringify({ ...original, ...fields }));
        await loadCheckpoint(backend, directory, { precision: f32Precision }).then(
          ({ lm }) => lm[Symbol.dispose](),
          (error: unknown) => assert.ok(error instanceof SelkieError, `${JSON.stringify(fields)}: ${String(error)}`),
        );
      }),
      { numRuns: 150, seed: 9 },
    );
  });
});

describe("the rotary table", () => {
  const hidden = (lm: ConfiguredLm, positions: readonly number[]): Float32Array | Float64Array => {
    using scope = new Scope(lm.backend);
    const positionIds = Int32Array.from(positions);
    const layout = packedLayout(Int32Array.of(0, positions.length));
    return lm.hidden(scope, { tokenIds: positionIds.map((position) => position % 7), positionIds, layout }).readSync();
  };

  test("costs what is used, not what config.json claims", async () => {
    const directory = await copyWith((tensors) => tensors, { max_position_embeddings: 2 ** 30 });
    const begin = performance.now();
    const before = process.memoryUsage().rss;
    const { lm } = await load(directory);
    using _ = lm;
    hidden(lm, [0, 1, 2]);
    assert.ok(performance.now() - begin < 5000);
    assert.ok(process.memoryUsage().rss - before < 100 * 2 ** 20);
  });

  test("gives the same after it has grown, far positions and near ones", async () => {
    const directory = await copyWith((tensors) => tensors, { max_position_embeddings: 5000 });
    const [grown, fresh] = [(await load(directory)).lm, (await load(directory)).lm];
    using _ = grown;
    using __ = fresh;
    const near = hidden(grown, [0, 1, 2]);
    const far = hidden(grown, [4997, 4998, 4999]);
    assert.deepEqual(hidden(fresh, [4997, 4998, 4999]), far);
    assert.deepEqual(hidden(grown, [0, 1, 2]), near);
    assert.deepEqual(hidden(fresh, [0, 1, 2]), near);
  });
});
