/** @file Every published table that has a record is what the record gives, intervals included: the JSON and the Markdown. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { experiments } from "../src/cli/experiments/index.ts";
import { readRecord } from "../src/cli/experiments/recompute.ts";
import { findResult, isResultName, largestPlain, readResult } from "../src/cli/experiments/result-file.ts";
import { describeReport, formatJson } from "../src/cli/experiments/write.ts";

const folder = fileURLToPath(new URL("../docs/results/", import.meta.url));
const ending = ".trials.json";
const names = readdirSync(folder)
  .filter((file) => isResultName(file) && file.includes(ending))
  .map((file) => file.slice(0, file.indexOf(ending)));

/** What a file may hold before it should be split or left to a release. */
const largestRecord = 400_000;

describe("published tables", () => {
  test("that are long are packed", () => {
    const long = readdirSync(folder).filter(
      (file) => file.endsWith(".json") && statSync(`${folder}${file}`).size > largestPlain,
    );
    assert.deepEqual(long, [], "run selkie experiment pack on them");
  });

  test("the headline has a record", () => assert.ok(names.includes("single-passage")));

  for (const name of names)
    test(`${name} is what its record gives`, async () => {
      const file = `${folder}${name}${ending}`;
      assert.ok(statSync(findResult(file)!).size <= largestRecord, "short enough for a repository");
      const { experiment, origin, record } = readRecord(file);
      const found = experiments.find((one) => one.name === experiment);
      assert.ok(found?.tabulate !== undefined, experiment);
      const { tables } = await found.tabulate(record as never);
      const saved = JSON.parse(readResult(`${folder}${name}.json`)) as { tables: object };
      assert.equal(formatJson({ tables }), formatJson({ tables: saved.tables }));
      assert.equal(readFileSync(`${folder}${name}.md`, "utf8").trimEnd(), describeReport(name, origin, tables));
    });
});
