/**
 * @file The digest of a model: everything in its directory that shapes an answer, each file with a digest of its own, so
 * that an error can say which one changed. Left out is what only describes: canaries, the figures and the lineage of
 * selkie.json (which holds the digest itself).
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { hasFile, parseForeign, readJson } from "./files.ts";
import { listWeights } from "./weights.ts";

/** One file, or part of a file, that shapes what a model answers. */
export interface DigestPart {
  /** Name within the directory; `selkie.json#prompts` for the templates, which are hashed as JSON with sorted keys. */
  readonly name: string;
  /** Of its bytes, in hex. */
  readonly sha256: string;
}

const promptsFile = "selkie.json";
/** Files that are part of a model where they exist, besides config.json and the weights. */
const sideFiles =
  /^(tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json|generation_config\.json|chat_template.*)$/;

/**
 * Digests of all that shapes an answer of the checkpoint in `directory`, sorted by name: config.json, the weights,
 * tokenizer.json, tokenizer_config.json, special_tokens_map.json, added_tokens.json, generation_config.json,
 * `chat_template*` and the prompt templates of selkie.json, as far as they exist.
 */
export async function digestParts(directory: string): Promise<DigestPart[]> {
  const weights = await listWeights(directory);
  const sides = (await readdir(directory)).filter((name) => sideFiles.test(name));
  const parts: DigestPart[] = [];
  for (const name of ["config.json", ...weights, ...sides])
    if ((await stat(join(directory, name))).isFile())
      parts.push({ name, sha256: await digestFile(join(directory, name)) });
  const prompts = await readPrompts(join(directory, promptsFile));
  if (prompts !== undefined)
    parts.push({ name: `${promptsFile}#prompts`, sha256: digestOfText(canonicalJson(prompts)) });
  return parts.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** One digest for all parts: what adapters are bound to. Changes with any name and any byte. */
export function combineDigests(parts: readonly DigestPart[]): string {
  return digestOfText(parts.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join(""));
}

/** The digest that `loadModel` reports, without loading. */
export async function digestCheckpoint(directory: string): Promise<string> {
  return combineDigests(await digestParts(directory));
}

/** Names of the parts that differ: changed, added or gone. */
export function changedParts(before: readonly DigestPart[], after: readonly DigestPart[]): string[] {
  const [old, now] = [before, after].map((parts) => new Map(parts.map(({ name, sha256 }) => [name, sha256])));
  return [...new Set([...old!.keys(), ...now!.keys()])].filter((name) => old!.get(name) !== now!.get(name)).toSorted();
}

async function digestFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(piece as Buffer);
  return hash.digest("hex");
}

const digestOfText = (text: string): string => createHash("sha256").update(text).digest("hex");

async function readPrompts(path: string): Promise<unknown> {
  if (!(await hasFile(path))) return undefined;
  return parseForeign(z.looseObject({ prompts: z.unknown() }), await readJson(path), path).prompts;
}

/** JSON in which the order of keys and white space do not matter. */
const canonicalJson = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) =>
    inner !== null && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
