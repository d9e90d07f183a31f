/**
 * @file Text to ids and back, from the files of a checkpoint. Checked against the Rust library in `tokenizer.test.ts` and
 * `tokenizer-parity.test.ts`. Time is linear in the text, very long lines included.
 */
import { join } from "node:path";
import { SelkieError } from "../util/index.ts";
import type { EncodeOptions, Tokenizer, TokenPiece } from "./causal-lm.ts";
import { hasFile } from "./files.ts";
import { readTokenFiles, resolveTokenIds, type TokenFiles, type TokenIds } from "./token-ids.ts";
import { readPieces } from "./tokenizer/pieces.ts";
import { createPipeline, type Pipeline } from "./tokenizer/pipeline.ts";
import type { TokenizerJson } from "./tokenizer/schema.ts";

export type { TokenizerJson };

/**
 * Reads the tokenizer of a checkpoint directory; docs/checkpoints.md says which file decides what.
 *
 * @throws {@link SelkieError} `"missing-file"` without tokenizer.json, `"bad-file"` where it cannot be used.
 */
export async function loadTokenizer(directory: string): Promise<Tokenizer> {
  const path = join(directory, "tokenizer.json");
  if (!(await hasFile(path)))
    throw new SelkieError(
      "missing-file",
      `${path}: expected the tokenizer of the checkpoint, got no such file; older formats (tokenizer.model, vocab.json) have to be converted first`,
    );
  return buildTokenizer(await readTokenFiles(directory));
}

/** A tokenizer from parsed contents, for example of `trainByteLevelBpe`; `eosToken` must be one of its tokens. */
export function createTokenizer(json: TokenizerJson, eosToken: string): Tokenizer {
  const none = { specialTokensMap: {}, addedTokens: {}, generationConfig: {}, config: {} };
  const files = { directory: "", tokenizer: json, tokenizerConfig: { eos_token: eosToken }, ...none };
  const tokenizer = buildTokenizer(files);
  if (tokenizer.stopTokens.length === 0)
    throw new SelkieError("unknown-name", `eosToken: expected a token of the tokenizer, got "${eosToken}"`);
  return tokenizer;
}

function buildTokenizer(files: TokenFiles): Tokenizer {
  const ids = resolveTokenIds(files);
  return new PipelineTokenizer(
    createPipeline(files.tokenizer, ids.added, join(files.directory, "tokenizer.json")),
    ids,
  );
}

class PipelineTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly #eosTokenId: number | null;
  readonly stopTokens: readonly number[];
  readonly prefixIds: readonly number[];
  readonly suffixIds: readonly number[];
  readonly controlIds: ReadonlySet<number>;
  readonly #pipeline: Pipeline;

  constructor(pipeline: Pipeline, { eosTokenId, stopTokens, prefixIds, suffixIds }: TokenIds) {
    this.vocabSize = pipeline.numIds;
    this.#eosTokenId = eosTokenId;
    this.stopTokens = stopTokens;
    this.prefixIds = prefixIds;
    this.suffixIds = suffixIds;
    this.controlIds = pipeline.controlIds;
    this.#pipeline = pipeline;
  }

  get eosTokenId(): number {
    return this.#eosTokenId ?? refuseEndless();
  }

  encode(text: string, { controlTokens = false }: EncodeOptions = {}): number[] {
    return this.#pipeline.encode(text, controlTokens);
  }

  decode(tokenIds: ArrayLike<number>): string {
    return this.#pipeline.decode(Array.from(tokenIds));
  }

  tokenOf(id: number): string | null {
    return this.#pipeline.tokenOf(id) ?? null;
  }

  pieces(tokenIds: ArrayLike<number>): TokenPiece[] {
    return readPieces(this.#pipeline, Array.from(tokenIds));
  }
}

function refuseEndless(): never {
  throw new SelkieError(
    "bad-file",
    "tokenizer: expected an end-of-text token, got no eos_token in tokenizer_config.json and no eos_token_id in generation_config.json or config.json; name one of them",
  );
}

/**
 * The tokenizer beside a model of `vocabSize` rows. It may have more tokens than the model has rows, as long as no text needs
 * them: one that does is refused with the token's name.
 */
