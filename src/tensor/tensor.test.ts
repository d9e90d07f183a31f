import { strict as assert } from "node:assert";
import { describe, test } from "node:test";
import { ShapeError } from "../util/index.ts";
import { createReferenceBackend } from "./backends/reference/index.ts";
import { fromBf16, readBf16, toBf16, viewAs, writeBf16 } from "./dtype.ts";
import { checkIndices, checkOffsets, checkShape, describeShape, isSameShape, numElements } from "./shape.ts";
import { createTensor, tensorOf, zeros } from "./tensor.ts";

const backend = createReferenceBackend();

describe("a tensor", () => {
  test("rounds what is written to its dtype and widens what is read", async () => {
    const values = [1, 1 / 3, -65504.5];
    assert.deepEqual([...tensorOf(backend, values, [3], "f64").readSync()], values);
    assert.deepEqual([...tensorOf(backend, values, [3]).readSync()], values.map(Math.fround));
    const rounded = await tensorOf(backend, values, [3], "bf16").read();
    assert.deepEqual([...rounded], [1, 0.333984375, -65536]); // 1.0101011 · 2^-2 rounds up in its eighth bit
  });

  test("reads a copy that later writes do not change", () => {
    using tensor = tensorOf(backend, [1, 2], [2]);
    const copy = tensor.readSync();
    tensor.write([3, 4]);
    assert.deepEqual([...copy], [1, 2]);
  });

  test("shares memory with its views and reshapes, which own nothing", () => {
    using tensor = zeros(backend, [2, 3]);
    using row = tensor.view(3, [3]);
    row.write([7, 8, 9]);
    assert.deepEqual([...tensor.reshape([3, 2]).readSync()], [0, 0, 0, 7, 8, 9]);
    row[Symbol.dispose]();
    assert.equal(tensor.readSync()[3], 7);
  });

  test("refuses views and writes that do not fit", () => {
    using tensor = zeros(backend, [2, 3]);
    assert.throws(() => tensor.view(4, [3]), { message: "view: expected at most 6 elements, got 4 + 3" });
    assert.throws(() => tensor.view(-1, [3]), ShapeError);
    assert.throws(() => tensor.reshape([4]), { message: "reshape: expected 6 elements, got [4]" });
    assert.throws(() => tensor.write([1, 2]), { message: "write: expected 6 values for [2, 3], got 2" });
  });

  test("cannot be used after disposal, and disposing twice does no harm", () => {
    const tensor = createTensor(backend, [2], "f32");
    tensor[Symbol.dispose]();
    tensor[Symbol.dispose]();
    assert.ok(tensor.isDisposed);
    assert.throws(() => tensor.readSync(), { code: "disposed", message: /tensor \[2\] used after disposal/ });
  });
});

describe("bf16", () => {
  const round = (value: number): number => fromBf16(toBf16(value));

  test("arrays are converted as single values are", () => {
    const patterns = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
    const widened = readBf16(patterns);
    for (const [bits, value] of widened.entries()) assert.ok(Object.is(value, fromBf16(bits)), `${bits}`);
    const near = Float64Array.from({ length: 3 * 65536 }, (_, i) => fromBf16(i >>> 2) * (1 + ((i & 3) * 2) / 1024));
    const narrowed = new Uint16Array(near.length);
    writeBf16(near, narrowed);
    assert.deepEqual(narrowed, Uint16Array.from(near, toBf16));
  });

  test("rounds to nearest, ties to even", () => {
    assert.equal(round(1 + 2 ** -8), 1); // tie: 1 has the even last bit
    assert.equal(round(1 + 3 * 2 ** -8), 1 + 2 ** -6); // tie: up to even
    assert.equal(round(1 + 2 ** -8 + 2 ** -20), 1 + 2 ** -7);
    assert.equal(round(-1 - 3 * 2 ** -8), -1 - 2 ** -6);
  });

  test("keeps zero's sign, infinities and NaN, and overflows to infinity", () => {
    assert.equal(toBf16(-0), 0x8000);
    assert.equal(round(Number.NEGATIVE_INFINITY), Number.NEGATIVE_INFINITY);
    assert.equal(round(3.4e38), Number.POSITIVE_INFINITY);
    assert.equal(round(-1e300), Number.NEGATIVE_INFINITY);
    assert.ok(Number.isNaN(round(Number.NaN)));
    // a NaN whose payload lies in the low bits alone must not become an infinity
    const [word] = new Float32Array(Uint32Array.of(0x7f800001).buffer);
    assert.ok(Number.isNaN(round(word!)));
  });

  test("keeps subnormals and rounds the smallest to zero", () => {
    assert.equal(round(2 ** -133), 2 ** -133); // smallest bf16 subnormal
    assert.equal(round(2 ** -134), 0); // tie with zero
    assert.equal(round(1.5 * 2 ** -134), 2 ** -133);
  });

  test("brings back every bit pattern", () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      const isNaNPattern = (bits & 0x7f80) === 0x7f80 && (bits & 0x7f) !== 0;
      assert.equal(toBf16(fromBf16(bits)), isNaNPattern ? bits | 0x40 : bits);
    }
  });

  test("is a view of two bytes per element", () => {
    const memory = new ArrayBuffer(16);
    assert.equal(viewAs("bf16", memory, 5).byteLength, 10);
    assert.equal(viewAs("f32", memory, 3).byteLength, 12);
    assert.equal(viewAs("f64", memory, 2).byteLength, 16);
  });
});

describe("shapes", () => {
  test("count, print and compare", () => {
    assert.equal(numElements([]), 1);
    assert.equal(numElements([2, 0, 3]), 0);
    assert.equal(describeShape([2, 3]), "[2, 3]");
    assert.ok(isSameShape([2, 3], [2, 3]));
    assert.ok(!isSameShape([2, 3], [2]));
  });

  test("say what was expected, what came and what to do", () => {
    checkShape("linear: x", [4, 3], [null, 3]);
    assert.throws(() => checkShape("linear: x", [4, 2], [null, 3], "its width is the layer's input size"), {
      name: "ShapeError",
      code: "shape-mismatch",
      expected: "[any, 3]",
      got: "[4, 2]",
      message: "linear: x: expected [any, 3], got [4, 2]; its width is the layer's input size",
    });
    assert.throws(() => checkShape("sum", [], [1]), { message: "sum: expected [1], got []" });
  });

  test("indices and offsets are checked at both ends", () => {
    checkIndices("rows", Int32Array.of(0, 3), 4);
    checkIndices("targets", Int32Array.of(-100, 3), 4, Number.NEGATIVE_INFINITY);
    assert.throws(() => checkIndices("rows", Int32Array.of(4), 4), {
      message: "rows: expected indices from 0 to 3, got 4 at position 0",
    });
    checkOffsets("segments", Int32Array.of(0, 0, 5), 2, 5);
    for (const wrong of [[0, 5], [0, 3, 4], [1, 3, 5], [0, 6, 5], []])
      assert.throws(() => checkOffsets("segments", Int32Array.from(wrong), 2, 5), /3 ascending offsets from 0 to 5/);
  });
});
