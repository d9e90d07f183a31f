/**
 * @file The contract of an architecture as tests: its recorded checkpoints (`test/oracles/record-models.py`) on every
 * backend, values and gradients against transformers, decoding against the full pass, files against memory.
 */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { generate } from "../../src/generate/index.ts";
import {
  type ArchitectureCatalog,
  bf16Precision,
  type CausalLm,
  f32Precision,
  type LoadedModel,
  loadAdapter,
  loadModel,
  mergeAdapter,
  type Precision,
  SafetensorsReader,
  saveCheckpoint,
  type TokenBatch,
} from "../../src/models/index.ts";
import { type AdapterBatch, bankOf, type DecodeCache } from "../../src/nn/index.ts";
import {
  type Backend,
  createCpuBackend,
  createReferenceBackend,
  crossEntropy,
  linear,
  nativeInstructionSets,
  packedLayout,
  Scope,
} from "../../src/tensor/index.ts";

/** Recorded checkpoints of one architecture, by the names of their folders. */
export interface ModelFixtures {
  readonly modelType: string;
  readonly checkpoints: readonly string[];
  /** PEFT adapters (`test/oracles/record-peft.py`) and the checkpoint each is for. @defaultValue none */
  readonly adapters?: readonly { readonly name: string; readonly base: string }[];
  /** @defaultValue that of the library */
  readonly architectures?: ArchitectureCatalog;
}

/** `expected.json` of a recorded checkpoint. */
export interface RecordedModel {
  readonly documents: readonly (readonly number[])[];
  readonly loss: number;
  /** False where only those of some parameters were kept. */
  readonly allGradients: boolean;
  readonly greedy: readonly { readonly promptIds: readonly number[]; readonly tokenIds: readonly number[] }[];
}

type Values = Float32Array | Float64Array;

/** Folder of a fixture. */
export const fixtureDirectory = (name: string): string =>
  fileURLToPath(new URL(`../oracles/fixtures/${name}`, import.meta.url));

export const readRecorded = async (name: string): Promise<RecordedModel> =>
  JSON.parse(await readFile(`${fixtureDirectory(name)}/expected.json`, "utf8")) as RecordedModel;

/** A tensor of `expected.safetensors`. */
export async function readExpected(name: string, tensor: string): Promise<Float32Array> {
  await using oracle = await SafetensorsReader.open(`${fixtureDirectory(name)}/expected.safetensors`);
  return oracle.read(tensor);
}

/** Documents side by side, each for itself. */
export function packDocuments(documents: readonly (readonly number[])[]): TokenBatch {
  const offsets = [0];
  for (const ids of documents) offsets.push(offsets.at(-1)! + ids.length);
  return {
    tokenIds: Int32Array.from(documents.flat()),
    positionIds: Int32Array.from(documents.flatMap((ids) => ids.map((_, position) => position))),
    layout: packedLayout(Int32Array.from(offsets)),
  };
}

/** `[N, V]`. */
export function logitsOf(lm: CausalLm, batch: TokenBatch, adapters: AdapterBatch | null = null): Values {
  using scope = new Scope(lm.backend);
  const hidden = lm.hidden(scope, batch, { adapters });
  return linear(scope, hidden, lm.outputWeight, { compute: lm.precision.compute }).readSync();
}

/** Mean next-token loss over all documents; leaves gradients on every parameter. */
export function backwardOf(lm: CausalLm, documents: RecordedModel["documents"]): number {
  lm.parameters.enableGrad();
  using scope = new Scope(lm.backend, { grad: true });
  const targets = Int32Array.from(documents.flatMap((ids) => [...ids.slice(1), -1]));
  const numTargets = targets.filter((target) => target >= 0).length;
  const weights = Float32Array.from(targets, (target) => (target < 0 ? 0 : 1 / numTargets));
  const hidden = lm.hidden(scope, packDocuments(documents));
  const { loss } = crossEntropy(scope, hidden, lm.outputWeight, targets, weights, { compute: lm.precision.compute });
  const [lossNats] = loss.readSync();
  scope.backward(loss);
  return lossNats!;
}

/** Largest difference, as a share of the largest expected value. */
export function gap(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.equal(actual.length, expected.length);
  let [largest, difference] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    largest = Math.max(largest, Math.abs(expected[i]!));
    difference = Math.max(difference, Math.abs(actual[i]! - expected[i]!));
    if (!Number.isFinite(actual[i])) return Number.POSITIVE_INFINITY;
  }
  return difference / largest;
}

/** Compares every recorded gradient; `name: largest gap` of the worst. */
export async function checkGradients(lm: CausalLm, fixture: string, tolerance: number): Promise<string[]> {
  await using oracle = await SafetensorsReader.open(`${fixtureDirectory(fixture)}/expected.safetensors`);
  const names = [...oracle.entries.keys()].filter((key) => key.startsWith("grad.")).map((key) => key.slice(5));
  for (const name of names) {
    const relative = gap(lm.parameters.get(name).grad!.readSync(), await oracle.read(`grad.${name}`));
    assert.ok(relative < tolerance, `${fixture} ${name}: relative gap ${relative}`);
  }
  return names.toSorted();
}

