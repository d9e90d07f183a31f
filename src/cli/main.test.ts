import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { defaultTemplates, questionPrompt } from "../adapt/index.ts";
import { generate } from "../generate/index.ts";
import {
  type Checkpoint,
  createLlama,
  f32Precision,
  type LlamaConfig,
  loadCheckpoint,
  plainLlama,
  saveAdapter,
  saveCheckpoint,
  trainByteLevelBpe,
} from "../models/index.ts";
import { LoraBank } from "../nn/index.ts";
import { type Backend, linear, openBackend, packedLayout, Scope } from "../tensor/index.ts";
import { createRng } from "../util/index.ts";

const mainFile = fileURLToPath(new URL("main.ts", import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts the real command line. */
const start = (args: readonly string[]) =>
  spawn(process.execPath, ["--disable-warning=ExperimentalWarning", mainFile, ...args]);

/** Runs it to its end. */
async function runCli(args: readonly string[], stdin: string | Uint8Array = ""): Promise<Ended> {
  const child = start(args);
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  child.stdin.on("error", () => {}); // a verb that does not read its input may end first
  child.stdin.end(stdin);
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { code, stdout, stderr };
}

/** Runs it with `--json`; stdout must be one line that is one object. */
async function runJson(
  args: readonly string[],
  stdin = "",
): Promise<{ code: number | null; value: Record<string, unknown> }> {
  const { code, stdout } = await runCli([...args, "--json"], stdin);
  assert.match(stdout, /^\{.*\}\n$/);
  return { code, value: JSON.parse(stdout) as Record<string, unknown> };
}

const config: LlamaConfig = {
  ...plainLlama,
  vocabSize: 260,
  hiddenSize: 16,
  intermediateSize: 24,
  numLayers: 2,
  numHeads: 4,
  numKvHeads: 2,
  headDim: 4,
  maxSeqLen: 96,
};

let root = "";
let backend: Backend;
let checkpoint: Checkpoint;
const modelDirectory = () => join(root, "model");
const otherDirectory = () => join(root, "other");
const adapterDirectory = () => join(root, "adapter");
const file = (name: string) => join(root, name);

before(async () => {
  root = await mkdtemp(join(tmpdir(), "selkie-cli-"));
  backend = openBackend();
  const json = trainByteLevelBpe(["the sea is calm and the sea is wide"], { vocabSize: 260, specialTokens: ["<end>"] });
  for (const [directory, seed] of [
    [modelDirectory(), "one"],
    [otherDirectory(), "two"],
  ] as const) {
    using lm = createLlama(backend, config, f32Precision, { rng: createRng(seed) });
    const flat = lm.parameters.get("model.embed_tokens.weight");
    flat.write(flat.readSync().map((value) => 20 * value)); // answers that are not one token over and over
    await saveCheckpoint(directory, { lm, tokenizer: { json } });
  }
  checkpoint = await loadCheckpoint(backend, modelDirectory(), { precision: f32Precision });
  const rng = createRng("adapter");
  using bank = new LoraBank(backend, checkpoint.lm.linearLayers, [{ loraRank: 2, loraAlpha: 4, targets: "all" }]);
  bank.parameters.flat.write(Float32Array.from({ length: bank.parameters.flat.size }, () => rng.normal()));
  await saveAdapter(adapterDirectory(), bank.extract(0), {
    baseModelNameOrPath: "tiny",
    baseDigest: checkpoint.digest,
  });
});

after(async () => {
  checkpoint.lm[Symbol.dispose]();
  await rm(root, { recursive: true });
});

test("help lists every verb, and each verb explains itself with examples", async () => {
  const { code, stdout } = await runCli(["--help"]);
  assert.equal(code, 0);
  for (const verb of ["demo", "adapt", "ask", "score", "pretrain", "registry", "bench"])
    assert.match(stdout, new RegExp(`^  ${verb} `, "m"));
  assert.match(stdout, /Examples:/);
  for (const verb of ["ask", "score", "registry", "bench"]) {
    const help = await runCli([verb, "--help"]);
    assert.equal(help.code, 0);
    assert.match(help.stdout, new RegExp(`Usage: selkie ${verb} `));
    assert.match(help.stdout, new RegExp(`Examples:[\\s\\S]*  (?:.*/selkie|npm run -s selkie --) ${verb} `));
  }
});

test("--version prints the version of package.json", async () => {
  const { version } = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  assert.deepEqual(await runCli(["--version"]), { code: 0, stdout: `${version}\n`, stderr: "" });
});

test("a wrong command line exits with 2 and says what would have been right", async () => {
  const cases: [string[], RegExp][] = [
    [["aks", "x"], /unknown command 'aks'[\s\S]*Did you mean ask\?/],
    [["ask"], /missing required argument 'question'/],
    [["ask", "x", "--jsn"], /unknown option '--jsn'[\s\S]*Did you mean --json\?/],
    [["ask", "x", "--max-new-tokens", "0"], /Expected a whole number of at least 1, got "0"/],
    [["bench", "everything"], /Allowed choices are gemm, train, lora, inner, decode, attention/],
    [["bench", "gemm", "--seconds", "-1"], /Expected a number above 0, got "-1"/],
  ];
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await runCli(args);
    assert.equal(code, 2, args.join(" "));
    assert.equal(stdout, "");
    assert.match(stderr, message);
    assert.doesNotMatch(stderr, /\n {4}at /, "no stack");
  }
  const bare = await runCli([]);
  assert.equal(bare.code, 2);
  assert.match(bare.stderr, /Usage: selkie/);
});

test("with --json a failure is one object on stdout too", async () => {
  const wrongVerb = await runJson(["aks"]);
  assert.equal(wrongVerb.code, 2);
  assert.match((wrongVerb.value["error"] as { message: string }).message, /unknown command/);
  const noModel = await runJson(["ask", "Who?", "--model", file("nowhere")]);
  assert.equal(noModel.code, 2);
  assert.equal((noModel.value["error"] as { code: string }).code, "missing-file");
});

test("ask answers greedily, the same on every run and as the library does", async () => {
  const args = ["ask", "Who is calm?", "--model", modelDirectory(), "--max-new-tokens", "12", "--precision", "f32"];
  const { lm, tokenizer } = checkpoint;
  const promptIds = tokenizer.encode(questionPrompt(defaultTemplates, "Who is calm?"));
  const [expected] = await generate(lm, [{ promptIds, maxNewTokens: 12, stopTokens: [0, ...tokenizer.encode("\n")] }]);
  const answer = tokenizer.decode(expected!.tokenIds).split("\n")[0]!.trim();
  const first = await runJson(args);
  assert.equal(first.code, 0);
  assert.equal(first.value["answer"], answer);
  assert.equal(first.value["numTokens"], expected!.tokenIds.length);
  assert.equal(first.value["adapter"], null);
  const plain = await runCli(args);
  assert.equal(plain.code, 0);
  assert.equal(plain.stdout, `${answer === "" ? "(the model gave no answer)" : answer}\n`);
});

test("ask uses an adapter of the model and refuses one of another model", async () => {
  const args = ["ask", "Who is calm?", "--max-new-tokens", "12", "--adapter", adapterDirectory(), "--model"];
  const without = await runJson(["ask", "Who is calm?", "--max-new-tokens", "12", "--model", modelDirectory()]);
  const { code, value } = await runJson([...args, modelDirectory()]);
  assert.equal(code, 0);
  assert.notEqual(value["logprobNats"], without.value["logprobNats"]);
  const refused = await runCli([...args, otherDirectory()]);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /expected the base model with digest/);
  const empty = await runCli(["ask", "  ", "--model", modelDirectory()]);
  assert.equal(empty.code, 2);
  assert.match(empty.stderr, /expected a question, got an empty text/);
});

