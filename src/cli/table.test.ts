/** @file Tables fit whatever terminal there is, by the width that is seen, and lose nothing by it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { displayWidth, outputColumns, pad, shorten, wrapText } from "./columns.ts";
import { formatTable } from "./table.ts";

const answers = [
  ["question", "right answer", "before", "raw text", "self-edits"],
  ["In what town was Leonard Lyons born?", "Newhaven", "· Larkhill", "· Bexcliff", "✓ Newhaven"],
  ["東京で生まれたのは誰ですか。教えてください。", "猫 🐈", "· (nothing)", "· Cadwell Stores", "✓ 猫 🐈"],
];

describe("a table", () => {
  test("stands as it is where there is room", () => {
    assert.equal(formatTable([["name", "n"], ["a", "10"], ["猫", "9"]], [1], { width: 80 }), "name   n\na     10\n猫     9"); // biome-ignore format: one line
  });

  test("breaks text between words where that is enough", () => {
    assert.equal(
      formatTable([["id", "why"], ["1", "the gate lets it through for now"]], [], { width: 24 }),
      "id  why\n1   the gate lets it\n    through for now",
    ); // biome-ignore format: one call
  });

  test("stacks fields under each other where columns would be too narrow, with the names of their columns", () => {
    assert.equal(
      formatTable(answers.slice(0, 2), [], { width: 50 }),
      [
        "In what town was Leonard Lyons born?",
        "  right answer  Newhaven",
        "  before        · Larkhill",
        "  raw text      · Bexcliff",
        "  self-edits    ✓ Newhaven",
      ].join("\n"),
    );
    assert.equal(formatTable([["round", "kinds"], ["2", "x".repeat(40)]], [0], { width: 30 }).split("\n")[0], "round  kinds"); // biome-ignore format: one line
  });

  test("fits 50, 80 and 120 columns and keeps every word, CJK and emoji included", () => {
    const cell = fc.oneof(
      fc.constantFrom(
        "",
        "12 %",
        "71.3 [69.7, 73.0]",
        "Cadwell Stores",
        "f".repeat(64),
        "漢字かな交じり文",
        "👩‍👩‍👧 family",
        "é́",
      ),
      fc.lorem({ maxCount: 9 }),
    );
    const table = fc.integer({ min: 1, max: 10 }).chain((columns) =>
      fc.record({
        head: fc.array(fc.constantFrom("kept", "over untrained", "right after one edit", ""), {
          minLength: columns,
          maxLength: columns,
        }),
        rows: fc.array(fc.array(cell, { minLength: columns, maxLength: columns }), { minLength: 1, maxLength: 5 }),
        right: fc.subarray([1, 2, 3].filter((column) => column < columns)),
      }),
    );
    const solid = (text: string) => [...text.replace(/\s/g, "")].toSorted().join("");
    fc.assert(
      fc.property(table, fc.constantFrom(50, 80, 120), fc.boolean(), ({ head, rows, right }, width, hasHead) => {
        const text = formatTable([head, ...rows], right, { width, hasHead });
        for (const line of text.split("\n")) assert.ok(displayWidth(line) <= width, line);
        const letters = solid(text);
        for (const row of rows) for (const each of row) assert.ok(each === "" || letters.length >= solid(each).length);
        if (text.includes("\n") && rows[0]![0] !== "")
          assert.ok(solid(text).length >= solid(rows.flat().join("")).length);
      }),
      { numRuns: 300 },
    );
    for (const width of [50, 80, 120])
      for (const line of formatTable(answers, [], { width }).split("\n")) assert.ok(displayWidth(line) <= width, line);
  });
});

describe("columns", () => {
  test("of COLUMNS, of the terminal, or without end", () => {
    assert.equal(outputColumns({ COLUMNS: "50" }, { isTTY: true, columns: 90 }), 50);
    assert.equal(outputColumns({}, { isTTY: true, columns: 90 }), 90);
    for (const COLUMNS of ["", "0", "-5", "x", "7", "1e9999"])
      assert.equal(outputColumns({ COLUMNS }, {}), Number.POSITIVE_INFINITY);
  });

  test("text is measured, cut, filled and broken as it is seen", () => {
    assert.deepEqual(["abc", "漢字", "👩‍👩‍👧", "é"].map(displayWidth), [3, 4, 2, 1]);
    assert.equal(shorten("漢字かな", 5), "漢字…");
    assert.equal(shorten(" two\nlines ", 20), "two lines");
    assert.equal(pad("猫", 4, true), "  猫");
    assert.deepEqual(wrapText("  one two three", 9), ["  one two", "  three"]);
    assert.deepEqual(wrapText("see runs/adapt-0123456789 there", 12), ["see", "runs/adapt-0123456789", "there"]);
    assert.deepEqual(wrapText("abcdefgh", 3, true), ["abc", "def", "gh"]);
  });
});
