import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type AuditHead, checkHead, emptyHead, headAfter, nextLine, readAuditLog } from "./audit.ts";
import { digestOf } from "./digests.ts";

/** A log of five entries and its head. */
function writeLog(): { readonly lines: readonly string[]; readonly head: AuditHead } {
  let head = emptyHead;
  const lines = ["one", "two", "three", "four", "five"].map((what) => {
    const line = nextLine(head, 1000, { type: "note", what });
    head = headAfter(head, line);
    return line;
  });
  return { lines, head };
}

const toText = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join("");

describe("the audit log", () => {
  const { lines, head } = writeLog();

  test("carries in each line the SHA-256 of the line before it", () => {
    const entries = readAuditLog(toText(lines));
    assert.deepEqual(
      entries.map(({ sequence, previous }) => [sequence, previous]),
      lines.map((_, index) => [index + 1, index === 0 ? "0".repeat(64) : digestOf(lines[index - 1]!)]),
    );
    assert.equal(lines[0], `{"previous":"${"0".repeat(64)}","sequence":1,"time":1000,"type":"note","what":"one"}`);
    checkHead(toText(lines), head);
  });

  const damaged: readonly (readonly [what: string, lines: readonly string[], message: RegExp])[] = [
    ["an edited line", lines.with(1, lines[1]!.replace("two", "too")), /line 3: does not follow/],
    [
      "two lines in another order",
      lines.with(1, lines[2]!).with(2, lines[1]!),
      /line 2: expected entry 2, got entry 3/,
    ],
    ["a deleted line", lines.toSpliced(2, 1), /line 3: expected entry 3, got entry 4/],
    ["a deleted first line", lines.slice(1), /line 1: expected entry 1, got entry 2/],
    ["a line that is no JSON", lines.with(3, "{"), /line 4: expected a JSON object/],
  ];
  for (const [what, changed, message] of damaged)
    test(`shows ${what}`, () => assert.throws(() => readAuditLog(toText(changed)), { code: "audit-broken", message }));

  test("shows a cut tail, a torn line, lines added from outside, and an edited last line, by its head", () => {
    assert.equal(readAuditLog(toText(lines.slice(0, 3))).length, 3, "the chain alone cannot see it");
    assert.throws(() => checkHead(toText(lines.slice(0, 3)), head), {
      message: /expected 5 lines, got 3; its end was cut off/,
    });
    assert.throws(() => readAuditLog(toText(lines).slice(0, -1)), { message: /torn/ });
    const more = [...lines, nextLine(head, 1, { type: "note" })];
    assert.throws(() => checkHead(toText(more), head), { message: /added from outside/ });
    const edited = lines.with(4, lines[4]!.replace("five", "nine"));
    assert.equal(readAuditLog(toText(edited)).length, 5, "no line follows that would show it");
    assert.throws(() => checkHead(toText(edited), head), { message: /is not the line that was written last/ });
  });
});
