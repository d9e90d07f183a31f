/** @file What `// => value` means in documentation: the value, as Node prints it or as JSON, blanks aside. */
import { inspect } from "node:util";

const squeeze = (text: string): string => text.replace(/\s+/g, "");

/** Throws unless `value` reads `expected`; typed arrays may be written as plain lists. */
export function checkValue(value: unknown, expected: string, where: string): void {
  const plain = ArrayBuffer.isView(value) && !(value instanceof DataView) ? Array.from(value as Float32Array) : value;
  const spellings = [inspect(value, { depth: 8, breakLength: Infinity }), JSON.stringify(value), JSON.stringify(plain)];
  if (spellings.some((spelling) => spelling !== undefined && squeeze(spelling) === squeeze(expected))) return;
  throw new Error(`${where}: expected ${expected}, got ${spellings[0]}`);
}
