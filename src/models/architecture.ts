/**
 * @file What makes a model loadable: an {@link Architecture} per `model_type`, and the immutable {@link ArchitectureCatalog}
 * in which shared code looks them up. Nothing else in the library names one; add yours with `catalog.with(mine)`.
 */
import type { ParameterSpec } from "../nn/index.ts";
import type { Backend } from "../tensor/index.ts";
import { type Rng, SelkieError } from "../util/index.ts";
import type { CausalLm, Precision } from "./causal-lm.ts";

/** What shared code asks of the configuration of any model; each architecture adds its own. */
export interface ModelConfig {
  /** `model_type` of config.json: which architecture this is. */
  readonly modelType: string;
  readonly vocabSize: number;
  /** Blocks; each has at least one parameter of its own. */
  readonly numLayers: number;
  /** Positions a text may have. */
  readonly maxSeqLen: number;
  /** The output layer is the embedding. */
  readonly tieWordEmbeddings: boolean;
  readonly bosTokenId: number | null;
  /** Any of these ends a text; the first is the one training appends. */
  readonly eosTokenIds: readonly number[];
}

/** A causal language model that knows its configuration and how that is read and written. */
export interface ConfiguredLm<Config extends ModelConfig = ModelConfig> extends CausalLm {
  readonly config: Config;
  readonly architecture: Architecture<Config>;
}

/** Options of {@link Architecture.create}. */
export interface CreateModelOptions {
  /** Draws the initial weights: normal of deviation 0.02, ones for norms, zeros for biases. Without it they are unspecified, for a loader to write. */
  readonly rng?: Rng;
}

/** `dtype` of config.json. */
export type StoredDType = "float32" | "bfloat16";

/** One kind of model: its configuration, its parameters and how to make it. All functions are pure but `create`. */
export interface Architecture<Config extends ModelConfig = ModelConfig> {
  readonly modelType: string;
  /**
   * Our configuration from the parsed contents of config.json, whose `model_type` is this one's.
   *
   * @param path - Names the file in errors.
   * @throws {@link SelkieError} `"bad-file"` or `"unsupported-model"` for values that would change the result.
   */
  parseConfig(json: unknown, path: string): Config;
  /** The inverse of {@link parseConfig}: contents of a config.json that transformers loads. */
  configToJson(config: Config, dtype: StoredDType): Record<string, unknown>;
  /** Every parameter of a checkpoint, by its name on disk. Takes no memory for the values. */
  parameters(config: Config): readonly ParameterSpec[];
  /** Allocates a model. */
  create(backend: Backend, config: Config, precision: Precision, options?: CreateModelOptions): ConfiguredLm<Config>;
}

/** Architectures by `model_type`. Immutable: a program builds its own and passes it to `loadModel`. */
export class ArchitectureCatalog {
  readonly #entries: ReadonlyMap<string, Architecture>;

  constructor(architectures: readonly Architecture[] = []) {
    this.#entries = new Map(architectures.map((architecture) => [architecture.modelType, architecture]));
    if (this.#entries.size < architectures.length)
      throw new SelkieError(
        "duplicate-name",
        `architectures: expected each model_type once, got ${architectures.map(({ modelType }) => modelType).join(", ")}`,
      );
  }

  /** Known values of `model_type`, sorted. */
  get modelTypes(): readonly string[] {
    return [...this.#entries.keys()].toSorted();
  }

  /** A catalog with one more. Throws `"duplicate-name"` where the `model_type` is known already. */
  with(architecture: Architecture): ArchitectureCatalog {
    return new ArchitectureCatalog([...this.#entries.values(), architecture]);
  }

  /**
   * The architecture of `modelType`.
   *
   * @param who - Begins the error: the file or function that asks.
   * @throws {@link SelkieError} `"unsupported-model"`, naming all that are known.
   */
  get(modelType: string, who: string): Architecture {
    const architecture = this.#entries.get(modelType);
    if (architecture !== undefined) return architecture;
    throw new SelkieError(
      "unsupported-model",
      `${who}: expected model_type ${describeChoice(this.modelTypes)}, got "${modelType}"`,
    );
  }
}

/** `"a", "b" or "c"`. */
function describeChoice(names: readonly string[]): string {
  const quoted = names.map((name) => `"${name}"`);
  return [quoted.slice(0, -1).join(", "), ...quoted.slice(-1)].filter((part) => part !== "").join(" or ");
}