/** The backends there are on this machine. */
export const modelBackends: readonly {
  readonly name: string;
  readonly open: () => Backend;
  readonly skip: string | false;
}[] = [
  { name: "reference", open: () => createReferenceBackend(), skip: false },
  {
    name: "cpu",
    open: () => createCpuBackend({ threads: 2 }),
    skip: nativeInstructionSets().length > 0 ? false : "the native addon is not built",
  },
];

/** Logits `[n, V]` of the next `tokenIds` of a sequence of the cache, which has `past` tokens. */
function decodeOn(
  lm: CausalLm,
  cache: DecodeCache,
  sequence: number,
  past: number,
  tokenIds: readonly number[],
): Values {
  using scope = new Scope(lm.backend);
  const batch = {
    tokenIds: Int32Array.from(tokenIds),
    positionIds: Int32Array.from(tokenIds, (_, i) => past + i),
    layout: {
      qOffsets: Int32Array.of(0, tokenIds.length),
      kStarts: Int32Array.of(sequence),
      kLengths: Int32Array.of(past + tokenIds.length),
    },
  };
  const hidden = lm.hidden(scope, batch, { cache });
  return linear(scope, hidden, lm.outputWeight, { compute: lm.precision.compute }).readSync();
}

/** Runs the contract. */
export function describeModel(fixtures: ModelFixtures): void {
  const { modelType, checkpoints, adapters = [], architectures } = fixtures;
  for (const { name, open, skip } of modelBackends)
    describe(`${modelType} on the ${name} backend`, { skip }, () => {
      const load: Load = (fixture, { precision = f32Precision } = {}) =>
        loadModel(open(), fixtureDirectory(fixture), { precision, architectures });
      for (const checkpoint of checkpoints) {
        describeValues(checkpoint, load);
        describeDecoding(checkpoint, load);
      }
      for (const adapter of adapters) describeAdapter(adapter, load);
      describeFiles(fixtures, load);
    });
}

type Load = (fixture: string, options?: { readonly precision?: Precision }) => Promise<LoadedModel>;

function describeValues(checkpoint: string, load: Load): void {
  test(`${checkpoint}: logits of packed documents equal those of transformers`, async () => {
    using lm = (await load(checkpoint)).lm;
    const logits = logitsOf(lm, packDocuments((await readRecorded(checkpoint)).documents));
    const relative = gap(logits, await readExpected(checkpoint, "logits"));
    assert.ok(relative < 1e-5, `relative gap ${relative}`); // f32 sums of 48 terms, against f64
  });

  test(`${checkpoint}: loss and gradients equal those of torch`, async () => {
    using lm = (await load(checkpoint)).lm;
    const { documents, loss: expectedLoss, allGradients } = await readRecorded(checkpoint);
    const loss = backwardOf(lm, documents);
    assert.ok(Math.abs(loss - expectedLoss) < 1e-5 * expectedLoss);
    const names = await checkGradients(lm, checkpoint, 1e-4);
    if (allGradients) assert.deepEqual(names, lm.parameters.specs.map((spec) => spec.name).toSorted());
  });

  test(`${checkpoint}: bf16 weights give logits close to those of transformers in f64`, async () => {
    using lm = (await load(checkpoint, { precision: bf16Precision })).lm;
    const logits = logitsOf(lm, packDocuments((await readRecorded(checkpoint)).documents));
    const relative = gap(logits, await readExpected(checkpoint, "logits"));
    assert.ok(relative < 0.1, `relative gap ${relative}`); // rounding the weights alone moves mistral-untied by 0.064 in torch
  });

  test(`${checkpoint}: no document sees another: changing one leaves the logits of the other bit for bit`, async () => {
    using lm = (await load(checkpoint)).lm;
    const second = [1, 90, 44, 7, 12, 95, 3];
    const [before, after] = [
      [1, 17, 5, 80, 33],
      [9, 71, 2, 8, 50],
    ].map((first) => logitsOf(lm, packDocuments([first, second])).slice(5 * lm.vocabSize));
    assert.deepEqual(after, before);
  });
}

