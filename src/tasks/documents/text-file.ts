/** @file The text of a file: UTF-8, or UTF-16 with its byte order mark. Anything else is refused by name. */
import { isUtf8 } from "node:buffer";
import type { Stats } from "node:fs";
import { lstat, readFile, stat } from "node:fs/promises";
import { SelkieError } from "../../util/index.ts";

/** Larger files are refused: a JavaScript string holds half a gigabyte, and no passage is that long. */
export const maxFileBytes: number = 256 * 2 ** 20;

/** The error for a file that is not what it should be. */
export const refuse = (file: string, expected: string, got: string, cure: string): SelkieError =>
  new SelkieError("bad-file", `${file}: expected ${expected}, got ${got}; ${cure}`);

/** What a path leads to, links followed; a path that leads nowhere is refused by name. */
export async function statOf(path: string): Promise<Stats> {
  try {
    return await stat(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") {
      const isLink = await lstat(path).then(
        (info) => info.isSymbolicLink(),
        () => false,
      );
      const got = isLink ? "found a link to nothing; mend the link" : "found nothing there; check the path";
      throw new SelkieError("missing-file", `${path}: expected a file or folder, ${got}`, { cause });
    }
    if (code === "ELOOP") throw refuse(path, "a file or folder", "a link that leads to itself", "mend the link");
    throw new SelkieError("bad-file", `${path}: cannot be read (${code}); check its permissions`, { cause });
  }
}

/** Names what is neither a file nor a folder; `null` for a file. */
export function specialKind(
  info: Pick<Stats, "isFIFO" | "isSocket" | "isCharacterDevice" | "isBlockDevice">,
): string | null {
  if (info.isFIFO()) return "a pipe (FIFO)";
  if (info.isSocket()) return "a socket";
  return info.isCharacterDevice() || info.isBlockDevice() ? "a device" : null;
}

/** Text of a file, line ends as `\n`; empty, binary, special and wrongly encoded files are refused by name. */
export async function readText(file: string): Promise<string> {
  const info = await statOf(file);
  if (info.isDirectory()) throw refuse(file, "a file", "a folder", "name the file");
  const special = specialKind(info);
  if (special !== null) throw refuse(file, "a file", special, "save its contents as a file first");
  if (info.size > maxFileBytes)
    throw refuse(file, `at most ${maxFileBytes >> 20} MiB`, `${Math.ceil(info.size / 2 ** 20)} MiB`, "split it");
  const bytes = await readFile(file).catch((cause: NodeJS.ErrnoException) => {
    throw new SelkieError("bad-file", `${file}: cannot be read (${cause.code}); check its permissions`, { cause });
  });
  if (bytes.length === 0) throw refuse(file, "text", "an empty file", "leave it out or fill it");
  const text = decode(bytes, file)
    .replace(/^\uFEFF/, "")
    .replace(/\r\n?/g, "\n");
  if (text.trim() === "") throw refuse(file, "text", "white space only", "leave it out or fill it");
  return text;
}

const startsWith = (bytes: Uint8Array, ...head: readonly number[]): boolean =>
  head.every((byte, index) => bytes[index] === byte);

function decode(bytes: Buffer, file: string): string {
  const isUtf32 = startsWith(bytes, 0xff, 0xfe, 0, 0) || startsWith(bytes, 0, 0, 0xfe, 0xff);
  if (isUtf32) throw refuse(file, "UTF-8 text", "UTF-32", "convert it: iconv -f UTF-32 -t UTF-8");
  const utf16 = startsWith(bytes, 0xff, 0xfe) ? "utf-16le" : startsWith(bytes, 0xfe, 0xff) ? "utf-16be" : null;
  if (utf16 !== null) return decodeUtf16(bytes, utf16, file);
  if (bytes.includes(0)) {
    const guess = looksLikeUtf16(bytes);
    if (guess !== null)
      throw refuse(
        file,
        "UTF-8 text",
        `${guess} without a byte order mark, it seems`,
        `convert it: iconv -f ${guess} -t UTF-8`,
      );
    throw refuse(file, "text", "binary data (a zero byte)", "convert it to .txt or .md first");
  }
  if (!isUtf8(bytes))
    throw refuse(
      file,
      "UTF-8 text",
      `an invalid byte at offset ${firstInvalidByte(bytes)}`,
      "convert it to UTF-8, for example with iconv",
    );
  return bytes.toString("utf8");
}

function decodeUtf16(bytes: Buffer, encoding: "utf-16le" | "utf-16be", file: string): string {
  let text: string;
  try {
    text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    throw refuse(file, "text", `broken ${encoding.toUpperCase()}`, "convert it to UTF-8 first");
  }
  if (text.includes("\0"))
    throw refuse(file, "text", "binary data (a zero character)", "convert it to .txt or .md first");
  return text;
}

/** Text of mostly Latin letters has a zero in every other byte of UTF-16. */
function looksLikeUtf16(bytes: Buffer): "UTF-16LE" | "UTF-16BE" | null {
  const head = bytes.subarray(0, 512);
  const zeros = [0, 0];
  for (const [index, byte] of head.entries()) if (byte === 0) zeros[index & 1]!++;
  const most = 0.4 * head.length;
  if (zeros[1]! > most && zeros[0]! < most / 8) return "UTF-16LE";
  return zeros[0]! > most && zeros[1]! < most / 8 ? "UTF-16BE" : null;
}

/** Length of the longest valid prefix: bisection over whole-character cuts, then the last few bytes one by one. */
function firstInvalidByte(bytes: Buffer): number {
  const isCut = (at: number) => at >= bytes.length || (bytes[at]! & 0xc0) !== 0x80;
  let valid = 0;
  let invalid = bytes.length;
  while (invalid - valid > 8) {
    let middle = (valid + invalid) >> 1;
    while (middle > valid && !isCut(middle)) middle--;
    if (middle === valid) break;
    if (isUtf8(bytes.subarray(0, middle))) valid = middle;
    else invalid = middle;
  }
  let end = Math.min(bytes.length, invalid);
  while (end > valid && !isUtf8(bytes.subarray(0, end))) end--;
  return end;
}
