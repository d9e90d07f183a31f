/** @file What `selkie score` accepts: UTF-8 text from a file or standard input, or a list of token ids. */
import { isUtf8 } from "node:buffer";
import { readFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { SelkieError } from "../util/index.ts";

/** The text of `file`, `-` being standard input; refuses empty, binary and malformed input. */
export async function readText(file: string): Promise<string> {
  const name = file === "-" ? "standard input" : file;
  const bytes = await (file === "-" ? buffer(process.stdin) : readFile(file)).catch((cause: NodeJS.ErrnoException) => {
    throw new SelkieError(
      "missing-file",
      `score: expected a readable text file, got ${name} (${cause.code ?? cause.message})`,
      { cause },
    );
  });
  if (bytes.length === 0) throw new SelkieError("bad-input", `score: expected a text, got nothing in ${name}`);
  const zero = bytes.indexOf(0);
  if (zero >= 0)
    throw new SelkieError("bad-input", `score: expected a text, got binary data in ${name} (a zero byte at ${zero})`);
  if (!isUtf8(bytes))
    throw new SelkieError(
      "bad-input",
      `score: expected UTF-8, got another encoding in ${name} (it stops being UTF-8 near byte ${wellFormedLength(bytes)}); convert it first`,
    );
  const text = new TextDecoder().decode(bytes); // drops a byte order mark
  if (text === "") throw new SelkieError("bad-input", `score: expected a text, got only a byte order mark in ${name}`);
  return text;
}

/** Bytes before the first that cannot continue UTF-8, by bisection over prefixes; a cut character counts as well-formed. */
function wellFormedLength(bytes: Uint8Array): number {
  const isGood = (length: number) => {
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length), { stream: true });
      return true;
    } catch {
      return false;
    }
  };
  let [good, bad] = [0, bytes.length + 1];
  while (bad - good > 1) {
    const middle = (good + bad) >>> 1;
    if (isGood(middle)) good = middle;
    else bad = middle;
  }
  return good;
}

/** Ids of a list such as `12, 7,101`. */
export function parseIds(list: string): number[] {
  const items = list.split(",").map((item) => item.trim());
  const wrong = items.find((item) => !/^\d+$/.test(item));
  if (wrong !== undefined)
    throw new SelkieError(
      "bad-option",
      `--ids: expected whole numbers separated by commas, got ${JSON.stringify(wrong)}`,
    );
  return items.map(Number);
}