function describeDecoding(checkpoint: string, load: Load): void {
  const ids = [1, 90, 44, 44, 7, 12, 95, 3, 28];
  const near = (actual: ArrayLike<number>, expected: ArrayLike<number>): void => {
    const relative = gap(actual, expected);
    assert.ok(relative < 1e-6, `relative gap ${relative}`); // only the order of sums differs
  };

  test(`${checkpoint}: decoding token by token through the cache equals one full pass`, async () => {
    using lm = (await load(checkpoint)).lm;
    using cache = lm.createCache(32);
    cache.allocate(11); // another sequence comes first
    const own = cache.allocate(ids.length)!;
    const steps = [decodeOn(lm, cache, own, 0, ids.slice(0, 4))];
    for (let past = 4; past < ids.length; past++) steps.push(decodeOn(lm, cache, own, past, [ids[past]!]));
    near(
      steps.flatMap((rows) => [...rows]),
      logitsOf(lm, packDocuments([ids])),
    );
  });

  test(`${checkpoint}: a copied prefix and a truncated sequence go on like texts read from the start`, async () => {
    using lm = (await load(checkpoint)).lm;
    using cache = lm.createCache(24);
    const [first, second] = [cache.allocate(12)!, cache.allocate(12)!];
    decodeOn(lm, cache, first, 0, ids);
    cache.copy(first, second, 5);
    const rowsOf = (text: readonly number[], from: number) =>
      logitsOf(lm, packDocuments([text])).slice(from * lm.vocabSize);
    near(decodeOn(lm, cache, second, 5, [50, 61]), rowsOf([...ids.slice(0, 5), 50, 61], 5));
    cache.truncate(first, 3);
    near(decodeOn(lm, cache, first, 3, [8, 71]), rowsOf([...ids.slice(0, 3), 8, 71], 3));
    cache.grow(40);
    near(decodeOn(lm, cache, second, 7, [9]), rowsOf([...ids.slice(0, 5), 50, 61, 9], 7));
  });

  test(`${checkpoint}: greedy text is that of transformers`, async () => {
    const { greedy } = await readRecorded(checkpoint);
    using lm = (await load(checkpoint)).lm;
    const requests = greedy.map(({ promptIds, tokenIds }) => ({ promptIds, maxNewTokens: tokenIds.length }));
    const completions = await generate(lm, requests, {});
    assert.deepEqual(
      completions.map((completion) => [...completion.tokenIds]),
      greedy.map(({ tokenIds }) => tokenIds),
    );
  });
}

function describeAdapter({ name, base }: { readonly name: string; readonly base: string }, load: Load): void {
  test(`${name}: an adapter of PEFT gives the logits of PEFT, beside the model and merged into it`, async () => {
    using lm = (await load(base)).lm;
    const { adapter } = await loadAdapter(fixtureDirectory(name));
    assert.deepEqual([...adapter.modules.keys()].toSorted(), lm.linearLayers.map((layer) => layer.name).toSorted());
    const batch = packDocuments((await readRecorded(base)).documents);
    const expected = await readExpected(name, "logits");
    assert.ok(gap(logitsOf(lm, batch), expected) > 0.1, "the adapter matters");
    using bank = bankOf(lm.backend, lm.linearLayers, [adapter]);
    const beside = logitsOf(lm, batch, bank.batch(Int32Array.of(0, batch.tokenIds.length)));
    assert.ok(gap(beside, expected) < 1e-5);
    mergeAdapter(lm, adapter);
    assert.ok(gap(logitsOf(lm, batch), expected) < 1e-5);
  });
}

function describeFiles({ checkpoints, architectures }: ModelFixtures, load: Load): void {
  test("saving and loading gives the same configuration, weights and logits", async () => {
    for (const checkpoint of checkpoints) {
      const source = await load(checkpoint);
      using lm = source.lm;
      const directory = await mkdtemp(join(tmpdir(), "selkie-model-"));
      try {
        const tokenizer = { copyFrom: fixtureDirectory("tokenizer") };
        const digest = await saveCheckpoint(directory, { lm, tokenizer });
        const copy = await loadModel(lm.backend, directory, { precision: f32Precision, architectures });
        using again = copy.lm;
        assert.equal(copy.digest, digest);
        assert.deepEqual(copy.config, source.config);
        assert.deepEqual(again.parameters.specs, lm.parameters.specs);
        assert.deepEqual(again.parameters.flat.readSync(), lm.parameters.flat.readSync());
        const batch = packDocuments([[1, 40, 2]]);
        assert.deepEqual(logitsOf(again, batch), logitsOf(lm, batch));
      } finally {
        await rm(directory, { recursive: true });
      }
    }
  });

  test("a pass leaves nothing allocated once its scope, cache and model are gone, and a cache costs what it says", async () => {
    for (const checkpoint of checkpoints) {
      const { lm } = await load(checkpoint);
      const { backend } = lm;
      logitsOf(lm, packDocuments([[1, 2, 3]]));
      const before = backend.memory().liveBytes;
      const cache = lm.createCache(64);
      assert.equal(backend.memory().liveBytes - before, 64 * cache.bytesPerRow);
      decodeOn(lm, cache, cache.allocate(3)!, 0, [1, 2, 3]);
      cache[Symbol.dispose]();
      lm[Symbol.dispose]();
      assert.equal(backend.memory().liveTensors, 0);
    }
  });
}
