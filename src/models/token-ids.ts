/**
 * @file Which ids begin, end, pad and control a text: the one place that reads them from the files of a checkpoint. The order of
 * precedence is that of transformers 5.18 and is told in docs/checkpoints.md.
 */
import { join } from "node:path";
import { z } from "zod";
import { hasFile, parseForeign, readJson } from "./files.ts";
import {
  type AddedToken,
  type AddedTokenFile,
  addedTokenSchema,
  readAddedTokens,
  toAddedToken,
} from "./tokenizer/added-tokens.ts";
import { type Frame, readFrame } from "./tokenizer/post-processor.ts";
import { idSchema } from "./tokenizer/schema.ts";

/** Parsed contents of the files that say something about ids; `{}` for those that do not exist. */
export interface TokenFiles {
  readonly directory: string;
  readonly tokenizer: unknown;
  readonly tokenizerConfig: unknown;
  readonly specialTokensMap: unknown;
  readonly addedTokens: unknown;
  readonly generationConfig: unknown;
  readonly config: unknown;
}

/** What the files say, brought together. */
export interface TokenIds extends Frame {
  /** All added tokens; later ones replace earlier ones of the same id. */
  readonly added: readonly AddedToken[];
  /** Ends a document; `null` where no file names one. */
  readonly eosTokenId: number | null;
  /** Any of these ends a completion. */
  readonly stopTokens: readonly number[];
  readonly padTokenId: number | null;
}

const namedKeys = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"] as const;
type NamedKey = (typeof namedKeys)[number];