/** `log softmax` of each next token, from the logits of one full pass. */
function logprobsOf(ids: readonly number[]): number[] {
  const { lm } = checkpoint;
  using scope = new Scope(backend);
  const layout = packedLayout(Int32Array.of(0, ids.length));
  const hidden = lm.hidden(scope, { tokenIds: Int32Array.from(ids), positionIds: Int32Array.from(ids.keys()), layout });
  const logits = linear(scope, hidden, lm.outputWeight, { compute: "f32" }).readSync();
  return ids.slice(1).map((id, t) => {
    const row = Array.from(logits.subarray(t * lm.vocabSize, (t + 1) * lm.vocabSize));
    return row[id]! - Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0));
  });
}

interface Score {
  readonly tokens: readonly { id: number; text: string; logprob: number | null }[];
  readonly numScored: number;
  readonly totalNats: number;
  readonly bitsPerByte: number | null;
  readonly windows: { count: number; maxTokens: number; overlap: number } | null;
}

test("score gives the log-softmax of each token, their sum, and bits per byte of the scored text", async () => {
  const text = "the sea is größer\n";
  await writeFile(file("text.txt"), text);
  const { code, value } = await runJson(["score", file("text.txt"), "--model", modelDirectory()]);
  assert.equal(code, 0);
  const { tokens, totalNats, bitsPerByte, numScored, windows } = value as unknown as Score;
  const ids = checkpoint.tokenizer.encode(text);
  assert.deepEqual(
    tokens.map(({ id }) => id),
    ids,
  );
  assert.equal(tokens[0]!.logprob, null);
  const expected = logprobsOf(ids);
  for (const [t, logprob] of expected.entries()) assert.ok(Math.abs(tokens[t + 1]!.logprob! - logprob) < 1e-4); // f32 sums in another order
  const sum = expected.reduce((total, logprob) => total + logprob, 0);
  assert.ok(Math.abs(totalNats - sum) < 1e-3);
  const numBytes = Buffer.byteLength(text) - Buffer.byteLength(tokens[0]!.text);
  assert.ok(Math.abs(bitsPerByte! + sum / Math.log(2) / numBytes) < 1e-3);
  assert.equal(numScored, ids.length - 1);
  assert.equal(tokens.map((token) => token.text).join(""), text);
  assert.equal(windows, null);
  const piped = await runJson(["score", "-", "--model", modelDirectory()], text);
  assert.deepEqual((piped.value as unknown as Score).tokens, tokens);
  const fromIds = await runJson(["score", "--ids", ids.join(", "), "--model", modelDirectory()]);
  assert.deepEqual((fromIds.value as unknown as Score).tokens, tokens);
  assert.equal((fromIds.value as unknown as Score).bitsPerByte, null);
});

