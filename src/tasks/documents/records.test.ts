/** @file What .json and .jsonl files hold: shapes that are understood, and keys that would be lost. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { loadDocuments, loadPassages } from "./index.ts";

let folder = "";
const write = async (name: string, value: unknown): Promise<string> => {
  const file = join(folder, name);
  await writeFile(file, typeof value === "string" || value instanceof Uint8Array ? value : JSON.stringify(value));
  return file;
};
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "selkie-records-"));
});
after(() => rm(folder, { recursive: true }));

const lines = (...values: readonly unknown[]): string => values.map((value) => `${JSON.stringify(value)}\n`).join("");

/** What came of a file, in short: text, then each question with its answer. */
const told = async (file: string): Promise<string[]> =>
  (await loadPassages([file])).map(({ title, context, questions }) =>
    [title, context, ...questions.map(({ question, answer }) => `${question} ${answer}`)].join(" | "),
  );

const mill = "The mill at Orrin was built in 1788 by Tom Hale.";
const row = (id: number, question: string, answers: unknown, more: object = {}) => ({
  id: `${id}`,
  title: "Orrin_Mill",
  context: mill,
  question,
  answers,
  ...more,
});
const who = row(1, "Who built it?", { text: ["Tom Hale", "Hale"], answer_start: [39, 43] });
const when = row(2, "When?", { text: ["1788"], answer_start: [31] });
const bare = { title: "Orrin_Mill", context: mill };
const qas = [
  { id: "1", question: "Who built it?", answers: [{ text: "Tom Hale", answer_start: 39 }] },
  { question: "When?", answer: 1788 },
];
const whole = `Orrin Mill | ${mill} | Who built it? Tom Hale | When? 1788`;

describe("one text with two questions comes from", () => {
  const shapes: readonly (readonly [what: string, name: string, value: unknown])[] = [
    ["rows, one per question", "rows.jsonl", lines(who, when)],
    ["a list of rows", "rows.json", [who, when]],
    [
      "an export of rows",
      "viewer.json",
      {
        features: [],
        rows: [
          { row_idx: 0, row: who, truncated_cells: [] },
          { row_idx: 1, row: when },
        ],
      },
    ],
    ["wrapped rows as lines", "wrapped.jsonl", lines({ row_idx: 0, row: who }, { row_idx: 1, row: when })],
    [
      "columns",
      "columns.json",
      {
        title: ["Orrin_Mill", "Orrin_Mill"],
        context: [mill, mill],
        question: [who.question, when.question],
        answers: [who.answers, when.answers],
      },
    ],
    ["qas", "qas.json", [{ ...bare, qas }]],
    ["qas on a line", "qas.jsonl", lines({ ...bare, qas })],
    ["questions", "ours.json", { ...bare, questions: qas }],
    ["SQuAD", "squad.json", { version: "1.1", data: [{ title: "Orrin_Mill", paragraphs: [{ context: mill, qas }] }] }],
    [
      "articles without their wrapper",
      "articles.json",
      [{ title: "Orrin_Mill", paragraphs: [{ context: mill, qas }] }],
    ],
    ["one article", "article.json", { title: "Orrin_Mill", paragraphs: [{ context: mill, qas }] }],
    [
      "other spellings",
      "spelt.json",
      [
        { Title: "Orrin Mill", pageContent: mill, Question: "Who built it?", Answer: "Tom Hale" },
        { text: mill, q: "When?", a: "1788" },
      ],
    ],
    ["lines in a .json file", "lines.json", lines(who, when)],
    ["a list in a .jsonl file", "list.jsonl", `[\n${JSON.stringify(who)},\n${JSON.stringify(when)}\n]\n`],
    ["CRLF and a byte order mark", "crlf.jsonl", `\uFEFF${lines(who, when).replaceAll("\n", "\r\n")}`],
    ["UTF-16", "utf16.jsonl", Buffer.from(`\uFEFF${lines(who, when)}`, "utf16le")],
  ];
  for (const [what, name, value] of shapes)
    test(what, async () => {
      assert.deepEqual(await told(await write(name, value)), [whole]);
    });
});

test("a text keeps its place, and rows about it may come from anywhere", async () => {
  const other = { context: "The sea is calm." };
  const file = await write(
    "mixed.jsonl",
    lines(who, other, when, { ...other, question: "How is it?", answers: ["calm"] }),
  );
  const { passages, notes } = await loadDocuments([file]);
  assert.deepEqual(
    passages.map(({ id, questions }) => [id, questions.length]),
    [
      ["mixed.jsonl#1", 2],
      ["mixed.jsonl#2", 1],
    ],
  );
  assert.ok(notes.includes("2 entries repeat a text; it is learned once, with the questions of all"));
  assert.ok(notes.some((note) => /keys that are not used: "id" \(2\)/.test(note)));
});

test("questions without an answer are counted and left out", async () => {
  const v2 = {
    data: [
      {
        title: "T",
        paragraphs: [
          {
            context: mill,
            qas: [
              qas[0],
              { question: "Why?", answers: [], is_impossible: true, plausible_answers: [{ text: "Hale" }] },
            ],
          },
        ],
      },
    ],
  };
  for (const [name, value] of [
    ["v2.json", v2],
    ["v2.jsonl", lines(who, row(3, "Why?", { text: [], answer_start: [] }))],
  ] as const) {
    const { passages, notes } = await loadDocuments([await write(name, value)]);
    assert.deepEqual(
      passages[0]?.questions.map(({ question }) => question),
      ["Who built it?"],
    );
    assert.ok(notes.includes("1 question without an answer left out"), notes.join("\n"));
  }
});

