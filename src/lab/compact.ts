/**
 * @file Thousands of small records in a file that is short and that people can read: lists of records become columns, equal
 * values are written once, shares of a whole become counts. {@link expand} gives back what {@link compact} was given, so a
 * table computed from the file is the table that was computed from the measurement.
 *
 * - `{"$rows": 3, "a": [1, 2, 3]}`: three records with a field `a`; a column that is a list of records is itself columns.
 * - `{"$same": 1, "$times": 3}`: three times the same.
 * - `{"$of": ["x", "y"], "$at": [0, 1, 0]}`: values by their place in a list.
 * - `{"$over": 12, "$at": [3, 12]}`: shares, 3/12 and 12/12.
 */
import { SelkieError } from "../util/index.ts";

/** What JSON can hold. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

type JsonRecord = { readonly [key: string]: JsonValue };

const isRecord = (value: JsonValue | undefined): value is JsonRecord =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const largestWhole = 120;

/** True for a number that is a count over some whole up to 120: a share of so many questions. */
export function isShare(value: number): boolean {
  for (let whole = 2; whole <= largestWhole; whole++) if (Math.round(value * whole) / whole === value) return true;
  return false;
}

/** Numbers rounded to so many significant digits, but for whole ones and shares, which are short as they are. */
export function roundNumbers(value: JsonValue, digits: number): JsonValue {
  if (typeof value === "number")
    return Number.isInteger(value) || isShare(value) ? value : Number(value.toPrecision(digits));
  if (Array.isArray(value)) return value.map((inner: JsonValue) => roundNumbers(inner, digits));
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, roundNumbers(inner, digits)]));
}

/** The short form of a JSON value; keys may not begin with `$`. */
export function compact(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return compactList(value as readonly JsonValue[]);
  if (!isRecord(value)) return value;
  checkKeys(value);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, compact(inner)]));
}

function checkKeys(record: JsonRecord): void {
  const odd = Object.keys(record).find((key) => key.startsWith("$"));
  if (odd !== undefined)
    throw new SelkieError("bad-input", `compact: expected names that do not begin with "$", got "${odd}"`);
}

function compactList(values: readonly JsonValue[]): JsonValue {
  const first = values[0];
  if (values.length < 2) return values.map(compact);
  if (values.every(isRecord)) return compactRecords(values);
  if (values.every((value) => isScalar(value) && value === first)) return { $same: first!, $times: values.length };
  if (values.every((value) => typeof value === "number")) return compactNumbers(values);
  if (values.every((value) => typeof value === "string")) return compactStrings(values);
  return values.map(compact);
}

const isScalar = (value: JsonValue): boolean => typeof value !== "object" || value === null;

function compactRecords(records: readonly JsonRecord[]): JsonValue {
  const keys = Object.keys(records[0]!);
  records.forEach(checkKeys);
  const isUniform = records.every((record) => {
    const own = Object.keys(record);
    return own.length === keys.length && own.every((key, index) => key === keys[index]);
  });
  if (!isUniform || keys.length === 0) return records.map(compact);
  const columns = keys.map((key) => [key, compactList(records.map((record) => record[key]!))]);
  return { $rows: records.length, ...(Object.fromEntries(columns) as JsonRecord) };
}

/** Counts over the smallest whole that makes all of them exact, where that is shorter. */
function compactNumbers(values: readonly number[]): JsonValue {
  if (values.every(Number.isInteger)) return values;
  for (let whole = 2; whole <= largestWhole; whole++) {
    const counts = values.map((value) => Math.round(value * whole));
    if (counts.every((count, index) => count / whole === values[index])) return { $over: whole, $at: counts };
  }
  return values;
}

function compactStrings(values: readonly string[]): JsonValue {
  const names = [...new Set(values)];
  if (names.length > values.length / 2) return values;
  const places = new Map(names.map((name, index) => [name, index]));
  return { $of: names, $at: values.map((value) => places.get(value)!) };
}

/** What {@link compact} was given. */
export function expand(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(expand);
  if (!isRecord(value)) return value;
  const { $rows, $same, $times, $of, $at, $over, ...rest } = value;
  if ($times !== undefined) return Array.from({ length: $times as number }, () => $same!);
  if ($of !== undefined) return ($at as number[]).map((place) => ($of as JsonValue[])[place]!);
  if ($over !== undefined) return ($at as number[]).map((count) => count / ($over as number));
  if ($rows === undefined) return Object.fromEntries(Object.entries(rest).map(([key, inner]) => [key, expand(inner)]));
  const columns = Object.entries(rest).map(([key, column]) => [key, expand(column) as JsonValue[]] as const);
  return Array.from({ length: $rows as number }, (_, row) =>
    Object.fromEntries(columns.map(([key, column]) => [key, column[row]!])),
  );
}
