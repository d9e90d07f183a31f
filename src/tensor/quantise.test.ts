import { strict as assert } from "node:assert";
import { describe, test } from "node:test";
import { createRng } from "../util/index.ts";
import { createReferenceBackend } from "./backends/reference/index.ts";
import { groupSize, nf4CodeBook, quantisedFormats, quantiseRows } from "./quantise.ts";
import { createQuantised } from "./tensor.ts";

/** A quantised matrix holding `values`, and what they became. */
function roundTrip(values: readonly number[], format: "int8" | "nf4", columns = values.length) {
  const matrix = createQuantised(createReferenceBackend(), [values.length / columns, columns], format);
  matrix.write(values);
  return { matrix, result: [...matrix.readSync()] };
}

describe("quantised matrices", () => {
  test("int8 by hand: a largest magnitude of 127 makes steps of 1", () => {
    const { result } = roundTrip([127, -127, 0.4, -0.6, 3.5, 100.49], "int8");
    assert.deepEqual(result, [127, -127, 0, -1, 4, 100]);
  });

  test("nf4 by hand: a largest magnitude of 2 makes twice the code book", () => {
    const book = [...nf4CodeBook];
    const exact = book.map((value) => Math.fround(2 * value));
    assert.deepEqual(roundTrip(exact, "nf4").result, exact);
    const between = [-2, -1.7, -1.69, 0.0398, 0.0795, 0.08]; // the first two steps meet at -1.696, those at zero at 0.0796
    const expected = [-2, -2, book[1]! * 2, 0, 0, book[8]! * 2].map(Math.fround);
    assert.deepEqual(roundTrip(between, "nf4").result, expected);
  });

  test("the nf4 code book ascends, holds 0, and is symmetric at its ends", () => {
    assert.deepEqual([nf4CodeBook.length, nf4CodeBook[0], nf4CodeBook[7], nf4CodeBook[15]], [16, -1, 0, 1]);
    for (let code = 1; code < 16; code++) assert.ok(nf4CodeBook[code]! > nf4CodeBook[code - 1]!);
  });

  test("every value comes back within half a step, whatever its group and neighbours", () => {
    const rng = createRng("quantise");
    const [rows, columns] = [5, 3 * groupSize + 7];
    const values = Array.from({ length: rows * columns }, (_, i) => rng.normal() * 10 ** ((i % 7) - 3));
    const halfStep = { int8: 0.5 / 127, nf4: 0.5 * (nf4CodeBook[1]! - nf4CodeBook[0]!) };
    for (const format of quantisedFormats) {
      const { result } = roundTrip(values, format, columns);
      for (let i = 0; i < values.length; i++) {
        const begin = i - ((i % columns) % groupSize);
        const end = Math.min(begin + groupSize, (Math.floor(i / columns) + 1) * columns);
        const largest = Math.max(...values.slice(begin, end).map(Math.abs));
        const bound = largest * halfStep[format] * (1 + 2 ** -7); // a scale is rounded to 8 bits
        assert.ok(Math.abs(result[i]! - values[i]!) <= bound, `${format}: ${values[i]} became ${result[i]}`);
      }
    }
  });

  test("groups of zeros stay zero, and a quantised matrix quantises to itself", () => {
    for (const format of quantisedFormats) {
      const zeros = new Array<number>(70).fill(0);
      assert.deepEqual(roundTrip([...zeros, ...zeros], format, 70).result, [...zeros, ...zeros]);
      const once = roundTrip([0.1, -0.7, 0.33, 2.5, -1.25], format).result;
      assert.deepEqual(roundTrip(once, format).result, once);
    }
  });

  test("rows are written on their own", () => {
    const { matrix } = roundTrip([1, 2, 3, 4, 5, 6], "int8", 2);
    quantiseRows(matrix.quantised!, 1, [127, -127]);
    assert.deepEqual([...matrix.readSync()].slice(2, 4), [127, -127]);
    assert.throws(() => quantiseRows(matrix.quantised!, 2, [1, 2, 3, 4]), { code: "shape-mismatch" });
    assert.throws(() => quantiseRows(matrix.quantised!, 0, [1]), { code: "shape-mismatch" });
  });

  test("weights that are not finite are refused", () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY])
      assert.throws(() => roundTrip([1, value], "nf4"), { code: "bad-input", message: /finite/ });
  });

  test("memory is that of the codes and scales, and all of it is given back", () => {
    const backend = createReferenceBackend();
    const matrix = createQuantised(backend, [100, 128], "nf4");
    assert.equal(matrix.numBytes, (100 * 128) / 2 + 100 * 2 * 2);
    assert.throws(() => matrix.data, { code: "quantised" });
    matrix[Symbol.dispose]();
    assert.equal(backend.memory().liveBytes, 0);
  });
});