export function limitTokenizer(tokenizer: Tokenizer, vocabSize: number, directory: string): Tokenizer {
  if (tokenizer.vocabSize <= vocabSize) return tokenizer;
  const fits = (id: number): boolean => id < vocabSize;
  const check = (ids: readonly number[], what: string): void => {
    const id = ids.find((candidate) => !fits(candidate));
    if (id !== undefined)
      throw new SelkieError(
        "bad-input",
        `${what}: expected tokens that the model in ${directory} has (ids below ${vocabSize}), got ${JSON.stringify(tokenizer.tokenOf(id))} with id ${id}; leave it out of the text or enlarge the model's embedding`,
      );
  };
  check([...tokenizer.prefixIds, ...tokenizer.suffixIds], join(directory, "tokenizer.json"));
  const { stopTokens, prefixIds, suffixIds, controlIds } = tokenizer;
  const inside = stopTokens.filter(fits); // the end of a text is the first of them
  return {
    vocabSize: tokenizer.vocabSize,
    get eosTokenId() {
      return inside[0] ?? refuseEndless();
    },
    stopTokens: inside,
    prefixIds,
    suffixIds,
    controlIds,
    encode(text, options) {
      const ids = tokenizer.encode(text, options);
      check(ids, "text");
      return ids;
    },
    decode: (tokenIds) => tokenizer.decode(tokenIds),
    tokenOf: (id) => tokenizer.tokenOf(id),
    pieces: (tokenIds) => tokenizer.pieces(tokenIds),
  };
}

/** Ids of a whole document to train on: what the tokenizer puts before a text, the text, the end-of-text token. */
export function encodeDocument(tokenizer: Tokenizer, text: string): number[] {
  return [...encodePrompt(tokenizer, text), tokenizer.eosTokenId];
}

/** Ids of a text to be continued: what the tokenizer puts before a text, then the text. */
export function encodePrompt(tokenizer: Tokenizer, text: string): number[] {
  return [...tokenizer.prefixIds, ...tokenizer.encode(text)];
}

/** What ends an answer of one line: any end of a completion, and the line break where that is one token behind a text. */
export function answerStops(tokenizer: Tokenizer): number[] {
  const { tokenIds, numPromptTokens } = encodeContinuation(tokenizer, "a", "\n");
  const newline = tokenIds.slice(numPromptTokens);
  return [...new Set([...tokenizer.stopTokens, ...(newline.length === 1 ? newline : [])])];
}

/** A prompt and what follows it, as ids of one text. */
export interface EncodedContinuation {
  /** Prompt and continuation. */
  readonly tokenIds: readonly number[];
  /** How many of them are the prompt's alone; at least one where the prompt has any. */
  readonly numPromptTokens: number;
}

/**
 * Ids of `prompt` followed by `continuation`, encoded as one text: many tokenizers write a text that stands alone otherwise
 * than one behind another. A token that reaches over the boundary counts as the continuation's.
 */
export function encodeContinuation(tokenizer: Tokenizer, prompt: string, continuation: string): EncodedContinuation {
  const promptIds = encodePrompt(tokenizer, prompt);
  const tokenIds = encodePrompt(tokenizer, prompt + continuation);
  let numPromptTokens = 0;
  while (numPromptTokens < promptIds.length && promptIds[numPromptTokens] === tokenIds[numPromptTokens])
    numPromptTokens++;
  return { tokenIds, numPromptTokens };
}

const contextTokens = 16; // more than any character or white space that is decoded together spans

/** Text of `tokenIds` where they stand, behind `promptIds`: many tokenizers drop the space of a text's first word. */
export function decodeContinuation(
  tokenizer: Tokenizer,
  promptIds: ArrayLike<number>,
  tokenIds: ArrayLike<number>,
): string {
  const before = Array.from(promptIds)
    .filter((id) => !tokenizer.controlIds.has(id))
    .slice(-contextTokens);
  const [context, whole] = [tokenizer.decode(before), tokenizer.decode([...before, ...Array.from(tokenIds)])];
  if (whole.startsWith(context)) return whole.slice(context.length);
  return tokenizer.decode(tokenIds); // the prompt ended within a character
}
