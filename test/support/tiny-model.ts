/**
 * @file The tiny random model of the tests of `adapt` and `app`: one layer of width 16, a byte-level tokenizer trained on a
 * text or two, in memory or on disk. What tests differ in they say; the rest is here.
 */
import { join } from "node:path";
import {
  type Checkpoint,
  createLlama,
  createTokenizer,
  f32Precision,
  type LlamaConfig,
  plainLlama,
  saveCheckpoint,
  type TokenizerJson,
  trainByteLevelBpe,
} from "../../src/models/index.ts";
import { createReferenceBackend } from "../../src/tensor/index.ts";
import { createRng } from "../../src/util/index.ts";

/** A text about someone. */
export const tinyText = "Ann Marlow was born in Dover. She kept a cat.";

const endOfText = "<|end|>";

/** What tests differ in. */
export interface TinyModelOptions {
  /** Draws the weights: another name is another model. @defaultValue `"tiny"` */
  readonly name?: string;
  /** What the tokenizer is trained on. @defaultValue {@link tinyText} */
  readonly texts?: readonly string[];
  /** @defaultValue 290 */
  readonly vocabSize?: number;
  /** @defaultValue 384 positions */
  readonly config?: Partial<LlamaConfig>;
  /** Whether an answer ends with the tokenizer's end of text. @defaultValue true */
  readonly hasEnd?: boolean;
  /** Which weights are made larger, and how many times, so that predictions differ from a guess. @defaultValue embeddings, 20 */
  readonly enlarged?: { readonly weights: "embeddings" | "matrices"; readonly times: number } | null;
}

/** The model in memory, bound to nothing on disk, with the tokenizer's JSON. */
export function createTinyModel(options: TinyModelOptions = {}): Checkpoint & { readonly json: TokenizerJson } {
  const { name = "tiny", texts = [tinyText], vocabSize = 290, hasEnd = true } = options;
  const { enlarged = { weights: "embeddings", times: 20 } } = options;
  const json = trainByteLevelBpe(texts, { vocabSize, specialTokens: [endOfText] });
  const tokenizer = createTokenizer(json, endOfText);
  const config: LlamaConfig = {
    ...{ ...plainLlama, vocabSize: tokenizer.vocabSize, hiddenSize: 16, intermediateSize: 24, numLayers: 1 },
    ...{ numHeads: 2, numKvHeads: 1, headDim: 8, maxSeqLen: 384 },
    ...(hasEnd && { eosTokenIds: [tokenizer.eosTokenId] }),
    ...options.config,
  };
  const lm = createLlama(createReferenceBackend(), config, f32Precision, { rng: createRng(name) });
  for (const { name: weight, shape } of lm.parameters.specs) {
    const isMeant = enlarged?.weights === "matrices" ? shape.length === 2 : weight === "model.embed_tokens.weight";
    if (enlarged === null || !isMeant) continue;
    const values = lm.parameters.get(weight);
    values.write(values.readSync().map((value) => enlarged.times * value));
  }
  return { lm, config, tokenizer, digest: "d", parts: [], directory: "", json };
}

/** Writes the model below `folder`, under its name, and returns its directory. */
export async function writeTinyModel(folder: string, options: TinyModelOptions = {}): Promise<string> {
  const { lm, json } = createTinyModel(options);
  using _ = lm;
  const directory = join(folder, options.name ?? "tiny");
  await saveCheckpoint(directory, { lm, tokenizer: { json } });
  return directory;
}
