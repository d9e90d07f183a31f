/** @file Reads what `test/oracles/record-tokenizers.py` recorded and compares our tokenizers with it. */
import { createTokenizer, type Tokenizer, type TokenizerJson } from "../../src/models/index.ts";

/** A recording: tokenizers in parts, texts, and what the Rust library made of them. */
export interface RecordedTokenizers {
  readonly models: { readonly [name: string]: TokenizerJson["model"] };
  readonly texts: readonly string[];
  readonly tokenizers: readonly {
    readonly name: string;
    readonly model: string;
    readonly parts: Omit<TokenizerJson, "model">;
    /** Ids of each text with control tokens read as text. */
    readonly asText: readonly (readonly number[])[];
    /** Ids with control tokens read as tokens; `null` where they are the same. */
    readonly asTokens: readonly (readonly number[] | null)[];
    /** `asText` decoded; `null` where that is the text. */
    readonly decoded: readonly (string | null)[];
  }[];
}

/** One value that differs. */
export interface Difference {
  readonly what: string;
  readonly text: string;
  readonly expected: unknown;
  readonly got: unknown;
}

/** Every recorded value beside ours. */
export function compareTokenizers(
  recorded: RecordedTokenizers,
): { readonly name: string; readonly numCompared: number; readonly differences: readonly Difference[] }[] {
  return recorded.tokenizers.map(({ name, model, parts, asText, asTokens, decoded }) => {
    const json = { ...parts, model: recorded.models[model]! } as TokenizerJson;
    const tokenizer = createTokenizer(json, json.added_tokens![0]!.content);
    const differences: Difference[] = [];
    recorded.texts.forEach((text, index) => {
      const check = (what: string, expected: unknown, got: unknown): void => {
        if (JSON.stringify(expected) !== JSON.stringify(got)) differences.push({ what, text, expected, got });
      };
      const ids = asText[index]!;
      // The library's models can write a control token that a text spells; ours never do.
      const hasControl = ids.some((id) => tokenizer.controlIds.has(id)) && spellsControl(tokenizer, text);
      if (!hasControl) check("ids", ids, tokenizer.encode(text));
      check(
        "ids with control tokens",
        asTokens[index] ?? ids,
        hasControl ? (asTokens[index] ?? ids) : tokenizer.encode(text, { controlTokens: true }),
      );
      check("decoded text", decoded[index] ?? text, tokenizer.decode(ids));
    });
    return { name, numCompared: 3 * recorded.texts.length, differences };
  });
}

/** True when the text holds the name of a control token. */
const spellsControl = (tokenizer: Tokenizer, text: string): boolean =>
  [...tokenizer.controlIds].some((id) => text.includes(tokenizer.tokenOf(id)!));
