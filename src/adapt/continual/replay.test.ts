import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TrainDocument } from "../../train/index.ts";
import { createRng } from "../../util/index.ts";
import { mixDocuments } from "./replay.ts";

const rng = createRng("mix");
const named = (first: number, count: number): TrainDocument[] =>
  Array.from({ length: count }, (_, index) => ({ tokenIds: [first + index] }));
const idsOf = (documents: readonly TrainDocument[]): number[] => documents.map(({ tokenIds }) => tokenIds[0]!);
const loop = { epochs: 3, documentsPerStep: 1 };
const own = named(0, 2);

describe("old text beside an edit", () => {
  test("without a share, or without old text, an edit is learned as it is", () => {
    const base = named(100, 9);
    const none = { share: 0, earlierShare: 0.5, anchor: null };
    assert.deepEqual(mixDocuments(own, { base, earlier: [] }, none, loop, rng), { documents: own, ...loop });
    const half = { ...none, share: 0.5 };
    assert.deepEqual(mixDocuments(own, { base: [], earlier: [] }, half, loop, rng), { documents: own, ...loop });
  });

  test("two thirds, half of them earlier edits: by hand, and as many updates as without", () => {
    const mix = { share: 2 / 3, earlierShare: 0.5, anchor: null };
    const old = { base: named(100, 4), earlier: named(200, 50) };
    const { documents, epochs, documentsPerStep } = mixDocuments(own, old, mix, loop, rng);
    const ids = idsOf(documents);
    assert.deepEqual(ids.slice(0, 6), [0, 1, 0, 1, 0, 1]); // three epochs of two documents
    assert.equal(ids.length, 18); // and twice as many old ones
    const earlier = ids.filter((id) => id >= 200);
    const base = ids.filter((id) => id >= 100 && id < 200);
    assert.deepEqual([earlier.length, base.length], [6, 6]);
    assert.equal(new Set(earlier).size, 6, "nothing comes twice while there is more");
    assert.equal(new Set(base).size, 4, "all come before any comes again");
    assert.deepEqual([epochs, documentsPerStep, documents.length / documentsPerStep], [1, 3, 6]);
  });

  test("before there are earlier edits, or without samples of the base, the other kind stands in", () => {
    const mix = { share: 0.5, earlierShare: 0.5, anchor: null };
    const first = mixDocuments(own, { base: named(100, 9), earlier: [] }, mix, loop, rng);
    assert.ok(idsOf(first.documents.slice(6)).every((id) => id >= 100 && id < 200));
    const rest = mixDocuments(own, { base: [], earlier: named(200, 9) }, mix, loop, rng);
    assert.ok(idsOf(rest.documents.slice(6)).every((id) => id >= 200));
  });
});
