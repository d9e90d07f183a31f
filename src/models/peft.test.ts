import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { bankOf, type LoraAdapter, LoraBank, lastBlocks } from "../nn/index.ts";
import { createReferenceBackend, crossEntropy, linear, packedLayout, Scope } from "../tensor/index.ts";
import { createRng } from "../util/index.ts";
import { f32Precision, type TokenBatch } from "./causal-lm.ts";
import { loadModel } from "./checkpoint.ts";
import { checkAdapterBase, loadAdapter, saveAdapter } from "./peft.ts";
import { SafetensorsReader } from "./safetensors.ts";

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../test/oracles/fixtures/${name}`, import.meta.url));
const readJson = async <T>(path: string): Promise<T> => JSON.parse(await readFile(path, "utf8")) as T;
const backend = createReferenceBackend();
const { documents } = await readJson<{ documents: number[][] }>(`${fixture("llama-tied")}/expected.json`);
const { lm, digest } = await loadModel(backend, fixture("llama-tied"), { precision: f32Precision });
let root = "";
before(async () => {
  root = await mkdtemp(join(tmpdir(), "selkie-peft-"));
});
after(async () => {
  lm[Symbol.dispose]();
  await rm(root, { recursive: true });
});

const offsets = [0];
for (const ids of documents) offsets.push(offsets.at(-1)! + ids.length);
const packedDocuments = (): TokenBatch => ({
  tokenIds: Int32Array.from(documents.flat()),
  positionIds: Int32Array.from(documents.flatMap((ids) => ids.map((_, position) => position))),
  layout: packedLayout(Int32Array.from(offsets)),
});

/** Logits of the fixture's documents, packed, with `adapters[i]` on document `i` (the last one on all that follow). */
function logitsWith(adapters: readonly LoraAdapter[]): number[] {
  using bank = bankOf(backend, lm.linearLayers, adapters);
  using scope = new Scope(backend);
  const segments = Int32Array.from([...offsets.slice(0, adapters.length), offsets.at(-1)!]);
  const hidden = lm.hidden(scope, packedDocuments(), { adapters: bank.batch(segments) });
  return [...linear(scope, hidden, lm.outputWeight, { compute: "f32" }).readSync()];
}

function gap(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.equal(actual.length, expected.length);
  let [largest, difference] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    largest = Math.max(largest, Math.abs(expected[i]!));
    difference = Math.max(difference, Math.abs(actual[i]! - expected[i]!));
  }
  return difference / largest;
}

async function expectedLogits(name: string): Promise<Float32Array> {
  await using reader = await SafetensorsReader.open(join(fixture(name), "expected.safetensors"));
  return reader.read("logits");
}

/** The adapter that check-peft.py was given: random, from a fixed seed. */
function seededAdapter(): LoraAdapter {
  using bank = new LoraBank(backend, lm.linearLayers, [
    { loraRank: 3, loraAlpha: 7, targets: ["q_proj", "o_proj", "up_proj", "down_proj"] },
  ]);
  const rng = createRng("check-peft");
  // Multiples of 2^-10: the same bits on every machine, which a logarithm or a cosine would not promise.
  bank.parameters.flat.write(
    Float32Array.from({ length: bank.parameters.flat.size }, () => (rng.integer(1024) - 512) / 1024),
  );
  return bank.extract(0);
}

const origin = { baseModelNameOrPath: "llama-tied", baseDigest: digest };

describe("adapters written by PEFT", () => {
  for (const name of ["peft-plain", "peft-rslora", "peft-patterns"])
    test(`${name} gives the logits that PEFT computed`, async () => {
      const { adapter, baseModelNameOrPath, baseDigest } = await loadAdapter(fixture(name));
      const relative = gap(logitsWith([adapter]), await expectedLogits(name));
      assert.ok(relative < 1e-5, `relative gap ${relative}`); // f32 against f64
      assert.deepEqual([baseModelNameOrPath, baseDigest], ["llama-tied", null]);
    });

  test("three adapters of different rank and reach run in one pass, each on its own document", async () => {
    const names = ["peft-plain", "peft-rslora", "peft-patterns"];
    const adapters = await Promise.all(names.map(async (name) => (await loadAdapter(fixture(name))).adapter));
    const logits = logitsWith(adapters);
    let begin = 0;
    for (const [i, name] of names.entries()) {
      const end = begin + documents[i]!.length * lm.vocabSize;
      const relative = gap(logits.slice(begin, end), (await expectedLogits(name)).subarray(begin, end));
      assert.ok(relative < 1e-5, `${name}: relative gap ${relative}`);
      begin = end;
    }
  });

  test("gradients of an adapter equal those of torch, and the frozen base gets none", async () => {
    const { adapter } = await loadAdapter(fixture("peft-plain"));
    await using oracle = await SafetensorsReader.open(join(fixture("peft-plain"), "expected.safetensors"));
    using bank = bankOf(backend, lm.linearLayers, [adapter]);
    bank.parameters.enableGrad();
    using scope = new Scope(backend, { grad: true });
    const targets = Int32Array.from(documents.flatMap((ids) => [...ids.slice(1), -1]));
    const numTargets = targets.filter((target) => target >= 0).length;
    const weights = Float32Array.from(targets, (target) => (target < 0 ? 0 : 1 / numTargets));
    const hidden = lm.hidden(scope, packedDocuments(), { adapters: bank.batch(Int32Array.of(0, targets.length)) });
    scope.backward(crossEntropy(scope, hidden, lm.outputWeight, targets, weights, { compute: "f32" }).loss);
    let numCompared = 0;
    for (const name of oracle.entries.keys()) {
      if (!name.startsWith("grad.")) continue;
      const relative = gap(bank.parameters.get(name.slice("grad.".length)).grad!.readSync(), await oracle.read(name));
      assert.ok(relative < 1e-4, `${name}: relative gap ${relative}`);
      numCompared++;
    }
    assert.equal(numCompared, 12); // A and B of 3 projections in 2 blocks
    assert.ok(lm.parameters.specs.every((spec) => lm.parameters.get(spec.name).grad === null));
  });

  test("rank and alpha of a plain adapter are kept as they are", async () => {
    const { adapter } = await loadAdapter(fixture("peft-plain"));
    assert.deepEqual([adapter.loraRank, adapter.loraAlpha], [4, 6]);
    assert.equal(adapter.modules.size, 6);
  });
});

describe("adapters written by us", () => {
  test("what we write is what check-peft.py loaded with PEFT and found to give our logits", async () => {
    const checked = await readJson<{ weightsDigest: string; config: object; numTensors: number }>(
      join(fixture("peft-checked"), "result.json"),
    );
    const recorded = await readJson<{ logits: number[] }>(join(fixture("peft-checked"), "logits.json"));
    const directory = join(root, "checked");
    const weightsDigest = await saveAdapter(directory, seededAdapter(), origin);
    assert.equal(weightsDigest, checked.weightsDigest);
    assert.deepEqual(await readJson(join(directory, "adapter_config.json")), checked.config);
    assert.equal(checked.numTensors, 16);
    const relative = gap(logitsWith([(await loadAdapter(directory)).adapter]), recorded.logits);
    assert.ok(relative < 1e-5, `relative gap ${relative}`); // the reference backend of any machine
  });

  test("saving and loading changes nothing, and lineage travels along", async () => {
    const adapter = seededAdapter();
    const directory = join(root, "round-trip");
    await saveAdapter(directory, adapter, { ...origin, lineage: { parent: "edit-7", baseDigest: "not this one" } });
    const loaded = await loadAdapter(directory);
    assert.deepEqual(loaded.adapter, {
      ...adapter,
      modules: new Map([...adapter.modules].toSorted(([a], [b]) => (a < b ? -1 : 1))),
    });
    assert.deepEqual(
      [loaded.baseDigest, loaded.baseModelNameOrPath, loaded.lineage],
      [digest, "llama-tied", { parent: "edit-7" }],
    );
  });

  test("an adapter of chosen blocks says which, as PEFT asks, and comes back as it was", async () => {
    using bank = new LoraBank(backend, lm.linearLayers, [
      { loraRank: 2, loraAlpha: 2, targets: ["q_proj", "down_proj"], layers: lastBlocks(lm.linearLayers, 1) },
    ]);
    const rng = createRng("last-block");
    bank.parameters.flat.write(Float32Array.from({ length: bank.parameters.flat.size }, () => rng.normal()));
    const adapter = bank.extract(0);
    const names = ["model.layers.1.mlp.down_proj", "model.layers.1.self_attn.q_proj"];
    assert.deepEqual([...adapter.modules.keys()].toSorted(), names);
    const directory = join(root, "last-block");
    await saveAdapter(directory, adapter, origin);
    const config = await readJson<Record<string, unknown>>(join(directory, "adapter_config.json"));
    assert.deepEqual([config.layers_to_transform, config.target_modules], [[1], ["down_proj", "q_proj"]]);
    const loaded = await loadAdapter(directory);
    assert.deepEqual([...loaded.adapter.modules.keys()].toSorted(), names);
    const idle = { ...adapter, loraAlpha: 0 };
    assert.ok(gap(logitsWith([adapter]), logitsWith([idle])) > 0.01, "it changes the logits");
    assert.deepEqual(logitsWith([loaded.adapter]), logitsWith([adapter]));
  });

  test("an adapter of another base is refused by digest, one without a digest is not", async () => {
    const directory = join(root, "base");
    await saveAdapter(directory, seededAdapter(), origin);
    const loaded = await loadAdapter(directory);
    checkAdapterBase(loaded, digest);
    assert.throws(() => checkAdapterBase(loaded, "0".repeat(64)), {
      code: "adapter-mismatch",
      message: new RegExp(`digest ${digest} \\(llama-tied\\), got 0000`),
    });
    checkAdapterBase(await loadAdapter(fixture("peft-plain")), "0".repeat(64));
  });

  test("the refusal names the files of the base that changed", async () => {
    const directory = join(root, "base-parts");
    const baseParts = ["config.json", "tokenizer.json"].map((name) => ({ name, sha256: "1".repeat(64) }));
    await saveAdapter(directory, seededAdapter(), { ...origin, baseParts });
    const loaded = await loadAdapter(directory);
    assert.deepEqual(loaded.baseParts, baseParts);
    const now = [baseParts[0]!, { name: "tokenizer.json", sha256: "2".repeat(64) }];
    assert.throws(() => checkAdapterBase(loaded, "0".repeat(64), now), {
      message: /got 0{64} \(differs in tokenizer\.json\); load/,
    });
  });
});

describe("adapters that cannot be represented", () => {
  const withConfig = async (change: object): Promise<string> => {
    const directory = await mkdtemp(join(root, "foreign-"));
    await cp(fixture("peft-plain"), directory, { recursive: true });
    const path = join(directory, "adapter_config.json");
    await writeFile(path, JSON.stringify({ ...(await readJson<object>(path)), ...change }));
    return directory;
  };
  const cases: readonly (readonly [change: object, message: RegExp])[] = [
    [{ use_dora: true }, /adapter_config\.json: expected no use_dora, got true/],
    [{ bias: "all" }, /adapter_config\.json: bias: only bias "none" is supported/],
    [{ modules_to_save: ["lm_head"] }, /expected no modules_to_save, got \["lm_head"\]/],
    [{ init_lora_weights: "pissa_niter_4" }, /got "pissa_niter_4"/],
    [{ peft_type: "IA3" }, /peft_type/],
    [{ r: 5 }, /lora_A.weight": expected \[5, in\] .*got \[4, /],
    [{ rank_pattern: { v_proj: 2 } }, /v_proj.lora_A.weight": expected \[2, in\]/],
    [{ rank_pattern: { "(": 2 } }, /expected a regular expression .*got "\("/],
  ];
  for (const [change, message] of cases)
    test(`${JSON.stringify(change)} is refused by name`, async () => {
      await assert.rejects(loadAdapter(await withConfig(change)), message);
    });

  test("missing files are named", async () => {
    const directory = join(root, "empty");
    await mkdir(directory);
    await assert.rejects(loadAdapter(directory), { code: "missing-file", message: /adapter_config\.json/ });
    await writeFile(join(directory, "adapter_config.json"), JSON.stringify({ peft_type: "LORA" }));
    await assert.rejects(loadAdapter(directory), { code: "missing-file", message: /adapter_model\.safetensors/ });
  });
});
