/** @file Undo: an alias is a stack of what served, with the base model at its bottom. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import fc from "fast-check";
import { openTestStore, passed, promoteTold, putRecord, told } from "../../test/support/store-steps.ts";
import type { Verdict } from "./record.ts";
import type { Store } from "./store.ts";
import { stackOf } from "./store-aliases.ts";
import { verifyStore } from "./store-verify.ts";

const root = mkdtempSync(join(tmpdir(), "selkie-undo-"));
after(() => rmSync(root, { recursive: true, force: true }));
let numStores = 0;
const freshStore = (): Store => openTestStore(join(root, `store-${numStores++}`), { clock: () => 1000, create: true });
const served = (store: Store): string | null => store.serve("current").record?.id ?? null;
const refused: Verdict = { outcome: "quarantine", reasons: ["odd"], details: null };

describe("undo", () => {
  test("promoting what serves changes nothing, so A, A, rollback is the base", async () => {
    using store = freshStore();
    const a = putRecord(store, "a");
    assert.equal((await promoteTold(store, a)).examination?.verdict.outcome, "promote");
    const { length } = store.head;
    const again = await promoteTold(store, a);
    assert.deepEqual([again.isServed, again.examination], [true, null]);
    assert.equal(store.head.length, length, "nothing was logged");
    assert.equal(store.rollback("current", "x").record, null);
    assert.throws(() => store.rollback("current", "x"), { message: /serves the base model alone/ });
  });

  test("A, B, A goes back through B and A to the base, and --to reaches each of them from anywhere", async () => {
    using store = freshStore();
    const [a, b] = [putRecord(store, "a"), putRecord(store, "b")];
    for (const id of [a, b, a]) await promoteTold(store, id);
    const back = () => store.rollback("current", "x").record?.id ?? null;
    assert.deepEqual([back(), back(), back()], [b, a, null]);
    assert.equal(store.rollback("current", "x", b).record?.id, b, "from the base too");
    assert.equal(store.rollback("current", "x", a).record?.id, a);
    assert.equal(back(), null, "B was rolled back, so A stands on the base");
    assert.equal(store.rollback("current", "x", b).record?.id, b);
    assert.equal(store.rollback("current", "x", "base").record, null);
    assert.throws(() => store.rollback("current", "x", "base"), { message: /serves the base model already/ });
    assert.throws(() => store.rollback("current", "x", putRecord(store, "c")), { message: /has served/ });
    assert.deepEqual(verifyStore(store).problems, []);
  });

  test("passes over what was put aside since, and serves it under no name", async () => {
    using store = freshStore();
    const [a, b, c] = ["a", "b", "c"].map((seed) => putRecord(store, seed)) as [string, string, string];
    for (const id of [a, b, c]) await promoteTold(store, id);
    store.rollback("current", "x"); // c out
    store.rollback("current", "x"); // b out
    await store.examine(b, told(refused));
    await promoteTold(store, c);
    assert.throws(() => store.rollback("current", "x", b), { message: /is quarantined: odd/ });
    assert.equal(store.rollback("current", "x").record?.id, a);
    assert.deepEqual(verifyStore(store).problems, []);
  });

  test("follows a model of ten lines through random sequences, and always ends at the base", async () => {
    const moves = fc.array(
      fc.oneof(
        fc.record({ act: fc.constant("promote" as const), of: fc.nat(2) }),
        fc.record({ act: fc.constant("back" as const), of: fc.constant(0) }),
        fc.record({ act: fc.constant("to" as const), of: fc.integer({ min: -1, max: 2 }) }),
      ),
      { maxLength: 8 },
    );
    await fc.assert(
      fc.asyncProperty(moves, async (sequence) => {
        using store = freshStore();
        const ids = [0, 1, 2].map((seed) => putRecord(store, `${seed}`));
        const once = new Set<number>();
        let stack: number[] = [-1]; // the base
        for (const { act, of } of sequence) {
          const top = stack.at(-1)!;
          const known = stack.slice(0, -1).lastIndexOf(of);
          let isDone = true;
          if (act === "promote") stack = of === top ? stack : [...stack, of];
          else if (act === "back" && top !== -1) stack = stack.slice(0, -1);
          else if (act === "to" && of !== top && known >= 0) stack = stack.slice(0, known + 1);
          else if (act === "to" && of !== top && once.has(of))
            stack = [...(top === -1 ? stack : stack.slice(0, -1)), of];
          else isDone = false;
          if (act === "promote") once.add(of);
          const step = async () => {
            if (act === "promote") await promoteTold(store, ids[of]!);
            else store.rollback("current", "x", act === "back" ? undefined : (ids[of] ?? "base"));
          };
          if (isDone) await step();
          else await assert.rejects(step, { name: "SelkieError" });
          if (once.size > 0) assert.equal(served(store), ids[stack.at(-1)!] ?? null);
          assert.deepEqual(
            stackOf(store.history("current")),
            stack.map((at) => ids[at] ?? null),
          );
        }
        for (let depth = stack.length - 1; depth > 0; depth--) store.rollback("current", "down");
        if (once.size > 0) assert.equal(served(store), null);
        assert.deepEqual(verifyStore(store).problems, []);
      }),
      { numRuns: 25, seed: 9 },
    );
  });
});

test("a verdict to promote is what promotes: the gate's other answers do not", async () => {
  using store = freshStore();
  for (const outcome of ["reject", "quarantine", "rescale"] as const) {
    const id = putRecord(store, outcome);
    const { isServed } = await promoteTold(store, id, "current", { ...passed, outcome });
    assert.equal(isServed, false);
  }
  assert.equal(store.alias("current"), undefined);
});