test("the same text in two files is learned once, under the first name, and answers to both", async () => {
  const first = await write("first.txt", `${mill}\n`);
  const second = await write("second.md", `${mill}  \n`);
  const questions = await write("about.jsonl", lines({ question: "When?", answer: "1788", passage: "second.md" }));
  const { passages, notes } = await loadDocuments([first, second], { questions });
  assert.deepEqual(
    passages.map(({ id, questions: asked }) => [id, asked.length]),
    [["first.txt", 1]],
  );
  assert.ok(
    notes.some((note) => note.includes("1 document has the text of another") && note.includes("second.md as ")),
  );
});

describe("what would be lost is refused by name", () => {
  const cases: readonly (readonly [value: unknown, message: RegExp])[] = [
    [{ messages: [{ role: "user", content: "hi" }] }, /"messages", a key of conversations/],
    [{ prompt: "a", completion: "b" }, /"prompt", a key of prompts/],
    [{ text: mill, instruction: "Say it", output: "It" }, /"instruction", a key of instructions/],
    [{ text: mill, questons: qas }, /expected "questions", got "questons"/],
    [{ text: mill, qusetion: "Who?", answer: "Hale" }, /expected "question", got "qusetion"/],
    [{ text: mill, anwsers: ["Hale"] }, /expected "answers", got "anwsers"/],
    [{ text: mill, context: "Another." }, /one of "context" and "text"/],
    [{ text: mill, Text: "Another." }, /one "text", got two/],
    [{ text: mill, question: "Who?" }, /an "answer" to the question, got none/],
    [{ text: mill, answer: "Hale" }, /a non-empty "question", got none/],
    [{ text: mill, questions: ["Who?"] }, /questions\.0: expected \{"question", "answer"\}, got string/],
    [{ text: mill, questions: [{ question: "Who?", answer: "" }] }, /got an empty one/],
    [
      { text: mill, questions: [{ question: "Who?", answer: "Hale", use: "exam" }] },
      /"use" to be selection, report, both/,
    ],
    [
      { article: mill, question: "Who?", options: ["a", "b"], answer: "A" },
      /"options", a key of questions of several choices/,
    ],
    [{ context: [["T", ["a"]]], question: "Who?", answer: "x" }, /a list under "context"/],
    [{ context: [mill, mill], question: ["Who?"] }, /a column of 2 values under "question"/],
    [["a text"], /expected \{"title", "context".*got string/],
    [{ text: mill, qa_pairs: [] }, /got "qa_pairs"/],
    [{ text: mill, quiz: [{ Question: "Who?", Answer: "Hale" }] }, /got "quiz"/],
    [{ text: mill, question: "Who?", goldAnswer: "Hale" }, /got "goldAnswer"/],
    [
      { story: `${mill} `.repeat(6), question: "Who?", answer: "Hale" },
      /a text under "context", got one under "story"/,
    ],
    [{ url: "x" }, /"context".*got "url"/],
    [{ data: [{ context: mill }], questions: qas }, /texts and questions inside "data", got "questions" beside it/],
    [{ text: "Above.", rows: [{ context: mill }] }, /inside "rows", got "text" beside it/],
    [{ title: "T", paragraphs: [{ context: mill }], qas }, /inside "paragraphs", got "qas" beside it/],
    [{ data: [{ context: mill }], rows: [{ context: mill }] }, /got "(?:rows|data)" beside it/],
    [{ context: mill, question: "When?", answers: "{'text': ['1788'], 'answer_start': [34]}" }, /answer/],
  ];
  for (const [index, [value, message]] of cases.entries())
    test(JSON.stringify(value).slice(0, 60), async () => {
      await assert.rejects(loadPassages([await write(`wrong-${index}.json`, value)]), message);
    });
  test("UTF-16 and UTF-32 that cannot be told", async () => {
    const blind = await write("blind.txt", Buffer.from("plain words", "utf16le"));
    await assert.rejects(loadPassages([blind]), /UTF-16LE without a byte order mark.*iconv -f UTF-16LE/);
    const wide = await write("wide.txt", Uint8Array.of(0xff, 0xfe, 0, 0, 65, 0, 0, 0));
    await assert.rejects(loadPassages([wide]), /UTF-32/);
    const broken = await write("broken.txt", Uint8Array.of(0xfe, 0xff, 0xd8, 0x00));
    await assert.rejects(loadPassages([broken]), /broken UTF-16BE/);
  });
});

test("plain data about a text is not used, and said", async () => {
  const { passages, notes } = await loadDocuments([
    await write(
      "plain.jsonl",
      lines({ text: mill, url: "x", tags: ["a"], metadata: { page: 1 } }, { text: "Two.", url: "y" }),
    ),
  ]);
  assert.equal(passages.length, 2);
  assert.ok(notes.includes('keys that are not used: "url" (2), "tags" (1), "metadata" (1)'), notes.join("\n"));
});
