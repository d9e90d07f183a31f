/** @file Results on disk: every figure in JSON, tables a person can read, bars with intervals. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import type { ResultTable } from "../../lab/index.ts";
import { displayWidth } from "../columns.ts";
import { redrawResults } from "./redraw.ts";
import {
  describeInTerminal,
  describeResultTable,
  drawResultTable,
  formatCell,
  formatJson,
  writeReport,
} from "./write.ts";

const folder = mkdtempSync(join(tmpdir(), "selkie-report-"));
after(() => rmSync(folder, { recursive: true }));

const table: ResultTable = {
  title: "Two arms",
  caption: "On nobody.",
  columns: [
    { name: "right", unit: "percent" },
    { name: "over base", unit: "points" },
    { name: "tokens", unit: "number" },
  ],
  rows: [
    { name: "base", cells: [{ mean: 0.1, low: 0.05, high: 0.15 }, null, 0] },
    { name: "edit", cells: [{ mean: 0.5, low: 0.4, high: 0.625 }, { mean: 0.4, low: -0.02, high: 0.5 }, 1234] },
  ],
  drawn: "right",
};

describe("a report", () => {
  test("writes cells as their unit says", () => {
    assert.equal(formatCell({ mean: 0.5, low: 0.4, high: 0.625 }, { name: "", unit: "percent" }), "50.0 [40.0, 62.5]");
    assert.equal(formatCell({ mean: 0.4, low: -0.02, high: 0.5 }, { name: "", unit: "points" }), "+40.0 [-2.0, 50.0]");
    assert.equal(formatCell(1.23456, { name: "", unit: "number", digits: 3 }), "1.235");
    assert.equal(formatCell(null, { name: "", unit: "number" }), "–");
  });

  test("is Markdown with one line per row", () => {
    assert.deepEqual(describeResultTable(table).split("\n").slice(4), [
      "|  | right, % | over base, points | tokens |",
      "| --- | ---: | ---: | ---: |",
      "| base | 10.0 [5.0, 15.0] | – | 0 |",
      "| edit | 50.0 [40.0, 62.5] | +40.0 [-2.0, 50.0] | 1234 |",
    ]);
  });

  test("fits terminals of 50, 80 and 120 columns, every published table too", () => {
    const results = new URL("../../../docs/results/", import.meta.url);
    const published = readdirSync(results)
      .filter((name) => name.endsWith(".json"))
      .flatMap((name) => {
        const saved = JSON.parse(readFileSync(new URL(name, results), "utf8")) as { tables?: ResultTable[] };
        return saved.tables ?? [];
      });
    assert.ok(published.length > 10);
    for (const each of [table, ...published])
      for (const width of [50, 80, 120])
        for (const line of describeInTerminal(each, width).split("\n")) assert.ok(displayWidth(line) <= width, line);
    assert.match(describeInTerminal(table, 50), /^edit\n {2}right, % +50\.0 \[40\.0, 62\.5\]$|^edit +50\.0/m);
  });

  test("draws a bar for each row that has a share, and nothing where no column is named", () => {
    assert.equal(drawResultTable(table)!.match(/<rect [^>]*fill-opacity/g)?.length, 2);
    assert.equal(drawResultTable({ ...table, drawn: null }), null);
  });

  test("keeps JSON short: five digits, leaves on a line, strings as they are", () => {
    const value = { list: [1, 0.123456789, null], text: "a [ 1,\n 2 ] b", deep: [["x"], { a: "{\n", b: [] }] };
    assert.deepEqual(JSON.parse(formatJson(value)), { ...value, list: [1, 0.12346, null] });
    assert.match(formatJson(value), /"list": \[ 1, 0\.12346, null \]/);
  });

  test("leaves JSON, Markdown and picture behind", () => {
    const origin = { command: "selkie experiment x", machine: "none", seconds: 5 };
    const text = writeReport(folder, "x", origin, { tables: [table], data: { perPassage: [1, 2] } });
    assert.deepEqual(readdirSync(folder).sort(), ["x.json", "x.md", "x.svg"]);
    const saved = JSON.parse(readFileSync(join(folder, "x.json"), "utf8")) as Record<string, unknown>;
    assert.deepEqual([saved["perPassage"], saved["command"], saved["tables"]], [[1, 2], origin.command, [table]]);
    assert.ok(readFileSync(join(folder, "x.md"), "utf8").includes(describeResultTable(table)));
    assert.ok(text.startsWith(describeInTerminal(table)) && text.endsWith(`${join(folder, "x")}.{json,md,svg}`));
  });

  test("is drawn again from its file alone, to the byte; other files are passed over or refused", async () => {
    const place = join(folder, "redraw");
    const origin = { command: "selkie experiment x --seed 3", machine: "none", seconds: 5 };
    writeReport(place, "x", origin, { tables: [table], data: {} });
    const first = readFileSync(join(place, "x.svg"), "utf8");
    rmSync(join(place, "x.svg"));
    writeFileSync(join(place, "other.json"), '{"rows": []}');
    writeFileSync(join(place, "broken.json"), "{");
    assert.deepEqual(await redrawResults([place], [{ name: "x" }]), [join(place, "x.svg")]);
    assert.equal(readFileSync(join(place, "x.svg"), "utf8"), first);
    for (const wrong of ["other.json", "broken.json", "none.json"])
      await assert.rejects(redrawResults([join(place, wrong)], [{ name: "x" }]), { code: "bad-file" });
    const own = { name: "x", draw: (saved: object) => ({ own: JSON.stringify(Object.keys(saved)) }) };
    assert.deepEqual(await redrawResults([join(place, "x.json")], [own]), [join(place, "x-own.svg")]);
    assert.match(readFileSync(join(place, "x-own.svg"), "utf8"), /"tables"/);
  });
});
