/**
 * @file A tokenizer.json put together: added tokens, normalizer, pre-tokenizer, model and decoder. Gives the ids of the
 * Rust library (tokenizers 0.23.2), compared by `test/oracles/compare-tokenizers.ts`; what cannot be given is refused by name.
 * `truncation` and `padding` are left out, as transformers leaves them out: texts are read whole.
 */
import { z } from "zod";
import { parseForeign } from "../files.ts";
import { type AddedToken, createAddedTokens } from "./added-tokens.ts";
import { createDecoder } from "./decoders.ts";
import { createModel } from "./model.ts";
import { createNormalizer } from "./normalizers.ts";
import { createPreTokenizer } from "./pre-tokenizers.ts";

const fileSchema = z.looseObject({ model: z.looseObject({}) });

/** Text to ids and back, without anything put around a text. */
export interface Pipeline {
  /** Every token with its id, added ones included. */
  readonly idOf: (token: string) => number | undefined;
  readonly tokenOf: (id: number) => string | undefined;
  readonly numIds: number;
  /** Ids that control the model and are left out of decoded text. */
  readonly controlIds: ReadonlySet<number>;
  /** Text that spells a control token stays text unless `asksForControl`. */
  encode(text: string, asksForControl: boolean): number[];
  /** Text of tokens; control tokens have none, nor have ids without a token. */
  decode(tokenIds: readonly number[]): string;
}

/**
 * The pipeline of a parsed tokenizer.json.
 *
 * @param added - All added tokens, later ones in place of earlier ones of the same id.
 * @param path - Names the file in errors.
 */
export function createPipeline(json: unknown, added: readonly AddedToken[], path: string): Pipeline {
  const file = parseForeign(fileSchema, json, path);
  const normalize = createNormalizer(file["normalizer"], `${path}: normalizer`);
  const preTokenize = createPreTokenizer(file["pre_tokenizer"], `${path}: pre_tokenizer`);
  const decodeTokens = createDecoder(file["decoder"], `${path}: decoder`);
  const addedTokens = createAddedTokens(added, normalize);
  const controls = [...addedTokens.tokens.values()].filter(({ special }) => special);
  const controlTexts = new Set(controls.map(({ content }) => content));
  const model = createModel(file.model, `${path}: model`, (token) => controlTexts.has(token));
  const tokenOfModel = new Map([...model.vocab].map(([token, id]) => [id, token]));
  const idOfAdded = new Map([...addedTokens.tokens.values()].map(({ content, id }) => [content, id]));
  const tokenOf = (id: number): string | undefined => addedTokens.textOf(id) ?? tokenOfModel.get(id);
  let numIds = 0;
  for (const id of [...model.vocab.values(), ...addedTokens.tokens.keys()]) numIds = Math.max(numIds, id + 1);
  return {
    idOf: (token) => idOfAdded.get(token) ?? model.vocab.get(token),
    tokenOf,
    numIds,
    controlIds: new Set(controls.map(({ id }) => id)),
    encode(text, asksForControl) {
      const ids: number[] = [];
      for (const section of addedTokens.split(text.toWellFormed(), asksForControl)) {
        if (section.id !== null) ids.push(section.id);
        else if (section.text !== "") {
          const pieces = preTokenize({ texts: [section.text], isAtStart: section.isFirst });
          for (const piece of pieces.texts) if (piece !== "") for (const id of model.encode(piece)) ids.push(id);
        }
      }
      return ids;
    },
    decode(tokenIds) {
      const tokens: string[] = [];
      for (const id of tokenIds) {
        const token = tokenOf(id);
        if (token !== undefined && !controlTexts.has(token)) tokens.push(token);
      }
      return tokens.length === 0 ? "" : decodeTokens(tokens).join("");
    },
  };
}