/** Names that tokenizer classes of transformers bring along where the files give none. */
const classDefaults: Readonly<Record<string, Partial<Record<NamedKey, string>>>> = {
  LlamaTokenizer: { bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>" },
  GPT2Tokenizer: { bos_token: "<|endoftext|>", eos_token: "<|endoftext|>", unk_token: "<|endoftext|>" },
  Qwen2Tokenizer: { eos_token: "<|endoftext|>", pad_token: "<|endoftext|>", unk_token: "<|endoftext|>" },
};

const tokenSchema = z.union([z.string(), addedTokenSchema]);
const configSchema = z.looseObject({
  tokenizer_class: z.string().nullish(),
  added_tokens_decoder: z.record(z.string().regex(/^\d{1,8}$/), addedTokenSchema).nullish(),
});
const eosSchema = z.looseObject({ eos_token_id: z.union([idSchema, z.array(idSchema)]).nullish() });

/** Reads the files of `directory`; tokenizer.json must exist. */
export async function readTokenFiles(directory: string): Promise<TokenFiles> {
  const read = async (name: string): Promise<unknown> =>
    (await hasFile(join(directory, name))) ? readJson(join(directory, name)) : {};
  return {
    directory,
    tokenizer: await readJson(join(directory, "tokenizer.json")),
    tokenizerConfig: await read("tokenizer_config.json"),
    specialTokensMap: await read("special_tokens_map.json"),
    addedTokens: await read("added_tokens.json"),
    generationConfig: await read("generation_config.json"),
    config: await read("config.json"),
  };
}

/** Brings together what the files say. */
export function resolveTokenIds(files: TokenFiles): TokenIds {
  const { directory } = files;
  const at = (name: string): string => join(directory, name);
  const file = parseForeign(z.looseObject({ model: z.looseObject({}) }), files.tokenizer, at("tokenizer.json"));
  const own = readAddedTokens(file["added_tokens"] ?? [], `${at("tokenizer.json")}: added_tokens`);
  const { idOf: idOfModel, numTokens } = lookup(file.model["vocab"]);
  const config = parseForeign(configSchema, files.tokenizerConfig, at("tokenizer_config.json"));
  const named = namedTokens(files, config);
  const added = new Map<string, AddedToken>();
  const put = (token: AddedToken): void => {
    if (token.content === "") return;
    const id = added.get(token.content)?.id ?? idOfModel(token.content) ?? nextId(added, numTokens);
    added.set(token.content, { ...token, id });
  };
  for (const token of own) put(token);
  const byId = (tokens: { readonly [id: string]: AddedTokenFile }) =>
    Object.entries(tokens).toSorted(([a], [b]) => Number(a) - Number(b));
  for (const [id, token] of byId(config.added_tokens_decoder ?? {})) put(toAddedToken(Number(id), token));
  const legacy = Object.entries(legacyTokens(files, config)).toSorted(([, a], [, b]) => a - b);
  for (const [content, id] of legacy)
    if (!added.has(content)) put({ ...plainToken(content), id, normalized: !named.all.has(content) });
  for (const content of named.all) put({ ...(added.get(content) ?? plainToken(content)), special: true });
  const idOf = (content: string | undefined): number | null =>
    content === undefined ? null : (added.get(content)?.id ?? idOfModel(content) ?? null);
  const stop = readStops(files);
  const eosTokenId = idOf(named.byKey.get("eos_token")) ?? stop[0] ?? null;
  const stopTokens = [...new Set([...(eosTokenId === null ? [] : [eosTokenId]), ...stop])];
  return {
    added: markStops([...added.values()], stopTokens),
    eosTokenId,
    stopTokens,
    padTokenId: idOf(named.byKey.get("pad_token")),
    ...readFrame(file["post_processor"], `${at("tokenizer.json")}: post_processor`),
  };
}

/** A token without flags, for one that a file only names. */
const plainToken = (content: string): AddedToken =>
  toAddedToken(0, { content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: false });

/** The id of a token that the model does not have: the one behind all others, whatever the file says, as in the Rust library. */
function nextId(added: ReadonlyMap<string, AddedToken>, numTokens: number): number {
  let highest = -1;
  for (const { id } of added.values()) highest = Math.max(highest, id);
  return highest >= numTokens || numTokens === 0 ? highest + 1 : numTokens;
}

/** Tokens of the model with their ids; what is wrong with the vocabulary is said where the model is built. */
function lookup(vocab: unknown): { readonly idOf: (token: string) => number | undefined; readonly numTokens: number } {
  const entries: readonly (readonly [unknown, unknown])[] = Array.isArray(vocab)
    ? vocab.map((entry: unknown, id) => [Array.isArray(entry) ? (entry[0] as unknown) : entry, id] as const)
    : typeof vocab === "object" && vocab !== null
      ? Object.entries(vocab)
      : [];
  const ids = new Map(entries);
  const idOf = (token: string): number | undefined => {
    const id = ids.get(token);
    return typeof id === "number" ? id : undefined;
  };
  return { idOf, numTokens: entries.length };
}

/** Tokens that files name: all of them are special. */
interface NamedTokens {
  readonly byKey: ReadonlyMap<string, string>;
  readonly all: ReadonlySet<string>;
}

const contentOf = (value: unknown): string | undefined => {
  const parsed = tokenSchema.safeParse(value);
  return !parsed.success ? undefined : typeof parsed.data === "string" ? parsed.data : parsed.data.content;
};

function namedTokens(files: TokenFiles, config: z.output<typeof configSchema>): NamedTokens {
  const className = config.tokenizer_class?.replace(/Fast$/, "") ?? "";
  // special_tokens_map.json is of old checkpoints: it is read only where tokenizer_config.json lists no tokens of its own
  const isLegacy = config.added_tokens_decoder === undefined || config.added_tokens_decoder === null;
  const map = isLegacy ? parseForeign(z.looseObject({}), files.specialTokensMap, "special_tokens_map.json") : {};
  const values: { readonly [key: string]: unknown } = {
    ...(Object.hasOwn(classDefaults, className) ? classDefaults[className] : {}),
    ...config,
    ...map,
  };
  const byKey = new Map<string, string>();
  for (const [key, value] of Object.entries(values)) {
    const content = key.endsWith("_token") ? contentOf(value) : undefined;
    if (content !== undefined && content !== "") byKey.set(key, content);
  }
  const extra = [values["extra_special_tokens"], values["additional_special_tokens"]].flatMap((list) =>
    typeof list === "object" && list !== null ? Object.values(list).map(contentOf) : [],
  );
  return { byKey, all: new Set([...byKey.values(), ...extra.filter((content) => content !== undefined)]) };
}

/** The tokens of added_tokens.json, which old checkpoints have. */
function legacyTokens(
  { directory, addedTokens }: TokenFiles,
  config: z.output<typeof configSchema>,
): Record<string, number> {
  if (config.added_tokens_decoder) return {};
  return parseForeign(z.record(z.string(), idSchema), addedTokens, join(directory, "added_tokens.json"));
}

/** Ids that end a completion by generation_config.json, else by config.json. */
function readStops({ directory, generationConfig, config }: TokenFiles): number[] {
  for (const [name, json] of [
    ["generation_config.json", generationConfig],
    ["config.json", config],
  ] as const) {
    const { eos_token_id: eos } = parseForeign(eosSchema, json, join(directory, name));
    if (eos !== null && eos !== undefined) return typeof eos === "number" ? [eos] : eos;
  }
  return [];
}

/** An added token that ends a completion controls the model, whatever its flags say. */
const markStops = (added: readonly AddedToken[], stopTokens: readonly number[]): AddedToken[] =>
  added.map((token) => (stopTokens.includes(token.id) ? { ...token, special: true } : token));
