/** @file Text to the letters that stand for bytes in byte-level vocabularies, and back. */

/** The character that stands for each byte in tokenizer.json: printable Latin-1 for itself, others from U+0100 on. */
export function byteAlphabet(): string[] {
  const isPrintable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte !== 0xad);
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : next++));
}

const letters = byteAlphabet();
const byteOfLetter = new Map(letters.map((letter, byte) => [letter, byte]));
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true }); // keeps a byte order mark; ill-formed bytes become U+FFFD

/** One letter for each UTF-8 byte of `text`. */
export function toByteLetters(text: string): string {
  let written = "";
  for (const byte of encoder.encode(text)) written += letters[byte]!;
  return written;
}

/** The bytes that a token of letters stands for; `null` where it has other characters. */
export function fromByteLetters(token: string): number[] | null {
  const bytes: number[] = [];
  for (const letter of token) {
    const byte = byteOfLetter.get(letter);
    if (byte === undefined) return null;
    bytes.push(byte);
  }
  return bytes;
}

/** UTF-8 to text, with U+FFFD for what is ill-formed. */
export const decodeUtf8 = (bytes: readonly number[]): string => decoder.decode(Uint8Array.from(bytes));

/** UTF-8 to text, or `null` where it is ill-formed. */
export function decodeStrictly(bytes: readonly number[]): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
  } catch {
    return null;
  }
}

/** Length in UTF-8. */
export const utf8Length = (text: string): number => Buffer.byteLength(text);

/** The token that stands for one byte in vocabularies with byte fallback. */
export const byteToken = (byte: number): string => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;

/** The byte that such a token stands for, by the decoder's rule; `null` for any other token. */
export function byteOfToken(token: string): number | null {
  const digits = /^<0x([0-9A-Fa-f]{2}|\+[0-9A-Fa-f])>$/.exec(token)?.[1]; // Rust's parser takes a sign
  return digits === undefined ? null : Number.parseInt(digits, 16);
}
