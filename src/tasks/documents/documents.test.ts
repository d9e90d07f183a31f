import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { attachQuestions, loadPassages } from "./index.ts";

let folder = "";
const write = async (name: string, content: string | Uint8Array): Promise<string> => {
  await writeFile(join(folder, name), content);
  return join(folder, name);
};
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "selkie-documents-"));
});
after(() => rm(folder, { recursive: true }));

describe("documents are read", () => {
  test("text, Markdown with its heading as title, and JSON lines", async () => {
    const files = [
      await write("a.txt", "\uFEFFplain text\r\nsecond line\n"),
      await write("b.md", "# Otters\n\nThey swim.\n"),
      await write(
        "c.jsonl",
        '{"text": "one"}\n\n{"title": "T", "context": "two", "questions": [{"question": "q?", "answer": ["a", "b"]}]}\n',
      ),
    ];
    const passages = await loadPassages(files);
    assert.deepEqual(
      passages.map(({ id, title, context }) => [id, title, context]),
      [
        ["a.txt", "", "plain text\nsecond line"],
        ["b.md", "Otters", "They swim."],
        ["c.jsonl#1", "", "one"],
        ["c.jsonl#2", "T", "two"],
      ],
    );
    assert.deepEqual(passages[3]?.questions, [{ question: "q?", answer: "a", use: "both" }]);
  });
  test("both SQuAD shapes", async () => {
    const flat = await write(
      "flat.json",
      JSON.stringify([{ title: "A_B", context: "c", questions: [{ question: "q", answer: "a" }] }]),
    );
    const official = await write(
      "official.json",
      JSON.stringify({
        data: [{ title: "A_B", paragraphs: [{ context: "c", qas: [{ question: "q", answers: [{ text: "a" }] }] }] }],
      }),
    );
    for (const file of [flat, official]) {
      const [passage] = await loadPassages([file]);
      assert.deepEqual([passage?.title, passage?.context, passage?.questions[0]?.answer], ["A B", "c", "a"]);
    }
  });
  test("a folder, sorted, other files ignored, and a limit", async () => {
    await mkdir(join(folder, "sub"));
    await write("sub/2.txt", "two");
    await write("sub/1.txt", "one");
    await write("sub/x.bin", new Uint8Array([0]));
    assert.deepEqual(
      (await loadPassages([join(folder, "sub")])).map(({ id }) => id),
      ["1.txt", "2.txt"],
    );
    assert.equal((await loadPassages([join(folder, "sub")], 1)).length, 1);
  });
});

describe("bad documents are refused by name", () => {
  const cases: [name: string, content: string | Uint8Array, message: RegExp][] = [
    ["empty.txt", "", /empty\.txt: expected text, got an empty file/],
    ["blank.txt", " \n\t", /blank\.txt: expected text, got white space only/],
    ["binary.txt", new Uint8Array([80, 75, 0, 4]), /binary\.txt: .*binary data/],
    [
      "latin.txt",
      Buffer.concat([Buffer.from("é is fine, then "), Buffer.from([0xe9, 0x20, 0x61])]),
      /latin\.txt: expected UTF-8 text, got an invalid byte at offset 17/,
    ],
    ["broken.json", "{", /broken\.json: expected JSON/],
    ["other.json", '{"a": 1}', /other\.json: .*context/],
    ["line.jsonl", '{"text": "ok"}\n{"text": ""}', /line\.jsonl:2: /],
    ["page.html", "<p>", /page\.html: expected \.md \.txt/],
  ];
  for (const [name, content, message] of cases)
    test(name, async () => {
      await assert.rejects(loadPassages([await write(name, content)]), message);
    });
  test("a folder without documents, and nothing at all", async () => {
    await mkdir(join(folder, "void"));
    await assert.rejects(loadPassages([join(folder, "void")]), /expected at least one of .md/);
    await assert.rejects(loadPassages([join(folder, "missing")]), /found nothing there/);
  });
});

describe("questions find their passages", () => {
  test("by id, or without one when there is one passage", async () => {
    const passages = await loadPassages([await write("p.txt", "text")]);
    const file = await write(
      "q.jsonl",
      '{"question": "q1", "answer": "a", "passage": "p.txt", "use": "report"}\n{"question": "q2", "answer": "b"}\n',
    );
    const [passage] = await attachQuestions(passages, file);
    assert.deepEqual(
      passage?.questions.map(({ question, use }) => [question, use]),
      [
        ["q1", "report"],
        ["q2", "both"],
      ],
    );
  });
  test("a question that names no passage is refused with the line and the names", async () => {
    const passages = await loadPassages([await write("p1.txt", "one"), await write("p2.txt", "two")]);
    const none = await write("none.jsonl", '{"question": "q", "answer": "a"}\n');
    await assert.rejects(
      attachQuestions(passages, none),
      /none\.jsonl:1: expected "passage" to name one of: p1\.txt, p2\.txt, got none/,
    );
    const wrong = await write("wrong.jsonl", '{"question": "q", "answer": "a", "passage": "p3.txt"}\n');
    await assert.rejects(attachQuestions(passages, wrong), /got "p3\.txt"/);
  });
});
