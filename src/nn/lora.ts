/**
 * @file LoRA adapters (Hu et al. 2021, arXiv 2106.09685): `W' = W + loraAlpha / loraRank · B A`.
 *
 * A {@link LoraBank} holds the trainable weights of many adapters over one frozen base, stacked per layer so that
 * one grouped product serves them all; a {@link LoraAdapter} is one of them on the host, as saved to disk.
 */
import { type Backend, type HostArray, type LoraWeights, numElements, type Tensor } from "../tensor/index.ts";
import { type Rng, SelkieError } from "../util/index.ts";
import { type ParameterSpec, ParameterStore, type StoreRun } from "./parameters.ts";

/** A linear layer that an adapter can attach to. */
export interface LinearLayer {
  /** Module path in the checkpoint, for example `model.layers.0.self_attn.q_proj`. */
  readonly name: string;
  readonly inSize: number;
  readonly outSize: number;
}

/** Size and reach of one adapter. */
export interface LoraConfig {
  /** At least 1. */
  readonly loraRank: number;
  readonly loraAlpha: number;
  /** Last components of the module paths to adapt (`"q_proj"`); `"all"` takes every linear layer of the blocks. */
  readonly targets: "all" | readonly string[];
  /** Blocks to adapt, by index from 0, as PEFT's `layers_to_transform`. @defaultValue all of them */
  readonly layers?: readonly number[];
}

/** The two factors of one module, or something of their shapes: `loraA [r, in]`, `loraB [out, r]`, row-major. */
export interface LoraModule {
  readonly loraA: Float32Array;
  readonly loraB: Float32Array;
}

/** Factors, or their gradients, by module path. */
export type LoraModules = ReadonlyMap<string, LoraModule>;

/** One adapter on the host. */
export interface LoraAdapter {
  readonly loraRank: number;
  readonly loraAlpha: number;
  readonly modules: LoraModules;
}

/** What a forward pass asks for: the low-rank weights of a layer, or `null` when no adapter touches it. */
export interface AdapterBatch {
  weightsFor(layerName: string): LoraWeights | null;
}

/** Adapters by place, as a forward pass takes them: a {@link LoraBank}, or something that keeps one and may replace it. */
export interface AdapterPlaces {
  readonly numPlaces: number;
  /** Adapters for a batch in which adapter `g` owns rows `segments[g] .. segments[g + 1]`. */
  batch(segments: Int32Array): AdapterBatch;
}

/** Index of the block that a module belongs to, read off its path; `null` outside the blocks. */
export function blockOf(moduleName: string): number | null {
  const match = /(?:^|\.)layers\.(\d+)\./.exec(moduleName);
  return match === null ? null : Number(match[1]);
}

/** Indices of the last `count` blocks, for {@link LoraConfig.layers}: SCoL's fixed choice (arXiv 2605.07076) is the last ten of 28. */
export function lastBlocks(layers: readonly LinearLayer[], count: number): number[] {
  const blocks = [...new Set(layers.map(({ name }) => blockOf(name)))].filter((block) => block !== null);
  if (!(Number.isInteger(count) && count >= 1 && count <= blocks.length))
    throw new SelkieError("bad-option", `lastBlocks: expected 1 to ${blocks.length} blocks, got ${count}`);
  return blocks.toSorted((a, b) => a - b).slice(-count);
}

function isTarget({ name }: LinearLayer, { targets, layers }: LoraConfig): boolean {
  if (targets !== "all" && !targets.includes(name.slice(name.lastIndexOf(".") + 1))) return false;
  return layers === undefined || layers.some((block) => block === blockOf(name));
}

function checkBlocks(layers: readonly LinearLayer[], configs: readonly LoraConfig[]): void {
  const known = new Set(layers.map(({ name }) => blockOf(name)));
  for (const block of configs.flatMap((config) => config.layers ?? []))
    if (!known.has(block))
      throw new SelkieError("bad-option", `LoRA layers: expected indices of the model's blocks, got ${block}`);
}

/** Trainable weights of `configs.length` adapters; lower ranks are padded with zeros that training leaves at zero. */
export class LoraBank implements AdapterPlaces, Disposable {
  readonly #configs: LoraConfig[];
  /** Layers that at least one adapter touches. */
  readonly layers: readonly LinearLayer[];
  /** Widest rank, `r` of the stacked tensors. */
  readonly maxRank: number;
  readonly parameters: ParameterStore;
  readonly #scales: Float32Array;

