/** @file Models of whole words: WordPiece, greedily the longest token first, and WordLevel, one token for each word. */
import { z } from "zod";
import { SelkieError } from "../../util/index.ts";
import { parseForeign } from "../files.ts";
import { vocabSchema } from "./schema.ts";
import type { Vocabulary } from "./vocabulary.ts";

const wordPieceSchema = z.looseObject({
  vocab: vocabSchema,
  unk_token: z.string().default("[UNK]"),
  continuing_subword_prefix: z.string().default("##"),
  max_input_chars_per_word: z.int().min(0).default(100),
});
const wordLevelSchema = z.looseObject({ vocab: vocabSchema, unk_token: z.string().default("<unk>") });

type IsControl = (token: string) => boolean;

/** The id of the unknown token, asked for when a word needs it. */
function unkOf(vocab: ReadonlyMap<string, number>, unk: string, where: string): number {
  const id = vocab.get(unk);
  if (id !== undefined) return id;
  throw new SelkieError("bad-file", `${where}: expected unk_token ${JSON.stringify(unk)} in the vocabulary, got none`);
}

/** The WordPiece model that `json` describes. `isControl` names tokens that text never becomes. */
export function createWordPiece(json: unknown, where: string, isControl: IsControl): Vocabulary {
  const file = parseForeign(wordPieceSchema, json, where);
  const vocab = new Map(Object.entries(file.vocab));
  const longest = Math.max(0, ...[...vocab.keys()].map((token) => token.length)); // nothing longer need be looked up
  const find = (chars: readonly string[], start: number): { id: number; end: number } | null => {
    const prefix = start > 0 ? file.continuing_subword_prefix : "";
    for (let end = Math.min(chars.length, start + longest); end > start; end--) {
      const token = prefix + chars.slice(start, end).join("");
      const id = isControl(token) ? undefined : vocab.get(token);
      if (id !== undefined) return { id, end };
    }
    return null;
  };
  return {
    vocab,
    encode(piece) {
      const chars = [...piece];
      if (chars.length > file.max_input_chars_per_word) return [unkOf(vocab, file.unk_token, where)];
      const ids: number[] = [];
      for (let start = 0; start < chars.length; ) {
        const found = find(chars, start);
        if (found === null) return [unkOf(vocab, file.unk_token, where)];
        ids.push(found.id);
        start = found.end;
      }
      return ids;
    },
  };
}

/** The WordLevel model that `json` describes. `isControl` names tokens that text never becomes. */
export function createWordLevel(json: unknown, where: string, isControl: IsControl): Vocabulary {
  const file = parseForeign(wordLevelSchema, json, where);
  const vocab = new Map(Object.entries(file.vocab));
  return {
    vocab,
    encode(piece) {
      const id = isControl(piece) ? undefined : vocab.get(piece);
      return [id ?? unkOf(vocab, file.unk_token, where)];
    },
  };
}
