/** @file The part of a tokenizer that turns pieces of text into ids, chosen by the `model` of tokenizer.json. */
import { z } from "zod";
import { parseForeign } from "../files.ts";
import { createBpe } from "./bpe-model.ts";
import { refuseType } from "./schema.ts";
import { createUnigram } from "./unigram-model.ts";
import type { Vocabulary } from "./vocabulary.ts";
import { createWordLevel, createWordPiece } from "./word-models.ts";

const known = {
  BPE: createBpe,
  Unigram: createUnigram,
  WordPiece: createWordPiece,
  WordLevel: createWordLevel,
} as const;
type ModelType = keyof typeof known;

const modelSchema = z.looseObject({ type: z.string().nullish() });

/** The model that `json` describes; old files do not say which kind it is. */
export function createModel(json: unknown, where: string, isControl: (token: string) => boolean): Vocabulary {
  const file = parseForeign(modelSchema, json, where);
  const type = file.type ?? guessType(file);
  if (!Object.hasOwn(known, type)) refuseType(where, type, Object.keys(known));
  return known[type as ModelType](json, where, isControl);
}

function guessType(file: { readonly [key: string]: unknown }): ModelType {
  if (file["merges"] !== undefined) return "BPE";
  if (Array.isArray(file["vocab"])) return "Unigram";
  return file["continuing_subword_prefix"] === undefined ? "WordLevel" : "WordPiece";
}