  constructor(backend: Backend, layers: readonly LinearLayer[], configs: readonly LoraConfig[]) {
    checkBlocks(layers, configs);
    this.#configs = [...configs];
    this.layers = layers.filter((layer) => configs.some((config) => isTarget(layer, config)));
    if (this.layers.length === 0)
      throw new SelkieError(
        "bad-option",
        `LoRA targets: expected at least one of the model's linear layers, got ${JSON.stringify(configs.map((c) => c.targets))}`,
      );
    this.maxRank = Math.max(...configs.map((config) => config.loraRank));
    this.#scales = Float32Array.from(configs, (config) => config.loraAlpha / config.loraRank);
    const specs: ParameterSpec[] = this.layers.flatMap((layer) => [
      { name: `${layer.name}.lora_A`, shape: [configs.length, this.maxRank, layer.inSize] },
      { name: `${layer.name}.lora_B`, shape: [configs.length, layer.outSize, this.maxRank] },
    ]);
    this.parameters = new ParameterStore(backend, specs, "f32");
    this.parameters.flat.data.fill(0);
  }

  get configs(): readonly LoraConfig[] {
    return this.#configs;
  }

  get numPlaces(): number {
    return this.#configs.length;
  }

  /** True where `adapter` fits into any place of this bank: no wider than `maxRank`, and of its layers alone. */
  holds({ loraRank, modules }: LoraAdapter): boolean {
    const names = new Set(this.layers.map(({ name }) => name));
    return loraRank <= this.maxRank && [...modules.keys()].every((name) => names.has(name));
  }

  /** Gives place `index` to `adapter`, which the bank {@link holds}, whatever was there before. */
  replace(index: number, adapter: LoraAdapter): void {
    this.#configs[index] = configOf(adapter, this.layers);
    this.#scales[index] = adapter.loraAlpha / adapter.loraRank;
    this.insert(index, adapter);
  }

  /** Fresh weights of adapter `index`: A uniform in ±in^-½ (PEFT's kaiming_uniform(√5)), B zero, so the adapter starts as the identity. */
  initialize(index: number, rng: Rng): void {
    const config = this.configs[index]!;
    for (const layer of this.layers) {
      const stream = rng.fork("lora", layer.name);
      const a = this.#viewA(index, layer);
      const live = isTarget(layer, config) ? config.loraRank * layer.inSize : 0;
      const blocks = stream.takeBlocks(Math.ceil(live / 2));
      a.backend.kernels.uniform({ y: a.view(0, [live]), bound: layer.inSize ** -0.5, blocks });
      a.data.fill(0, live);
      this.#viewB(index, layer).data.fill(0);
    }
  }

  /** Adapters for a batch in which adapter `g` owns rows `segments[g] .. segments[g + 1]`. */
  batch(segments: Int32Array): AdapterBatch {
    return {
      weightsFor: (layerName) =>
        this.parameters.has(`${layerName}.lora_A`)
          ? {
              loraA: this.parameters.get(`${layerName}.lora_A`),
              loraB: this.parameters.get(`${layerName}.lora_B`),
              scales: this.#scales,
              segments,
            }
          : null,
    };
  }

  /** Runs of the flat store that hold adapter `index`. */
  runsOf(index: number): readonly StoreRun[] {
    return this.parameters.specs.map(({ name, shape }) => {
      const length = numElements(shape.slice(1));
      return { offset: this.parameters.offsetOf(name) + index * length, length };
    });
  }

  /** A copy of adapter `index`, without the padding. */
  extract(index: number): LoraAdapter {
    const { loraRank, loraAlpha } = this.configs[index]!;
    const modules = new Map<string, { loraA: Float32Array; loraB: Float32Array }>();
    for (const layer of this.layers) {
      if (!isTarget(layer, this.configs[index]!)) continue;
      const loraA = this.#viewA(index, layer)
        .view(0, [loraRank * layer.inSize])
        .readSync();
      const padded = this.#viewB(index, layer).readSync();
      const loraB = loraRank === this.maxRank ? padded : new Float32Array(layer.outSize * loraRank);
      if (loraB !== padded)
        for (let row = 0; row < layer.outSize; row++)
          for (let j = 0; j < loraRank; j++) loraB[row * loraRank + j] = padded[row * this.maxRank + j]!;
      modules.set(layer.name, { loraA: loraA as Float32Array, loraB: loraB as Float32Array });
    }
    return { loraRank, loraAlpha, modules };
  }

