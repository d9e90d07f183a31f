import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { experiments } from "./index.ts";
import { redrawResults } from "./redraw.ts";
import { findResult, largestPlain, packResult, readResult, unpackResult, writeResult } from "./result-file.ts";
import { writeReport } from "./write.ts";

const root = mkdtempSync(join(tmpdir(), "selkie-results-"));
after(() => rmSync(root, { recursive: true }));
let numFolders = 0;
const place = (): string => mkdtempSync(join(root, `${numFolders++}-`));
const long = JSON.stringify(Array.from({ length: largestPlain / 2 }, (_, index) => index % 997));

test("short text stays plain, long text is packed, and each takes the other's place", () => {
  const path = join(place(), "a.json");
  assert.equal(writeResult(path, "[1]"), path);
  assert.equal(readFileSync(path, "utf8"), "[1]");
  assert.equal(writeResult(path, long), `${path}.gz`);
  assert.ok(!existsSync(path));
  assert.equal(gunzipSync(readFileSync(`${path}.gz`)).toString(), long);
  assert.ok(readFileSync(`${path}.gz`).length < long.length / 2);
  for (const name of [path, `${path}.gz`]) assert.equal(readResult(name), long);
  assert.equal(writeResult(path, "[2]"), path);
  assert.ok(!existsSync(`${path}.gz`));
  assert.equal(readResult(path), "[2]");
});

test("equal text gives equal bytes, with no time and no system in them", () => {
  const [first, second] = [place(), place()].map((folder) => readFileSync(writeResult(join(folder, "a.json"), long)));
  const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
  assert.equal(digest(first!), digest(second!));
  assert.deepEqual([...first!.subarray(0, 3), ...first!.subarray(4, 8), first![9]], [31, 139, 8, 0, 0, 0, 0, 255]);
});

test("what was unpacked is packed into the same bytes again", () => {
  const path = join(place(), "a.trials.json");
  const packed = readFileSync(writeResult(path, long));
  assert.equal(unpackResult(`${path}.gz`), path);
  assert.equal(readFileSync(path, "utf8"), long);
  assert.equal(packResult(path), `${path}.gz`);
  assert.deepEqual(readFileSync(`${path}.gz`), packed);
  assert.throws(() => unpackResult(path), /expected packed results/);
  assert.throws(() => packResult(`${path}.gz`), /expected plain results/);
});

test("what is missing or no gzip is refused in words", () => {
  const folder = place();
  assert.throws(() => readResult(join(folder, "a.json")), { code: "missing-file" });
  assert.equal(findResult(join(folder, "a.json")), null);
  writeFileSync(join(folder, "a.json.gz"), "no");
  assert.throws(() => readResult(join(folder, "a.json")), { code: "bad-file", message: /expected gzip/ });
});

test("a report that is long is packed, and its pictures are drawn from the packed file again", async () => {
  const folder = place();
  const [{ name }] = experiments as [(typeof experiments)[number]];
  const origin = { command: `selkie experiment ${name}`, machine: "m", seconds: 1 };
  const bar = { name: "x", unit: "percent" as const };
  const table = { title: "T", caption: "C", columns: [bar], rows: [{ name: "r", cells: [0.5] }], drawn: "x" };
  const text = writeReport(folder, "toy", origin, { tables: [table], data: { figures: JSON.parse(long) } });
  assert.match(text, /toy\.\{json\.gz,md,svg\}$/);
  assert.deepEqual(readdirSync(folder).sort(), ["toy.json.gz", "toy.md", "toy.svg"]);
  const drawn = readFileSync(join(folder, "toy.svg"), "utf8");
  rmSync(join(folder, "toy.svg"));
  assert.deepEqual(await redrawResults([folder], [{ name }]), [join(folder, "toy.svg")]);
  assert.equal(readFileSync(join(folder, "toy.svg"), "utf8"), drawn);
});
