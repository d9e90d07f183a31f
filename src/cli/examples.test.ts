/** @file Every example that is printed or written down is a command line that this program takes; the quick ones are run. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { type Command, CommanderError } from "commander";
import { displayWidth } from "./columns.ts";
import { describeExamples } from "./examples.ts";
import { asStarted, commandAgain, invocationOf, quoteWord } from "./invocation.ts";
import { packagePath } from "./paths.ts";
import { createProgram } from "./program.ts";
import { describeInterruption } from "./verb.ts";

/** Words of a simple command line: quotes of both kinds, backslashes outside of single quotes. */
function shellWords(line: string): string[] {
  const words: string[] = [];
  for (const [, word] of line.matchAll(/((?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+)/g))
    words.push(word!.replace(/\\(.)|"((?:[^"\\]|\\.)*)"|'([^']*)'/g, (_, escaped, double, single) => escaped ?? double?.replace(/\\(.)/g, "$1") ?? single)); // biome-ignore format: one step
  return words;
}

/** All commands below `command` that can be run. */
const leavesOf = (command: Command): Command[] =>
  command.commands.length === 0 ? [command] : command.commands.flatMap(leavesOf);

const allOf = (command: Command): Command[] => [command, ...command.commands.flatMap(allOf)];

/** Parses a command line with the real program and runs nothing. */
async function parse(words: readonly string[]): Promise<void> {
  const program = createProgram().configureOutput({ writeOut: () => {}, writeErr: () => {} });
  for (const leaf of leavesOf(program)) leaf.configureOutput({ writeOut: () => {} }).action(() => {});
  await program.parseAsync(words, { from: "user" }).catch((error: unknown) => {
    if (!(error instanceof CommanderError && error.exitCode === 0)) throw error; // help and version end that way
  });
}

/** Help of a command with all that was added to it. */
function helpOf(command: Command): string {
  let text = "";
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
  });
  command.outputHelp();
  return text;
}

const start = String.raw`(?:npm run -s selkie --|(?:\.\.?/)*selkie|npx selkie|selkie)`;

/** What follows the program's name in the first command of a line; null where there is none. */
function argumentsIn(line: string): string[] | null {
  const match = new RegExp(String.raw`^(?:.*\| )?${start} ([^|#]+)`).exec(line.trim());
  return match === null ? null : shellWords(match[1]!.split(/\s{2,}/)[0]!.replace(/ (?:&&|>|2>).*$/, ""));
}

const helpExamples = allOf(createProgram()).flatMap((command) =>
  helpOf(command)
    .split("\n")
    .filter((line) => line.startsWith("  ") && /[^ ]/.test(line[2]!))
    .flatMap((line) => {
      const words = argumentsIn(line);
      return words === null ? [] : [{ command: command.name(), line: line.trim(), words }];
    }),
);