  /** Puts `adapter` in place `index`; its rank, alpha and modules must fit that place's config. */
  insert(index: number, adapter: LoraAdapter): void {
    const { loraRank, loraAlpha } = this.configs[index]!;
    if (adapter.loraRank !== loraRank || adapter.loraAlpha !== loraAlpha)
      throw new SelkieError(
        "adapter-mismatch",
        `adapter: expected rank ${loraRank} and alpha ${loraAlpha}, got ${adapter.loraRank} and ${adapter.loraAlpha}`,
      );
    const known = new Set(
      this.layers.filter((layer) => isTarget(layer, this.configs[index]!)).map((layer) => layer.name),
    );
    for (const name of adapter.modules.keys())
      if (!known.has(name))
        throw new SelkieError(
          "adapter-mismatch",
          `adapter: module "${name}" is not a linear layer of this model, or not a target of its place; use the base model the adapter was trained on`,
        );
    for (const layer of this.layers) {
      const module = adapter.modules.get(layer.name);
      const a = new Float32Array(this.maxRank * layer.inSize);
      const b = new Float32Array(layer.outSize * this.maxRank);
      if (module !== undefined) {
        if (module.loraA.length !== loraRank * layer.inSize || module.loraB.length !== loraRank * layer.outSize)
          throw new SelkieError(
            "adapter-mismatch",
            `adapter: "${layer.name}" has other sizes than the model; use the base model the adapter was trained on`,
          );
        a.set(module.loraA);
        for (let row = 0; row < layer.outSize; row++)
          for (let j = 0; j < loraRank; j++) b[row * this.maxRank + j] = module.loraB[row * loraRank + j]!;
      }
      this.#viewA(index, layer).write(a);
      this.#viewB(index, layer).write(b);
    }
  }

  /** Adds to the gradient of adapter `index`; modules that it does not have are ignored. */
  addGradient(index: number, gradient: LoraModules): void {
    const { loraRank } = this.configs[index]!;
    void this.parameters.flatGrad; // clears what has had no gradient yet
    for (const layer of this.layers) {
      const module = isTarget(layer, this.configs[index]!) ? gradient.get(layer.name) : undefined;
      if (module === undefined) continue;
      const [gradA, gradB] = [this.#gradOf(index, layer, "A"), this.#gradOf(index, layer, "B")];
      for (let i = 0; i < module.loraA.length; i++) gradA[i]! += module.loraA[i]!;
      for (let row = 0; row < layer.outSize; row++)
        for (let j = 0; j < loraRank; j++) gradB[row * this.maxRank + j]! += module.loraB[row * loraRank + j]!;
    }
  }

  /** A copy of the gradient of adapter `index`, without the padding. */
  extractGradient(index: number): LoraModules {
    const { loraRank } = this.configs[index]!;
    void this.parameters.flatGrad;
    const modules = new Map<string, LoraModule>();
    for (const layer of this.layers) {
      if (!isTarget(layer, this.configs[index]!)) continue;
      const loraA = Float32Array.from(this.#gradOf(index, layer, "A").subarray(0, loraRank * layer.inSize));
      const padded = this.#gradOf(index, layer, "B");
      const loraB = new Float32Array(layer.outSize * loraRank);
      for (let row = 0; row < layer.outSize; row++)
        for (let j = 0; j < loraRank; j++) loraB[row * loraRank + j] = padded[row * this.maxRank + j]!;
      modules.set(layer.name, { loraA, loraB });
    }
    return modules;
  }

  #gradOf(index: number, layer: LinearLayer, which: "A" | "B"): HostArray {
    const size = this.maxRank * (which === "A" ? layer.inSize : layer.outSize);
    return this.parameters.get(`${layer.name}.lora_${which}`).grad!.data.subarray(index * size, (index + 1) * size);
  }

  #viewA(index: number, layer: LinearLayer): Tensor {
    const size = this.maxRank * layer.inSize;
    return this.parameters.get(`${layer.name}.lora_A`).view(index * size, [this.maxRank, layer.inSize]);
  }

  #viewB(index: number, layer: LinearLayer): Tensor {
    const size = layer.outSize * this.maxRank;
    return this.parameters.get(`${layer.name}.lora_B`).view(index * size, [layer.outSize, this.maxRank]);
  }

  [Symbol.dispose](): void {
    this.parameters[Symbol.dispose]();
  }
}

/** A bank holding exactly these adapters, ready for inference; they may differ in rank and targets. */
export function bankOf(backend: Backend, layers: readonly LinearLayer[], adapters: readonly LoraAdapter[]): LoraBank {
  const bank = new LoraBank(
    backend,
    layers,
    adapters.map((adapter) => configOf(adapter, layers)),
  );
  for (const [index, adapter] of adapters.entries()) bank.insert(index, adapter);
  return bank;
}

/** The config whose targets among `layers` are the modules of `adapter`. */
export function configOf({ loraRank, loraAlpha, modules }: LoraAdapter, layers: readonly LinearLayer[]): LoraConfig {
  const targets = [...new Set([...modules.keys()].map((name) => name.slice(name.lastIndexOf(".") + 1)))];
  const known = layers.flatMap(({ name }) => (modules.has(name) ? [blockOf(name)] : []));
  const blocks = [...new Set(known)].filter((block) => block !== null);
  return { loraRank, loraAlpha, targets, ...(blocks.length > 0 && !known.includes(null) && { layers: blocks }) };
}
