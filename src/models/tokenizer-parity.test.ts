import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { compareTokenizers, type RecordedTokenizers } from "../../test/support/recorded-tokenizers.ts";
import { decodeContinuation, encodeContinuation, encodePrompt, loadTokenizer, type TokenizerJson } from "./index.ts";
import { createTokenizer } from "./tokenizer.ts";

const fixtures = new URL("../../test/oracles/fixtures/", import.meta.url);
const read = <T>(name: string): T => JSON.parse(readFileSync(new URL(name, fixtures), "utf8")) as T;

describe("ids and decoded texts are those of the Rust library", () => {
  const recorded = read<RecordedTokenizers>("tokenizers.json");
  for (const { name, numCompared, differences } of compareTokenizers(recorded))
    test(name, () => {
      assert.ok(numCompared >= 24);
      assert.deepEqual(differences, []);
    });
});

interface TokenIdCase {
  readonly name: string;
  /** Of tokenizer.json. */
  readonly changes: object;
  /** The other files, without ".json". */
  readonly files: { readonly [name: string]: object };
  readonly asText: readonly number[];
  readonly asTokens: readonly number[];
  readonly eos: number;
  readonly special: readonly number[];
  /** `eos_token_id` that `generate` of transformers goes by; `null` where no file names one. */
  readonly ends: number | readonly number[] | null;
}

describe("ids that begin, end and control a text are those of transformers", () => {
  const recorded = read<{ text: string; tokenizer: TokenizerJson; cases: readonly TokenIdCase[] }>("token-ids.json");
  for (const { name, changes, files, asText, asTokens, eos, special, ends } of recorded.cases)
    test(name, async () => {
      const directory = mkdtempSync(join(tmpdir(), "selkie-token-ids-"));
      try {
        for (const [file, value] of Object.entries({ tokenizer: { ...recorded.tokenizer, ...changes }, ...files }))
          writeFileSync(join(directory, `${file}.json`), JSON.stringify(value));
        const tokenizer = await loadTokenizer(directory);
        const { prefixIds, suffixIds } = tokenizer;
        const whole = (controlTokens: boolean): number[] => [
          ...prefixIds,
          ...tokenizer.encode(recorded.text, { controlTokens }),
          ...suffixIds,
        ];
        assert.deepEqual(whole(false), asText);
        assert.deepEqual(whole(true), asTokens);
        assert.equal(tokenizer.eosTokenId, eos);
        for (const id of special) assert.ok(tokenizer.controlIds.has(id), `${id} controls`);
        // documents end with the tokenizer's own token, so it ends completions too
        assert.deepEqual([...tokenizer.stopTokens].toSorted(), [...new Set([eos, ...[ends ?? []].flat()])].toSorted());
      } finally {
        rmSync(directory, { recursive: true });
      }
    });
});