/** Commands in fenced blocks and in code spans of Markdown; those with a gap (`<id>`, …) are forms, not examples. */
function writtenExamples(file: string): { line: string; words: string[] }[] {
  const text = readFileSync(file, "utf8");
  const fenced = [...text.matchAll(/```(?:sh|bash|console)\n([\s\S]*?)```/g)].flatMap(([, block]) =>
    block!.split("\n"),
  );
  const spans = [...text.replace(/```[\s\S]*?```/g, "").matchAll(/`([^`\n]+)`/g)].map(([, span]) =>
    span!.replaceAll("\\|", "|"),
  );
  return [...fenced, ...spans].flatMap((line) => {
    const words = /[<…]|\.\.\./.test(line) ? null : argumentsIn(line);
    return words === null || !isCall(words) ? [] : [{ line, words }];
  });
}

/** A verb named in a sentence, as `selkie adapt` or `selkie learn knowledge`, is not a call. */
const isCall = (words: readonly string[]): boolean =>
  words.length > (["registry", "experiment", "learn", "pretrain"].includes(words[0]!) ? 2 : 1);

const documents = ["README.md", "CONTRIBUTING.md", "docs"].flatMap((name) => {
  const path = packagePath(name);
  return name === "docs"
    ? readdirSync(path)
        .filter((file) => file.endsWith(".md"))
        .map((file) => `${path}/${file}`)
    : [path];
});

describe("examples", () => {
  const columns = process.env["COLUMNS"];
  before(() => {
    process.env["COLUMNS"] = "400";
  });
  after(() => {
    if (columns === undefined) delete process.env["COLUMNS"];
    else process.env["COLUMNS"] = columns;
  });

  test("of the help are command lines of this program", async () => {
    assert.ok(helpExamples.length > 25, `${helpExamples.length}`);
    for (const { line, words } of helpExamples) await assert.doesNotReject(parse(words), `${line}`);
  });

  test("of the documentation are command lines of this program", async () => {
    const examples = documents.flatMap(writtenExamples);
    assert.ok(examples.length > 15, `${examples.length}`);
    for (const { line, words } of examples) await assert.doesNotReject(parse(words), `${line}`);
  });

  test("a wrong command line does not pass for an example", async () => {
    await assert.rejects(parse(["adapt", "x", "--limits", "3"]));
    await assert.rejects(parse(["registry", "promot", "1"]));
  });

  test("name files of the package that exist", () => {
    const named = [...helpExamples, ...documents.flatMap(writtenExamples)]
      .flatMap(({ words }) => words)
      .filter((word) => /^(examples|models|docs)\//.test(word));
    assert.ok(named.length >= 8);
    for (const word of named) assert.ok(existsSync(packagePath(word)), word);
  });

  test("that are quick do what they say, through a shell, as printed", () => {
    const quick = helpExamples.filter(({ line }) =>
      /\bselkie(?: --)? score |selkie(?: --)? ask "[^"]*"$|"[^"]*" {2}what the model says/.test(line),
    );
    assert.ok(quick.length >= 4, `${quick.length}`);
    for (const line of new Set(quick.map((example) => example.line.split(/\s{2,}/)[0]!))) {
      const program = `${process.execPath} --disable-warning=ExperimentalWarning src/cli/main.ts`;
      const command = line.replace(new RegExp(String.raw`(^|\| )${start} `), (_, lead: string) => `${lead}${program} `);
      const { status, stderr } = spawnSync("sh", ["-c", command], { cwd: packagePath("."), encoding: "utf8" });
      assert.equal(status, 0, `${line}: ${stderr}`);
    }
  });

  test("stand beside their meaning where there is room, else above it, and are never broken", () => {
    const examples = [["selkie score a.txt", "what it is worth to you and me in this long sentence"]] as const;
    const options = { invocation: "./selkie" };
    assert.match(
      describeExamples(examples, "", { ...options, columns: 100 }),
      /^ {2}\.\/selkie score a\.txt {2}what .* sentence$/m,
    );
    const narrow = describeExamples(examples, "See selkie score --help for more about all of this.", {
      ...options,
      columns: 50,
    });
    assert.match(narrow, /^ {2}\.\/selkie score a\.txt$/m);
    assert.match(narrow, /^See \.\/selkie score --help for/m);
    for (const line of narrow.split("\n")) assert.ok(displayWidth(line) <= 50);
  });
});

describe("the way the program was started", () => {
  const startOf = (script: string, directory = "/home/ann", env = {}, hasLauncher = true) =>
    invocationOf({ script, directory, env, exists: () => hasLauncher });

  test("is told by script and environment", () => {
    assert.equal(startOf("/home/ann/selkie/src/cli/main.ts", "/home/ann/selkie"), "./selkie");
    assert.equal(startOf("/home/ann/selkie/src/cli/main.ts", "/home/ann/selkie/docs"), "../selkie");
    assert.equal(startOf("/home/ann/selkie/src/cli/main.ts", "/home/ann"), "selkie/selkie");
    assert.equal(startOf("/home/a b/selkie/src/cli/main.ts", "/"), "'home/a b/selkie/selkie'");
    assert.equal(startOf("/home/ann/selkie/src/cli/main.ts", "/", {}, false), "npm run -s selkie --");
    assert.equal(startOf("/home/ann/app/node_modules/selkie/dist/cli/main.js"), "npx selkie");
    assert.equal(startOf("/home/ann/.npm/_npx/1/node_modules/selkie/dist/cli/main.js", "/", { npm_command: "exec" }), "npx selkie"); // biome-ignore format: one line
    assert.equal(startOf("/usr/lib/node_modules/selkie/dist/cli/main.js"), "selkie");
  });

  test("is put into commands of messages and nowhere else", () => {
    const given =
      "Run selkie adapt --help; selkie registry list. A selkie sheds; runs/selkie ask; selkie is; selkie <verb>";
    assert.equal(
      asStarted(given, "npx selkie"),
      "Run npx selkie adapt --help; npx selkie registry list. A selkie sheds; runs/selkie ask; selkie is; npx selkie <verb>",
    );
  });

  test("an interruption says what is kept and the very command to run again, quoted for a shell, without --fresh", () => {
    const args = ["adapt", "my notes", "--questions", "it's $HOME.jsonl", "--fresh", "--out", "a"];
    assert.equal(
      commandAgain(args, "./selkie"),
      "./selkie adapt 'my notes' --questions 'it'\\''s $HOME.jsonl' --out a",
    );
    assert.deepEqual(
      shellWords(commandAgain(args, "./selkie")).slice(1),
      args.filter((word) => word !== "--fresh"),
    );
    assert.equal(quoteWord(""), "''");
    const { message } = describeInterruption("what is finished is kept in runs/", args);
    assert.match(
      message,
      /^interrupted; what is finished is kept in runs\/\. To go on from there:\n {2}.* adapt 'my notes' /,
    );
    assert.match(
      describeInterruption(null, ["ask", "Who?"]).message,
      /nothing was kept\. To run it again:\n {2}.* ask 'Who\?'$/,
    );
  });
});