test("score tells tokens of a part of a character with its last one, and counts the bytes it scored", async () => {
  const { value } = await runJson(["score", "-", "--model", modelDirectory()], "日本");
  const { tokens, totalNats, bitsPerByte } = value as unknown as Score;
  assert.deepEqual(
    tokens.map(({ text }) => text),
    ["", "", "日", "", "", "本"],
  );
  assert.ok(Math.abs(bitsPerByte! + totalNats / Math.LN2 / 5) < 1e-6, "six bytes, less the first token's one");
});

test("score reads what spells a control token as text, and as the token with --special-tokens", async () => {
  const { tokenizer } = checkpoint;
  const name = tokenizer.tokenOf(tokenizer.eosTokenId)!;
  const args = ["score", "-", "--model", modelDirectory()];
  const asText = (await runJson(args, `the sea${name} calm`)).value as unknown as Score;
  assert.ok(!asText.tokens.some(({ id }) => id === tokenizer.eosTokenId));
  const asTokens = (await runJson([...args, "--special-tokens"], `the sea${name} calm`)).value as unknown as Score;
  assert.equal(asTokens.tokens.filter(({ id }) => id === tokenizer.eosTokenId).length, 1);
  for (const { tokens } of [asText, asTokens])
    assert.equal(tokens.map(({ text }) => text).join(""), `the sea${name} calm`);
});

test("score reads a text longer than the context in windows, and says so", async () => {
  const text = "the calm sea ".repeat(40);
  const { code, value } = await runJson(["score", "-", "--model", modelDirectory()], text);
  assert.equal(code, 0);
  const { tokens, windows } = value as unknown as Score;
  assert.deepEqual([windows!.maxTokens, windows!.overlap], [96, 48]);
  assert.ok(windows!.count > 2);
  assert.deepEqual(
    tokens.flatMap(({ logprob }, index) => (logprob === null ? [index] : [])),
    [0],
  );
  const ids = tokens.map(({ id }) => id);
  const second = logprobsOf(ids.slice(48, 144)); // the second window scores tokens 96 to 143
  for (let i = 96; i < 144; i++) assert.ok(Math.abs(tokens[i]!.logprob! - second[i - 49]!) < 1e-4);
  const plain = await runCli(["score", "-", "--model", modelDirectory()], text);
  assert.match(
    plain.stdout,
    /read in \d+ windows of at most 96 tokens, overlapping by 48\ntotal -[\d.]+ nats over \d+ tokens, [\d.]+ bits per byte\n$/,
  );
});

