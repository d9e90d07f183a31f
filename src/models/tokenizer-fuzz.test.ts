import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import type { RecordedTokenizers } from "../../test/support/recorded-tokenizers.ts";
import { SelkieError } from "../util/index.ts";
import { loadTokenizer } from "./tokenizer.ts";

const fixture = new URL("../../test/oracles/fixtures/tokenizers.json", import.meta.url);
const recorded = JSON.parse(readFileSync(fixture, "utf8")) as RecordedTokenizers;

/** Paths of all values in `json`, vocabulary entries and merges aside. */
function pathsOf(json: unknown, path: readonly (string | number)[] = []): (string | number)[][] {
  if (typeof json !== "object" || json === null || path.at(-1) === "vocab" || path.at(-1) === "merges")
    return [[...path]];
  const entries = Array.isArray(json) ? [...json.entries()] : Object.entries(json);
  return [[...path], ...entries.flatMap(([key, value]) => pathsOf(value, [...path, key]))];
}

/** A copy of `json` with `value` at `path`. */
function withValue(json: unknown, [key, ...rest]: readonly (string | number)[], value: unknown): unknown {
  if (key === undefined) return value;
  if (Array.isArray(json)) return json.map((item, index) => (index === key ? withValue(item, rest, value) : item));
  return { ...(json as object), [key]: withValue((json as { [name: string]: unknown })[key], rest, value) };
}

test("whatever the files of a tokenizer hold, it loads and encodes or is refused by name", async () => {
  const directory = mkdtempSync(join(tmpdir(), "selkie-fuzz-"));
  const values = fc.oneof(
    fc.constantFrom<unknown>(
      null,
      true,
      false,
      -1,
      0,
      0.5,
      1e9,
      2 ** 40,
      1e308,
      "",
      "x",
      "(",
      "[",
      "\\p{Foo}",
      "(a+)+$",
    ),
    fc.constantFrom<unknown>(
      [],
      {},
      [[]],
      ["a"],
      { a: 0 },
      { a: 1e12 },
      [["a", 0]],
      [
        ["a", -1],
        ["b", -2],
      ],
    ),
    fc.constantFrom<unknown>({ type: "NFC" }, { type: "ByteLevel" }, { type: "Sequence" }, { type: "toString" }),
    fc.jsonValue(),
  );
  try {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...recorded.tokenizers),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        values,
        async ({ parts, model }, place, value) => {
          const json = { ...parts, model: recorded.models[model] };
          const paths = pathsOf(json).slice(1);
          const path = paths[Math.floor(place * paths.length)]!;
          writeFileSync(join(directory, "tokenizer.json"), JSON.stringify(withValue(json, path, value)));
          writeFileSync(join(directory, "tokenizer_config.json"), JSON.stringify({ eos_token: value }));
          try {
            const tokenizer = await loadTokenizer(directory);
            tokenizer.pieces(tokenizer.encode("the sea <s> 日本 12 aaaa\n"));
          } catch (error) {
            assert.ok(error instanceof SelkieError, `${path.join(".")} = ${JSON.stringify(value)}: ${String(error)}`);
          }
        },
      ),
      { numRuns: 600, seed: 3 },
    );
    for (const name of ["tokenizer_config", "special_tokens_map", "added_tokens", "generation_config", "config"]) {
      writeFileSync(
        join(directory, "tokenizer.json"),
        JSON.stringify({ ...recorded.tokenizers[0]!.parts, model: recorded.models["byte"] }),
      );
      await fc.assert(
        fc.asyncProperty(
          fc.oneof(
            values,
            fc.dictionary(
              fc.constantFrom("eos_token", "eos_token_id", "added_tokens_decoder", "extra_special_tokens"),
              values,
            ),
          ),
          async (value) => {
            writeFileSync(join(directory, `${name}.json`), JSON.stringify(value));
            await loadTokenizer(directory).catch((error: unknown) =>
              assert.ok(error instanceof SelkieError, `${name} ${JSON.stringify(value)}: ${String(error)}`),
            );
          },
        ),
        { numRuns: 60, seed: 4 },
      );
      rmSync(join(directory, `${name}.json`));
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});
