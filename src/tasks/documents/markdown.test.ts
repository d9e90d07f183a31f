import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readMarkdown } from "./markdown.ts";

const cases = (rows: readonly (readonly [what: string, source: string, title: string, text: string])[]) => {
  for (const [what, source, title, text] of rows)
    test(what, () => {
      const read = readMarkdown(source);
      assert.deepEqual([read.title, read.text], [title, text]);
    });
};

describe("front matter is not text", () => {
  cases([
    [
      "YAML",
      "---\ntitle: Seals\ndate: 2026-01-02\ntags: [sea, draft]\n---\n# Seals\n\nThey dive.\n",
      "Seals",
      "They dive.",
    ],
    [
      "YAML with a quoted title",
      "---\ntags:\n  - a\ntitle: 'Seals: a life'\n---\nThey dive.",
      "Seals: a life",
      "They dive.",
    ],
    ["YAML with a folded title", "---\ntitle: >-\n  Seals\n  and men\n---\nThey dive.", "Seals and men", "They dive."],
    ["YAML closed by dots", "---\ntitle: Seals\n...\nThey dive.", "Seals", "They dive."],
    [
      "YAML with a key in capitals and spaces after the lines",
      "---  \nTitle: 1984\n---\t\nThey dive.",
      "1984",
      "They dive.",
    ],
    [
      "YAML that breaks its law",
      "---\ntitle: Seals: a life\ntags: [sea\n---\nThey dive.",
      "Seals: a life",
      "They dive.",
    ],
    ["no title, then the heading", "---\ndate: 2026-01-02\n---\n\n# Seals\nThey dive.", "Seals", "They dive."],
    ["comments alone", "---\n# nothing yet\n---\nThey dive.", "", "They dive."],
    [
      "TOML",
      '+++\ntitle = "Seals \\"at sea\\""\ndate = 2026-01-02\n[extra]\ntitle = "no"\n+++\nThey dive.',
      'Seals "at sea"',
      "They dive.",
    ],
    ["JSON", '{\n  "title": "Seals }",\n  "tags": ["a{"]\n}\n\nThey dive.', "Seals }", "They dive."],
    [
      "another title than the heading's",
      "---\ntitle: Seals\n---\n# On seals\n\nThey dive.",
      "Seals",
      "# On seals\n\nThey dive.",
    ],
    ["YAML below blank lines, as pandoc takes it", "\n \t\n---\ntitle: Seals\n---\nThey dive.", "Seals", "They dive."],
    ["TOML below a blank line", '\n+++\ntitle = "Seals"\n+++\nThey dive.', "Seals", "They dive."],
    ["nothing below it", "---\ntitle: Seals\n---\n", "Seals", ""],
  ]);
});

describe("what only looks like front matter stays", () => {
  cases([
    ["a line across the page", "---\n\nThey dive.\n\n---\n\nThey rest.", "", "---\n\nThey dive.\n\n---\n\nThey rest."],
    ["prose between lines", "---\nThey dive.\nThey rest.\n---\nMore.", "", "---\nThey dive.\nThey rest.\n---\nMore."],
    [
      "a dialogue between lines",
      "---\nANN: Who?\nBEN: I.\nANN: You?\n---\nMore.",
      "",
      "---\nANN: Who?\nBEN: I.\nANN: You?\n---\nMore.",
    ],
    [
      "metadata of MultiMarkdown, a paragraph to everybody else",
      "Title: Seals\nAuthor: Ann Fox\n\nThey dive.",
      "",
      "Title: Seals\nAuthor: Ann Fox\n\nThey dive.",
    ],
    ["a title block of pandoc", "% Seals\n% Ann Fox\n\nThey dive.", "", "% Seals\n% Ann Fox\n\nThey dive."],
    ["a line across the page below a blank line", "\n---\n\nThey dive.", "", "---\n\nThey dive."],
    ["a head below text", "They dive.\n\n---\ntitle: Seals\n---", "", "They dive.\n\n---\ntitle: Seals\n---"],
    ["a head without an end", "---\ntitle: Seals\nThey dive.", "", "---\ntitle: Seals\nThey dive."],
    ["a list of YAML", "---\n- a\n- b\n---\nMore.", "", "---\n- a\n- b\n---\nMore."],
    ["plus signs", "+++\nno toml here\n+++\nMore.", "", "+++\nno toml here\n+++\nMore."],
    ["braces", "{not json}\nMore.", "", "{not json}\nMore."],
    ["JSON with text on its last line", '{"a": 1} is an object.', "", '{"a": 1} is an object.'],
  ]);
});

describe("the title is that of", () => {
  cases([
    ["the heading at the top", "\n# Seals #\n\nThey dive.\n", "Seals", "They dive."],
    ["a setext heading", "Seals\n=====\n\nThey dive.", "Seals", "They dive."],
    [
      "the only heading of the first level, which stays",
      "A draft.\n\n# Seals\nThey dive.",
      "Seals",
      "A draft.\n\n# Seals\nThey dive.",
    ],
    ["nobody where there are two below", "A.\n\n# B\nC.\n\n# D\nE.", "", "A.\n\n# B\nC.\n\n# D\nE."],
    ["nobody where a # stands in code", "A.\n\n```sh\n# B\n```", "", "A.\n\n```sh\n# B\n```"],
    ["nobody where a line is no heading", "#Seals\n## Two\nThey dive.", "", "#Seals\n## Two\nThey dive."],
  ]);
});
