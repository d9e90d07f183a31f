import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isSameAmount, isSameHour, numberOf, plainNumbers } from "./numbers.ts";

describe("numbers in one spelling", () => {
  const readings: readonly (readonly [string, string])[] = [
    ["at 11 pm", "at 23:00"],
    ["at 9.30 a.m. sharp", "at 9:30 sharp"],
    ["half past nine", "9:30"],
    ["a quarter to six", "5:45"],
    ["at 06:12", "at 6:12"],
    ["at midnight", "at 0:00"],
    ["one hundred and twenty men", "120 men"],
    ["between twelve and eighteen", "between 12 and 18"],
    ["1.2 million people", "1200000 people"],
    ["half a litre", "0.5 litre"],
    ["on March 3rd, 2024", "on March 3, 2024"],
    ["2024-03-01", "1 March 2024"],
    ["one of them", "one of them"],
  ];
  for (const [text, plain] of readings) test(text, () => assert.equal(plainNumbers(text), plain));

  test("digits of a number", () => {
    assert.deepEqual(["1,150", "3rd", "fourth", "1.70", "first", "pump"].map(numberOf), [
      "1150",
      "3.",
      "4.",
      "1.7",
      null,
      null,
    ]);
  });

  test("hours with and without minutes, amounts in other units", () => {
    assert.ok(isSameHour("9", "9:00") && isSameHour("17:00", "5") && !isSameHour("5", "6:00"));
    assert.ok(isSameAmount(90, "minute", 1.5, "hour") && !isSameAmount(2, "litre", 2, "gram"));
  });
});
