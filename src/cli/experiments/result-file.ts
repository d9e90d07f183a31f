/**
 * @file JSON of results on disk: plain where it is short, packed with gzip (`<name>.json.gz`) where it is not. Whoever reads
 * results passes the plain name and gets either. Equal text gives equal bytes on every system.
 */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { gunzipSync, gzipSync } from "node:zlib";
import { guardWrite, SelkieError, writeFileAtomic } from "../../util/index.ts";

/** Bytes of text up to which a file stays plain. */
export const largestPlain = 200_000;

const packedEnding = ".gz";

/** The name without `.json` or `.json.gz`. */
export const placeOfResult = (path: string): string => path.replace(/\.json(?:\.gz)?$/, "");

/** True for a name of results in either form. */
export const isResultName = (name: string): boolean => /\.json(?:\.gz)?$/.test(name);

/** `text` in gzip, without the time and the system that its header has room for (RFC 1952, 2.3). */
function pack(text: string): Uint8Array {
  const bytes = gzipSync(text, { level: 9 }); // Node leaves the time 0
  bytes[9] = 255; // an unknown system
  return bytes;
}

/** Writes `<…>.json`, or `<…>.json.gz` in its place where the text is long; returns which. */
export function writeResult(path: string, text: string): string {
  const plain = `${placeOfResult(path)}.json`;
  const packed = plain + packedEnding;
  const isLong = Buffer.byteLength(text) > largestPlain;
  const [written, other] = isLong ? [packed, plain] : [plain, packed];
  writeFileAtomic(written, isLong ? pack(text) : text);
  guardWrite(other, () => rmSync(other, { force: true })); // of an earlier run
  return written;
}

/** The file there is for `path`, plain or packed; `null` where there is neither. */
export function findResult(path: string): string | null {
  const plain = `${placeOfResult(path)}.json`;
  return [path, plain, plain + packedEnding].find((file) => existsSync(file)) ?? null;
}

/**
 * Text of a results file in either form.
 *
 * @throws {@link SelkieError} `"missing-file"` where there is neither, `"bad-file"` where it cannot be unpacked.
 */
export function readResult(path: string): string {
  const file = findResult(path);
  if (file === null)
    throw new SelkieError("missing-file", `${path}: expected results, got no such file, plain or packed`);
  const bytes = readFileSync(file);
  if (!file.endsWith(packedEnding)) return bytes.toString("utf8");
  try {
    return gunzipSync(bytes).toString("utf8");
  } catch (cause) {
    throw new SelkieError("bad-file", `${file}: expected gzip, got something else; make the results again`, { cause });
  }
}

/** Writes packed results as plain JSON beside them; returns where. */
export function unpackResult(path: string): string {
  if (!path.endsWith(`.json${packedEnding}`))
    throw new SelkieError("bad-option", `unpack: expected packed results, <name>.json.gz, got ${path}`);
  const plain = `${placeOfResult(path)}.json`;
  writeFileAtomic(plain, readResult(path));
  return plain;
}

/** Packs plain results that are long; returns the file there is afterwards. */
export function packResult(path: string): string {
  if (!path.endsWith(".json"))
    throw new SelkieError("bad-option", `pack: expected plain results, <name>.json, got ${path}`);
  return writeResult(path, readResult(path));
}
