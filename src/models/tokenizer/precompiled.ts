/**
 * @file The rewriting table of SentencePiece models, `precompiled_charsmap`: a double-array trie (darts-clone) over UTF-8
 * whose values point into a list of replacements. Read by the rule of the Rust library: whole graphemes under six bytes
 * first, then character by character, and always the shortest entry that a text begins with.
 */
import { SelkieError } from "../../util/index.ts";

/** The table in base64 as a normalizer. */
export function createPrecompiled(base64: string, where: string): (text: string) => string {
  const bytes = Buffer.from(base64, "base64");
  const trieBytes = bytes.length >= 4 ? bytes.readUInt32LE(0) : Number.NaN;
  if (!(trieBytes >= 4 && 4 + trieBytes <= bytes.length))
    throw new SelkieError(
      "bad-file",
      `${where}: expected precompiled_charsmap to hold a trie and its replacements, got ${bytes.length} bytes`,
    );
  const units = Uint32Array.from({ length: trieBytes >> 2 }, (_, index) => bytes.readUInt32LE(4 + 4 * index));
  const replacements = bytes.subarray(4 + (trieBytes >> 2) * 4);
  const transform = (text: string): string | null => {
    const value = findShortest(units, Buffer.from(text));
    if (value === null || value > replacements.length) return null;
    const end = replacements.indexOf(0, value);
    return replacements.toString("utf8", value, end < 0 ? replacements.length : end);
  };
  const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });
  return (text) => {
    let written = "";
    for (const { segment } of graphemes.segment(text)) {
      const whole = Buffer.byteLength(segment) < 6 ? transform(segment) : null;
      if (whole !== null) written += whole;
      else for (const char of segment) written += transform(char) ?? char;
    }
    return written;
  };
}

/** Value of the shortest key that is a prefix of `key`. */
function findShortest(units: Uint32Array, key: Uint8Array): number | null {
  const offsetOf = (unit: number): number => (unit >>> 10) << ((unit & 0x200) >>> 6);
  let place = offsetOf(units[0]!);
  for (const byte of key) {
    if (byte === 0) return null;
    place ^= byte;
    const unit = units[place];
    if (unit === undefined || (unit & 0x800000ff) >>> 0 !== byte) return null;
    place ^= offsetOf(unit);
    if ((unit >>> 8) & 1) return (units[place] ?? 0) & 0x7fffffff;
  }
  return null;
}
