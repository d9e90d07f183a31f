import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { writeFileAtomic, writeFileAtomicAsync, writeSections } from "./atomic-file.ts";

const root = mkdtempSync(join(tmpdir(), "selkie-atomic-"));
after(() => rmSync(root, { recursive: true }));
let numFolders = 0;
const place = (): string => join(root, `${numFolders++}`, "deep", "a.txt");
const namesBeside = (path: string): string[] => readdirSync(join(path, ".."));

test("sections stand one after another, in a folder that is made, and nothing is left beside them", async () => {
  const [now, later] = [place(), place()];
  writeFileAtomic(now, "one ", Buffer.from("two"));
  writeFileAtomic(now, "three ", Buffer.from("four"));
  await writeFileAtomicAsync(later, async (file) => {
    await file.writeFile("three ");
    await file.writeFile("four");
  });
  for (const path of [now, later]) {
    assert.equal(readFileSync(path, "utf8"), "three four");
    assert.deepEqual(namesBeside(path), ["a.txt"]);
  }
});

test("the old file stays where the new one cannot be finished", async () => {
  const path = place();
  writeFileAtomic(path, "old");
  await assert.rejects(
    writeFileAtomicAsync(path, async (file) => {
      await file.writeFile("ne");
      throw new Error("power cut");
    }),
    /power cut/,
  );
  assert.equal(readFileSync(path, "utf8"), "old");
  assert.deepEqual(namesBeside(path), ["a.txt"]);
});

test("a folder in the way is refused in words and left alone", () => {
  const path = place();
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, "b"), "");
  assert.throws(() => writeFileAtomic(path, "new"), { code: "write-failed", message: /folder/ });
  assert.deepEqual([namesBeside(path), readdirSync(path)], [["a.txt"], ["b"]]);
});

test("each step is told before it is done; one that ends there leaves what a kill would", () => {
  const path = place();
  writeFileAtomic(path, "old");
  const steps: string[] = [];
  const announce = (step: string): void => {
    steps.push(step);
    if (step.startsWith("rename")) throw new Error("killed");
  };
  assert.throws(() => writeSections(path, ["new"], { mode: 0o444, announce }), /killed/);
  const partial = `${path}.${process.pid}.partial`;
  assert.deepEqual(steps, [`write ${partial}`, `rename ${partial} to ${path}`]);
  assert.deepEqual([readFileSync(path, "utf8"), readFileSync(partial, "utf8")], ["old", "new"]);
  writeSections(path, ["newer"], { mode: 0o444 }); // over the read-only leftover
  assert.deepEqual([readFileSync(path, "utf8"), statSync(path).mode & 0o777], ["newer", 0o444]);
  assert.deepEqual(namesBeside(path), ["a.txt"]);
  chmodSync(path, 0o644);
});
