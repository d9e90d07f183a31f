import { strict as assert } from "node:assert";
import { test } from "node:test";
import { SelkieError, ShapeError } from "./errors.ts";

test("an error tells programs its code, people its message, and keeps its cause", () => {
  const cause = new Error("disk full");
  const error = new SelkieError("bad-file", "load: expected JSON, got nothing; check the path", { cause });
  assert.equal(error.code, "bad-file");
  assert.equal(error.name, "SelkieError");
  assert.equal(error.cause, cause);
});

test("errors of the input are told from errors of the work", () => {
  assert.equal(new SelkieError("bad-option", "x").isInputError, true);
  assert.equal(new SelkieError("disposed", "x").isInputError, false);
  assert.equal(new ShapeError("linear: x", "[2]", "[3]").isInputError, true);
});

test("a shape error reads: who, expected, got, hint", () => {
  assert.equal(new ShapeError("linear: x", "[2]", "[3]").message, "linear: x: expected [2], got [3]");
  assert.equal(
    new ShapeError("linear: x", "[2]", "[3]", "do this").message,
    "linear: x: expected [2], got [3]; do this",
  );
});