test("score refuses input that is no text, in words", async () => {
  await writeFile(file("empty.txt"), "");
  await writeFile(file("binary.dat"), Uint8Array.of(104, 105, 0, 1));
  await writeFile(file("latin1.txt"), Uint8Array.of(104, 228, 104, 228));
  const model = ["--model", modelDirectory()];
  const cases: [string[], RegExp][] = [
    [[file("empty.txt")], /expected a text, got nothing in .*empty\.txt/],
    [["-"], /expected a text, got nothing in standard input/],
    [[file("binary.dat")], /binary data in .*binary\.dat \(a zero byte at 2\)/],
    [
      [file("latin1.txt")],
      /expected UTF-8, got another encoding in .*latin1\.txt \(it stops being UTF-8 near byte 2\)/,
    ],
    [[file("missing.txt")], /expected a readable text file, got .*missing\.txt \(ENOENT\)/],
    [[root], /expected a readable text file, got .*\(EISDIR\)/],
    [["--ids", "1,260"], /expected token ids from 0 to 259, got 260 at position 1/],
    [["--ids", "1,x"], /expected whole numbers separated by commas, got "x"/],
    [["--ids", "-1"], /expected whole numbers separated by commas, got "-1"/],
    [[], /expected a file or --ids, got neither/],
    [["-", "--ids", "1"], /expected a file or --ids, got both/],
  ];
  await Promise.all(
    cases.map(async ([args, message]) => {
      const { code, stdout, stderr } = await runCli(["score", ...args, ...model]);
      assert.match(stderr, message);
      assert.equal(code, 2, args.join(" "));
      assert.equal(stdout, "");
    }),
  );
});

test("bench --json prints one line with the fields of the peer script; without it, a table for people", async () => {
  const args = [
    "bench",
    "inner",
    "--size",
    "nano",
    "--candidates",
    "2",
    "--docs",
    "1",
    "--doc-tokens",
    "4",
    "--epochs",
    "1",
    "--rank",
    "2",
    "--threads",
    "1",
  ];
  const shown = await runCli([...args, "--profile"]);
  assert.equal(shown.code, 0);
  assert.match(shown.stdout, /^adapters per s +\d/m);
  assert.doesNotMatch(shown.stdout, /[{}"]/);
  const { code, stdout } = await runCli([...args, "--json"]);
  assert.equal(code, 0);
  const line = JSON.parse(stdout) as Record<string, unknown>;
  assert.match(String(line["engine"]), /^selkie \d/);
  assert.ok((line["adapters_per_s"] as number) > 0 && (line["peak_mib"] as number) > 10);
  const { adapters_per_s: _, peak_mib: __, engine: ___, instructionSet: ____, threads: _____, ...settings } = line;
  assert.deepEqual(settings, {
    what: "inner",
    size: "nano",
    dtype: "bf16",
    docs_per_step: 8,
    docs: 1,
    doc_tokens: 4,
    epochs: 1,
    rank: 2,
  });
});

test("Ctrl-C stops the work and exits with 130", {
  skip: process.platform === "win32" && "signals differ",
}, async () => {
  const child = start(["bench", "decode", "--size", "nano", "--batch", "1", "--seconds", "120"]);
  await new Promise((resolve) => child.stderr.once("data", resolve)); // "measuring …": the handler is in place
  child.kill("SIGINT");
  const code = await new Promise((resolve) => child.on("close", resolve));
  assert.equal(code, 130);
});

test("a reader that goes away ends the run quietly", async () => {
  const child = start(["score", "-", "--model", modelDirectory()]);
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  child.stdout.destroy();
  child.stdin.end("the calm sea ".repeat(400));
  await new Promise((resolve) => child.on("close", resolve));
  assert.doesNotMatch(stderr, /EPIPE|at /);
});

test("--weights quantises the model that answers and scores, and training refuses it", async () => {
  const text = ["score", "--ids", "1,2,3,4,5,6", "--model", modelDirectory()];
  const plain = await runJson(text);
  for (const weights of ["int8", "nf4"]) {
    const { code, value } = await runJson([...text, "--weights", weights]);
    assert.equal(code, 0);
    const difference = Math.abs((value["totalNats"] as number) - (plain.value["totalNats"] as number));
    assert.ok(difference > 0 && difference < 1, `${weights}: ${difference} nats`);
    const asked = ["ask", "calm?", "--model", modelDirectory(), "--adapter", adapterDirectory(), "--weights", weights];
    assert.equal((await runJson([...asked, "--max-new-tokens", "4"])).code, 0);
  }
  const refused = await runCli(["bench", "train", "--size", "nano", "--weights", "int8"]);
  assert.deepEqual([refused.code, /--weights: expected none for training/.test(refused.stderr)], [2, true]);
  assert.match(
    (await runCli(["pretrain", "nano", "--out", root, "--weights", "nf4"])).stderr,
    /unknown option '--weights'/,
  );
});
