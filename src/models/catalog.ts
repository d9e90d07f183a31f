/** @file The architectures that come with Selkie. Adding one is its file and its line here. */
import type { Backend } from "../tensor/index.ts";
import { ArchitectureCatalog, type ConfiguredLm, type CreateModelOptions, type ModelConfig } from "./architecture.ts";
import type { Precision } from "./causal-lm.ts";
import { llama } from "./llama.ts";
import { mistral } from "./mistral.ts";
import { qwen3 } from "./qwen3.ts";

/** What `loadModel` knows unless it is given another catalog. */
export const architectures: ArchitectureCatalog = new ArchitectureCatalog([llama, mistral, qwen3]);

/** Options of {@link createModel}. */
export interface CreateAnyModelOptions extends CreateModelOptions {
  /** @defaultValue {@link architectures} */
  readonly architectures?: ArchitectureCatalog | undefined;
}

/** Allocates the model of a configuration, whatever its architecture. Throws `"unsupported-model"` for an unknown one. */
export function createModel(
  backend: Backend,
  config: ModelConfig,
  precision: Precision,
  options: CreateAnyModelOptions = {},
): ConfiguredLm {
  const catalog = options.architectures ?? architectures;
  return catalog.get(config.modelType, "createModel").create(backend, config, precision, options);
}
