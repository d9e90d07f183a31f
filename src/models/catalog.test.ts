import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { describeModel, fixtureDirectory } from "../../test/support/model-contract.ts";
import * as nn from "../nn/index.ts";
import { createReferenceBackend, embedding, type Tensor } from "../tensor/index.ts";
import { createRng } from "../util/index.ts";
import {
  type Architecture,
  ArchitectureCatalog,
  architectures,
  createDecoder,
  createModel,
  type DecoderConfig,
  type DecoderPass,
  decoderToJson,
  f32Precision,
  loadModel,
  parseConfig,
  parseDecoder,
} from "./index.ts";

/** What a user of the library writes: Qwen2, whose queries, keys and values have biases and whose outputs have none. */
interface Qwen2Config extends DecoderConfig {
  readonly modelType: "qwen2";
}
const qwen2: Architecture<Qwen2Config> = {
  modelType: "qwen2",
  parseConfig: (json, path) => ({ modelType: "qwen2", ...parseDecoder(json, path) }),
  configToJson: decoderToJson,
  parameters: (config) =>
    nn.decoderParameters(config, { attentionBias: true }).filter(({ name }) => !name.endsWith("o_proj.bias")),
  create: (...args) => createDecoder({ architecture: qwen2, forward }, ...args),
};
function forward(pass: DecoderPass, config: Qwen2Config): Tensor {
  let stream: Tensor = embedding(pass.scope, pass.parameters.get(nn.embeddingName), pass.tokenIds, pass.wide);
  for (let layer = 0; layer < config.numLayers; layer++) {
    const names = nn.blockNames(layer);
    stream = nn.residual(pass, stream, names.attentionNorm, (...at) =>
      nn.groupedAttention(pass, layer, names, at, config),
    );
    stream = nn.residual(pass, stream, names.mlpNorm, (...at) => nn.gatedMlp(pass, names, at));
  }
  return nn.norm(pass, nn.finalNormName, stream);
}
const more = architectures.with(qwen2);

describeModel({ modelType: "qwen2 of a catalog of one's own", checkpoints: ["custom-qwen2"], architectures: more });

test("a catalog with one more leaves the library's as it was, whose error names what it knows", async () => {
  assert.deepEqual(more.modelTypes, ["llama", "mistral", "qwen2", "qwen3"]);
  const load = loadModel(createReferenceBackend(), fixtureDirectory("custom-qwen2"), { precision: f32Precision });
  await assert.rejects(load, {
    code: "unsupported-model",
    message: /config\.json: expected model_type "llama", "mistral" or "qwen3", got "qwen2"$/,
  });
});

test("a model_type is in a catalog once", () => {
  assert.throws(() => more.with(qwen2), {
    code: "duplicate-name",
    message: /each model_type once, got .*qwen2, qwen2/,
  });
  assert.throws(() => new ArchitectureCatalog([qwen2]).get("gpt9", "m/config.json"), {
    code: "unsupported-model",
    message: 'm/config.json: expected model_type "qwen2", got "gpt9"',
  });
});

test("createModel makes the model that a configuration names", async () => {
  for (const name of ["llama-tied", "mistral-untied", "qwen3-biases"]) {
    const json = JSON.parse(await readFile(`${fixtureDirectory(name)}/config.json`, "utf8")) as unknown;
    const config = parseConfig(json, name);
    using lm = createModel(createReferenceBackend(), config, f32Precision, { rng: createRng(1) });
    assert.equal(lm.architecture, architectures.get(name.split("-")[0]!, "test"));
    assert.deepEqual(lm.config, config);
    assert.equal(lm.parameters.get("model.norm.weight").readSync()[0], 1);
  }
});

interface KeysCase {
  readonly v4: { readonly model_type: string };
  readonly v5: { readonly model_type: string };
  /** What transformers made of both. */
  readonly understood: readonly {
    readonly ropeTheta: number;
    readonly ropeType: string;
    readonly window: number | null;
    readonly layerTypes: readonly string[] | null;
    readonly headDim: number;
    readonly attentionBias: boolean | null;
  }[];
}

test("the keys of transformers 4 and 5 mean the same, what transformers takes them for, and survive being written", async () => {
  const cases = JSON.parse(await readFile(fixtureDirectory("config-keys.json"), "utf8")) as KeysCase[];
  assert.deepEqual(cases.map(({ v4 }) => v4.model_type).toSorted(), [...architectures.modelTypes]);
  for (const { v4, v5, understood } of cases) {
    const [old, current] = [parseConfig(v4, "v4"), parseConfig(v5, "v5")];
    assert.deepEqual(old, current);
    const architecture = architectures.get(old.modelType, "test");
    assert.deepEqual(parseConfig(architecture.configToJson(old, "bfloat16"), "again"), old);
    for (const { window, layerTypes, ...expected } of understood) {
      const { ropeTheta, ropeScaling, headDim } = old as DecoderConfig;
      const { attentionBias = null } = old as Partial<{ readonly attentionBias: boolean }>;
      assert.deepEqual({ ropeTheta, ropeType: ropeScaling.kind, headDim, attentionBias }, expected);
      using lm = createModel(createReferenceBackend(), old, f32Precision);
      const isWide = (layer: number): boolean => window === null || layerTypes?.[layer] === "full_attention";
      const windows = Array.from({ length: old.numLayers }, (_, layer) =>
        isWide(layer) ? Number.POSITIVE_INFINITY : window,
      );
      assert.deepEqual(lm.attentionWindows, windows);
    }
  }
});
