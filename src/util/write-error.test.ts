/** @file Errors of the system, and of SQLite, in the words of the project. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { SelkieError } from "./errors.ts";
import { guardWrite, guardWriteAsync, makeDirectory, systemErrorCode, writeFailure } from "./write-error.ts";

const folder = mkdtempSync(join(tmpdir(), "selkie-write-error-"));
after(() => rmSync(folder, { recursive: true }));

const isWriteFailure = (path: string, code: string, cure: RegExp) => (error: unknown) => {
  assert.ok(error instanceof SelkieError);
  assert.equal(error.code, "write-failed");
  assert.equal(error.isInputError, false);
  assert.ok(error.message.startsWith(`${path}: could not be written (${code}); `), error.message);
  assert.match(error.message, cure);
  assert.ok(error.cause instanceof Error);
  return true;
};

test("a real refusal of the system names the path, the code and what to do", async () => {
  const file = join(folder, "file");
  writeFileSync(file, "");
  const below = join(file, "below");
  assert.throws(
    () => guardWrite(below, () => mkdirSync(below)),
    isWriteFailure(below, "ENOTDIR", /is a file and not a folder/),
  );
  await assert.rejects(
    guardWriteAsync(below, () => mkdir(below, { recursive: true })),
    isWriteFailure(below, "ENOTDIR", /name another place/),
  );
  assert.throws(
    () => guardWrite(folder, () => writeFileSync(folder, "")),
    isWriteFailure(folder, "EISDIR", /a folder/),
  );
  assert.equal(
    guardWrite(file, () => 3),
    3,
  );
});

test("every code that a write may end with has its own cure, others a general one", () => {
  const failed = (code: string) => writeFailure("p", Object.assign(new Error(code), { code })) as SelkieError;
  for (const [code, cure] of [
    ["ENOSPC", /free some disk space/],
    ["EROFS", /read-only/],
    ["EACCES", /permissions/],
    ["EMFILE", /ulimit -n/],
    ["EIO", /disk reported an error/],
    ["EXDEV", /can be written/],
  ] as const)
    isWriteFailure("p", code, cure)(failed(code));
});

test("errors that are no refusal of the system pass as they are", () => {
  const bug = new TypeError("x is not a function");
  assert.equal(writeFailure("p", bug), bug);
  const told = new SelkieError("bad-file", "told");
  assert.equal(writeFailure("p", told), told);
  assert.equal(systemErrorCode(Object.assign(new Error("x"), { code: "ERR_INVALID_ARG_TYPE" })), null);
  assert.equal(systemErrorCode("ENOSPC"), null);
});

test("SQLite's own words for a full or closed disk are understood, extended codes too", () => {
  const sqlite = (errcode: number) => Object.assign(new Error("x"), { code: "ERR_SQLITE_ERROR", errcode });
  assert.equal(systemErrorCode(sqlite(13)), "ENOSPC");
  assert.equal(systemErrorCode(sqlite(8 | (5 << 8))), "EROFS"); // SQLITE_READONLY_DIRECTORY is 8 | 6 << 8; any extension counts
  assert.equal(systemErrorCode(sqlite(14)), "EACCES");
  assert.equal(systemErrorCode(sqlite(26)), null, "a file that is no database is another fault");
});

test("folders are made with those on the way, and a file in the way is told as such", () => {
  const deep = join(folder, "a", "b", "c");
  makeDirectory(deep);
  makeDirectory(deep);
  assert.ok(statSync(deep).isDirectory());
  writeFileSync(join(folder, "in-the-way"), "");
  const below = join(folder, "in-the-way", "d", "e");
  assert.throws(() => makeDirectory(below), isWriteFailure(below, "ENOTDIR", /is a file and not a folder/));
  const file = join(folder, "in-the-way");
  assert.throws(() => makeDirectory(file), isWriteFailure(file, "EEXIST", /something else stands there/));
});
