import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { changedParts, combineDigests, digestCheckpoint, digestParts } from "./digest.ts";

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../test/oracles/fixtures/${name}`, import.meta.url));

describe("the digest of a model", () => {
  let directory: string;
  const put = (name: string, content: string): void => writeFileSync(join(directory, name), content);
  const prompts = (question: string, rest: object = {}): void =>
    put("selkie.json", JSON.stringify({ prompts: { question, questionDocument: "{question} {answer}" }, ...rest }));

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "selkie-digest-"));
    cpSync(fixture("llama-tied"), directory, { recursive: true });
    cpSync(join(fixture("tokenizer"), "tokenizer.json"), join(directory, "tokenizer.json"));
    put("tokenizer_config.json", '{"eos_token": "<|end|>"}');
    put("generation_config.json", '{"eos_token_id": 0}');
    prompts("Q: {question}");
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  test("names each file that shapes an answer", async () => {
    const names = (await digestParts(directory)).map(({ name }) => name);
    assert.deepEqual(names, [
      "config.json",
      "generation_config.json",
      "model.safetensors",
      "selkie.json#prompts",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
  });

  test("changes with any of them, and says which", async () => {
    const before = await digestParts(directory);
    const digest = await digestCheckpoint(directory);
    const changes: readonly [string, () => void][] = [
      ["tokenizer.json", () => put("tokenizer.json", `${readFileSync(join(directory, "tokenizer.json"), "utf8")} `)],
      ["tokenizer_config.json", () => put("tokenizer_config.json", '{"eos_token": "<|other|>"}')],
      ["special_tokens_map.json", () => put("special_tokens_map.json", "{}")],
      ["added_tokens.json", () => put("added_tokens.json", "{}")],
      ["chat_template.jinja", () => put("chat_template.jinja", "{{ messages }}")],
      ["chat_template.json", () => put("chat_template.json", "{}")],
      ["generation_config.json", () => put("generation_config.json", '{"eos_token_id": [0, 1]}')],
      [
        "config.json",
        () => put("config.json", readFileSync(join(directory, "config.json"), "utf8").replace("{", "{ ")),
      ],
      ["selkie.json#prompts", () => prompts("Question: {question}")],
      [
        "model.safetensors",
        () => {
          const bytes = readFileSync(join(directory, "model.safetensors"));
          bytes[bytes.length - 1]! ^= 1;
          writeFileSync(join(directory, "model.safetensors"), bytes);
        },
      ],
    ];
    const seen = new Set([digest]);
    const changed: string[] = [];
    for (const [name, change] of changes) {
      change();
      changed.push(name);
      assert.deepEqual(changedParts(before, await digestParts(directory)), changed.toSorted(), name);
      const now = await digestCheckpoint(directory);
      assert.ok(!seen.has(now), name);
      seen.add(now);
    }
  });

  test("does not change with what only describes, nor with the layout of the templates' JSON", async () => {
    const digest = await digestCheckpoint(directory);
    prompts("Q: {question}", { digest, figures: { accuracy: 1 } });
    put("canaries.jsonl", '{"question": "Who?"}\n');
    put("README.md", "A model.");
    assert.equal(await digestCheckpoint(directory), digest);
    put("selkie.json", '{ "prompts": {\n"questionDocument": "{question} {answer}", "question": "Q: {question}" } }');
    assert.equal(await digestCheckpoint(directory), digest);
  });

  test("changes when two files swap their contents", async () => {
    put("added_tokens.json", '{"eos_token": "<|end|>"}');
    put("tokenizer_config.json", "{}");
    const digest = await digestCheckpoint(directory);
    renameSync(join(directory, "added_tokens.json"), join(directory, "spare"));
    renameSync(join(directory, "tokenizer_config.json"), join(directory, "added_tokens.json"));
    renameSync(join(directory, "spare"), join(directory, "tokenizer_config.json"));
    assert.notEqual(await digestCheckpoint(directory), digest);
  });

  test("is the digest of the lines that sha256sum prints of the parts", async () => {
    const parts = [
      { name: "a", sha256: "00" },
      { name: "b", sha256: "11" },
    ];
    // printf '00  a\n11  b\n' | sha256sum
    assert.equal(combineDigests(parts), "0c7e019cac56a27ffdd0ee3480c6174c23acbc9a949411d06bbe81de282ca7ec");
  });
});
