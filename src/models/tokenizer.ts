/**
 * @file Text to ids and back, from the tokenizer.json of a checkpoint; `@huggingface/tokenizers` does the work.
 * Checked against the Rust library in `tokenizer.test.ts`. Time is linear in the text, very long lines included.
 */
import { join } from "node:path";
import { Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers";
import { z } from "zod";
import { SelkieError } from "../util/index.ts";
import type { Tokenizer } from "./causal-lm.ts";
import { describeCause, hasFile, parseForeign, readJson } from "./files.ts";

const specialTokenSchema = z
  .union([z.string(), z.looseObject({ content: z.string() }).transform(({ content }) => content)])
  .nullish();
const tokenizerSchema = z.looseObject({
  model: z.looseObject({}),
  added_tokens: z.array(z.looseObject({ id: z.int().min(0), content: z.string() })).default([]),
  normalizer: z.unknown().default(null),
  pre_tokenizer: z.unknown().default(null),
  post_processor: z.unknown().default(null),
  decoder: z.unknown().default(null),
});
const tokenizerConfigSchema = z.looseObject({
  bos_token: specialTokenSchema,
  eos_token: specialTokenSchema,
  add_bos_token: z.boolean().nullish(),
});
const tokenIdsSchema = z.union([z.int().min(0), z.array(z.int().min(0))]).nullish();
const idsSchema = z.looseObject({ bos_token_id: tokenIdsSchema, eos_token_id: tokenIdsSchema });

/** Parsed contents of a tokenizer.json; what we do not read is kept as it is. */
export interface TokenizerJson {
  readonly model: { readonly [key: string]: unknown };
  readonly added_tokens?: readonly { readonly id: number; readonly content: string; readonly [key: string]: unknown }[];
  readonly [key: string]: unknown;
}

/**
 * Reads the tokenizer of a checkpoint directory.
 *
 * The end-of-text id is that of tokenizer_config.json, else of generation_config.json, else of config.json (the first of
 * a list). `bosTokenId` is set only where transformers too puts that token in front of a text.
 *
 * @throws {@link SelkieError} `"missing-file"` without tokenizer.json, `"bad-file"` where it cannot be used or nothing names the end of a text.
 */
export async function loadTokenizer(directory: string): Promise<Tokenizer> {
  const path = join(directory, "tokenizer.json");
  if (!(await hasFile(path)))
    throw new SelkieError(
      "missing-file",
      `${path}: expected the tokenizer of the checkpoint, got no such file; older formats (tokenizer.model, vocab.json) have to be converted first`,
    );
  const readOptional = async <S extends z.ZodType>(name: string, schema: S): Promise<z.output<S>> => {
    const optionalPath = join(directory, name);
    return parseForeign(schema, (await hasFile(optionalPath)) ? await readJson(optionalPath) : {}, optionalPath);
  };
  const config = await readOptional("tokenizer_config.json", tokenizerConfigSchema);
  const ids = [await readOptional("generation_config.json", idsSchema), await readOptional("config.json", idsSchema)];
  const library = createLibraryTokenizer(path, await readJson(path), config);
  const first = (candidates: readonly z.output<typeof tokenIdsSchema>[]): number | null =>
    candidates.flat().find((id) => typeof id === "number") ?? null;
  const eosTokenId = idOf(library, config.eos_token) ?? first(ids.map(({ eos_token_id }) => eos_token_id));
  if (eosTokenId === null)
    throw new SelkieError(
      "bad-file",
      `${directory}: expected an end-of-text token, got no eos_token in tokenizer_config.json and no eos_token_id in generation_config.json or config.json`,
    );
  const bosTokenId = idOf(library, config.bos_token) ?? first(ids.map(({ bos_token_id }) => bos_token_id));
  const addsBos = config.add_bos_token === true || library.encode("a").ids[0] === bosTokenId;
  return wrap(library, eosTokenId, addsBos ? bosTokenId : null);
}

/** A tokenizer from parsed contents, for example of `trainByteLevelBpe`; `eosToken` must be one of its tokens. */
export function createTokenizer(json: TokenizerJson, eosToken: string): Tokenizer {
  const library = createLibraryTokenizer("tokenizer.json", json, {});
  const eosTokenId = idOf(library, eosToken);
  if (eosTokenId === null)
    throw new SelkieError("unknown-name", `eosToken: expected a token of the tokenizer, got "${eosToken}"`);
  const [first] = library.encode("a").ids;
  const isSpecial = json.added_tokens?.some(({ id }) => id === first) ?? false;
  return wrap(library, eosTokenId, isSpecial ? first! : null);
}

function createLibraryTokenizer(path: string, json: unknown, config: object): LibraryTokenizer {
  const checked = parseForeign(tokenizerSchema, json, path);
  try {
    return new LibraryTokenizer(checked, config);
  } catch (cause) {
    throw new SelkieError(
      "bad-file",
      `${path}: expected a tokenizer that @huggingface/tokenizers supports, got: ${describeCause(cause)}`,
      { cause },
    );
  }
}

const idOf = (library: LibraryTokenizer, token: string | null | undefined): number | null =>
  typeof token === "string" ? (library.token_to_id(token) ?? null) : null;

function wrap(library: LibraryTokenizer, eosTokenId: number, bosTokenId: number | null): Tokenizer {
  let vocabSize = 0;
  for (const id of library.get_vocab(true).values()) vocabSize = Math.max(vocabSize, id + 1);
  return {
    vocabSize,
    eosTokenId,
    bosTokenId,
    encode: (text) => library.encode(text, { add_special_tokens: false }).ids,
    decode(tokenIds) {
      // Models may have rows without a token, to round the vocabulary up; such ids have no text.
      const known = Array.from(tokenIds).filter((id) => library.id_to_token(id) !== undefined);
      return known.length === 0
        ? ""
        : library.decode(known, { skip_special_tokens: true, clean_up_tokenization_spaces: false });
    },
  };
}

/** Ids of a whole text: the beginning-of-text token where the model has one, the text, the end-of-text token. */
export function encodeDocument(tokenizer: Tokenizer, text: string): number[] {
  return [...encodePrompt(tokenizer, text), tokenizer.eosTokenId];
}

/** Ids of a text to be continued: the beginning-of-text token where the model has one, then the text. */
export function encodePrompt(tokenizer: Tokenizer, text: string): number[] {
  const ids = tokenizer.encode(text);
  return tokenizer.bosTokenId === null ? ids : [tokenizer.bosTokenId, ...ids];
}
