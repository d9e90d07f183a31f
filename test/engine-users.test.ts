/**
 * @file Who may hold a model's weights: above `engine` nobody, but for the files named here. All others talk to an engine, so
 * that they work the same whether the model lives in their thread, in a worker or elsewhere.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readSources } from "./support/source.ts";

/** What takes or gives weights, by the layer whose door it comes through. Of other layers' doors everything may be used. */
const weights: Readonly<Record<string, ReadonlySet<string>>> = {
  models: new Set([
    ...["CausalLm", "ConfiguredLm", "LlamaLm", "Checkpoint", "LoadedModel", "loadCheckpoint", "loadModel"],
    ...["createLlama", "mergeAdapter", "saveCheckpoint", "architectures"],
  ]),
  generate: new Set([
    ...["generate", "scoreTokens", "nextTokenKl", "modelKl", "predictTokens", "RunningBatch", "toSequence"],
    ...["packRuns", "adaptersOf"],
  ]),
  nn: new Set(["LoraBank", "bankOf", "ParameterStore", "Optimizer", "KvCache"]),
  train: new Set([
    ...["trainAdapters", "trainFull", "trainPolicy", "trainPlanned", "train", "Trainer", "wholeModel", "oneAdapter"],
    ...["adaptersOver", "softTargetsOf", "adapterFisher", "meanLoss", "createPenalty"],
  ]),
  tensor: new Set(["openBackend", "createReferenceBackend", "Backend", "Tensor", "Scope", "linear", "createTensor"]),
};

/** Files that build models from nothing, or time what lies below the engine. */
const exceptions: Readonly<Record<string, string>> = {
  "src/adapt/domains/curve-base.ts": "pretrains the model of the curve domain",
  "src/lab/nano.ts": "pretrains the shipped model",
  "src/cli/commands/pretrain.ts": "opens the backend for that",
  "src/cli/curve-learning.ts": "opens the backend for the pretraining of the curve base",
  "src/cli/commands/bench.ts": "times kernels and passes",
  "src/cli/bench/setup.ts": "builds models of given sizes to time them",
  "src/cli/bench/runs.ts": "times kernels and passes",
  "src/cli/bench/attention.ts": "times kernels",
};

const layersAbove = ["adapt", "lab", "app", "jobs", "server", "cli"];

/** Names that a file imports through a door, statically or not: `[door, name]`; `*` for a whole module. */
function namesImported(code: string): [string, string][] {
  const door = String.raw`["'](?:\.\.?/)+(\w+)/index\.ts["']`;
  const named = [
    ...code.matchAll(new RegExp(String.raw`(?:import|export)\s+(?:type\s+)?\{([^{}]*)\}\s+from\s+${door}`, "g")),
    ...code.matchAll(new RegExp(String.raw`\{([^{}]*)\}\s*=\s*await\s+import\(\s*${door}\s*\)`, "g")),
  ];
  const whole = code.matchAll(new RegExp(String.raw`(?:import|export)\s+\*\s*(?:as\s+\w+\s+)?from\s+${door}`, "g"));
  return [
    ...named.flatMap(([, list, name]) =>
      list!
        .split(",")
        .map(
          (item) =>
            item
              .trim()
              .replace(/^type\s+/, "")
              .split(/\s+as\s+|\s*:\s*/)[0]!,
        )
        .filter((item) => item !== "")
        .map((item): [string, string] => [name!, item]),
    ),
    ...[...whole].map(([, name]): [string, string] => [name!, "*"]),
  ];
}

/** The names of a file that stand for weights. */
const heldBy = (code: string): string[] =>
  namesImported(code).flatMap(([door, name]) => {
    const ofDoor = weights[door];
    return ofDoor !== undefined && (name === "*" || ofDoor.has(name)) ? [`${name} of ${door}`] : [];
  });

const users = readSources().filter(({ path }) => layersAbove.includes(path.split("/")[1]!));

describe("above the engine", () => {
  test("nobody holds a model's weights, but for the files that build models", () => {
    const found = users.flatMap(({ path, text }) => {
      const names = path in exceptions ? [] : heldBy(text);
      return names.length === 0
        ? []
        : [`${path}: ${names.join(", ")}: ask an Engine instead, see src/engine/engine.ts`];
    });
    assert.deepEqual(found, []);
  });

  test("every exception is one", () => {
    const held = new Map(users.map(({ path, text }) => [path, heldBy(text).length]));
    for (const path of Object.keys(exceptions)) assert.ok((held.get(path) ?? 0) > 0, `${path} needs no exception`);
  });

  test("imports of every form are seen", () => {
    const lines: readonly [string, readonly string[]][] = [
      ['import { type CausalLm, encodePrompt } from "../models/index.ts";', ["CausalLm of models"]],
      ['import type { Checkpoint } from "../../models/index.ts";', ["Checkpoint of models"]],
      [
        'import {\n  trainAdapters as go,\n  type TrainDocument,\n} from "../train/index.ts";',
        ["trainAdapters of train"],
      ],
      ['const { generate } = await import("../generate/index.ts");', ["generate of generate"]],
      ['const { openBackend: open } = await import("../tensor/index.ts");', ["openBackend of tensor"]],
      ['import * as nn from "../nn/index.ts";', ["* of nn"]],
      ['import type { LoraAdapter } from "../nn/index.ts";', []],
      ['import { openEngine } from "../engine/index.ts";', []],
    ];
    for (const [line, expected] of lines) assert.deepEqual(heldBy(line), expected, line);
  });
});