describe("texts in parts", () => {
  const recorded = read<RecordedTokenizers>("tokenizers.json");
  const build = (name: string) => {
    const { parts, model } = recorded.tokenizers.find((entry) => entry.name === name)!;
    const json = { ...parts, model: recorded.models[model]! } as TokenizerJson;
    return createTokenizer(json, json.added_tokens![0]!.content);
  };

  test("a continuation has the ids that it has behind its prompt", () => {
    const tokenizer = build("llama2"); // puts ▁ before a text that stands alone
    const alone = tokenizer.encode(" the sea");
    const { tokenIds, numPromptTokens } = encodeContinuation(tokenizer, "She can't say:", " the sea");
    assert.deepEqual(tokenIds, tokenizer.encode("She can't say: the sea"));
    assert.equal(numPromptTokens, tokenizer.encode("She can't say:").length);
    assert.deepEqual(tokenIds.slice(numPromptTokens), alone.slice(1));
  });

  test("a token that reaches over the boundary counts as the continuation's", () => {
    const tokenizer = build("gpt2");
    const whole = tokenizer.encode("a the");
    const { tokenIds, numPromptTokens } = encodeContinuation(tokenizer, "a t", "he");
    assert.deepEqual(tokenIds, whole);
    assert.equal(numPromptTokens, 1); // "a", then " the" or its like in one piece
    assert.ok(tokenizer.encode("a t").length > 1);
  });

  test("an empty prompt has nothing but what stands before every text", () => {
    const tokenizer = build("llama2");
    assert.deepEqual(encodeContinuation(tokenizer, "", "the sea"), {
      tokenIds: encodePrompt(tokenizer, "the sea"),
      numPromptTokens: 0,
    });
  });

  test("a continuation is decoded where it stands", () => {
    for (const name of ["llama2", "gemma", "unigram", "gpt2"]) {
      const tokenizer = build(name);
      const { tokenIds, numPromptTokens } = encodeContinuation(tokenizer, "the sea:", " the skin 🦭");
      const [prompt, rest] = [tokenIds.slice(0, numPromptTokens), tokenIds.slice(numPromptTokens)];
      const written = decodeContinuation(tokenizer, prompt, rest);
      assert.ok(written.startsWith(" the skin"), `${name}: ${JSON.stringify(written)}`);
      assert.equal(tokenizer.decode(prompt) + written, tokenizer.decode(tokenIds), name);
    }
  });

  test("texts and bytes of the tokens joined are the text", () => {
    for (const name of ["gpt2", "llama3", "deepseek", "llama2", "llama2-first", "gemma"])
      for (const text of ["the sea  keeps\n\n日本 🦭👍🏽 x", " a", "🦭", "e\u0301 \ufffd!", "<s>x</s>", ""]) {
        if (name === "llama2-first" && text.startsWith(" ")) continue; // that tokenizer keeps no first space
        const tokenizer = build(name);
        const pieces = tokenizer.pieces(tokenizer.encode(text));
        assert.equal(pieces.map((piece) => piece.text).join(""), text, name);
        const numBytes = pieces.reduce((sum, piece) => sum + piece.numBytes, 0);
        if (!text.includes("\ufffd")) assert.equal(numBytes, Buffer.byteLength(text), `${name}: ${text}`);
      }
  });

  test("control tokens that were asked for show their names and stand for no bytes", () => {
    const tokenizer = build("llama2");
    const pieces = tokenizer.pieces(tokenizer.encode("the</s>", { controlTokens: true }));
    assert.deepEqual(pieces.at(-1), { id: 2, text: "</s>", numBytes: 0 });
  });

  test("ill-formed bytes end in U+FFFD instead of waiting for more", () => {
    const tokenizer = build("gpt2");
    const first = tokenizer.encode("🦭")[0]!;
    const pieces = tokenizer.pieces(Array.from({ length: 20 }, () => first));
    assert.equal(pieces.map(({ text }) => text).join(""), "\ufffd".repeat(20));
  });
});

describe("what a tokenizer.json asks for and cannot be given is refused by name", () => {
  const { models, tokenizers } = read<RecordedTokenizers>("tokenizers.json");
  const plain = { ...tokenizers[0]!.parts, model: models["byte"]! } as TokenizerJson;
  const withModel = (change: object) => ({ ...plain, model: { ...plain.model, ...change } });
  const split = (Regex: string) => ({ type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false });
  const cases: readonly (readonly [string, TokenizerJson, RegExp])[] = [
    ["dropout", withModel({ dropout: 0.1 }), /model: expected no dropout, got 0\.1/],
    ["a normalizer", { ...plain, normalizer: { type: "Magic" } }, /normalizer: expected one of .*NFC.*, got "Magic"/],
    [
      "a pre-tokenizer",
      { ...plain, pre_tokenizer: { type: "UnicodeScripts" } },
      /pre_tokenizer: .*got "UnicodeScripts"/,
    ],
    ["a decoder", { ...plain, decoder: { type: "CTC" } }, /decoder: expected one of .*, got "CTC"/],
    ["a post-processor", { ...plain, post_processor: { type: "Magic" } }, /post_processor: .*got "Magic"/],
    [
      "a step of a sequence",
      { ...plain, normalizer: { type: "Sequence", normalizers: [{ type: "NFC" }, { type: "X" }] } },
      /normalizers\.1: /,
    ],
    [
      "a regular expression",
      { ...plain, pre_tokenizer: split("(?~ab") },
      /pre_tokenizer: expected a regular expression/,
    ],
    ["a way to split", { ...plain, pre_tokenizer: { ...split("a"), behavior: "Sideways" } }, /behavior/],
    ["a merge of no token", withModel({ merges: [["Q", "quux"]] }), /merges\.0: expected tokens of the vocabulary/],
    ["a merge of three", withModel({ merges: ["a b c"] }), /merges\.0: expected two tokens/],
    ["an id that is none", withModel({ vocab: { a: -1 } }), /vocab: expected tokens with ids/],
    ["a vocabulary that is none", withModel({ vocab: [["a", 0]] }), /vocab/],
    [
      "a template without the text",
      { ...plain, post_processor: { type: "TemplateProcessing", single: [] } },
      /exactly once/,
    ],
  ];
  for (const [name, json, message] of cases)
    test(name, () => {
      assert.throws(() => createTokenizer(json, "</s>"), { code: "bad-file", message });
    });
});
