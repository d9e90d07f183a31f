/**
 * @file The safetensors format (github.com/huggingface/safetensors): eight bytes of header length, a JSON header,
 * then raw little-endian values. Headers are checked before anything is read, values are converted piece by piece, so
 * that loading needs little more memory than the destination. Big-endian machines are not supported.
 */
import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { z } from "zod";
import { bytesPerElement, describeShape, type HostArray, numElements, type Shape, toBf16 } from "../tensor/index.ts";
import { SelkieError, ShapeError, writeFileAtomicAsync } from "../util/index.ts";
import { describeCause, parseForeign } from "./files.ts";
import { halfToSingle } from "./half.ts";

const maxHeaderBytes = 100_000_000; // the limit of the Rust reader
const pieceBytes = 4 * 2 ** 20;

const fileDTypes = { F32: 4, F16: 2, BF16: 2, F64: 8 } as const;
type FileDType = keyof typeof fileDTypes;

/** Bytes of one element of the types that the format knows and we do not read; sizes are still checked. */
const otherDTypes: { readonly [name: string]: number } = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  I16: 2,
  U16: 2,
  I32: 4,
  U32: 4,
  I64: 8,
  U64: 8,
};

/** One tensor of a file. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: Shape;
  /** First byte in the file. */
  readonly begin: number;
  readonly numBytes: number;
}

const entrySchema = z.object({
  dtype: z.string(),
  shape: z.array(z.int().min(0)),
  data_offsets: z.tuple([z.int().min(0), z.int().min(0)]),
});
const headerSchema = z.record(z.string(), z.unknown());

/** An open safetensors file. Dispose of it to close it. */
export class SafetensorsReader implements AsyncDisposable {
  readonly path: string;
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly metadata: { readonly [key: string]: string };
  readonly #file: FileHandle;

  private constructor(
    path: string,
    file: FileHandle,
    entries: ReadonlyMap<string, TensorEntry>,
    metadata: { readonly [key: string]: string },
  ) {
    this.path = path;
    this.#file = file;
    this.entries = entries;
    this.metadata = metadata;
  }

  /** Opens `path` and checks its header: every offset lies in the file, fits its shape and overlaps nothing. */
  static async open(path: string): Promise<SafetensorsReader> {
    const file = await open(path, "r").catch((cause: unknown) => {
      throw new SelkieError(
        "missing-file",
        `${path}: expected a readable safetensors file, got ${describeCause(cause)}`,
        { cause },
      );
    });
    try {
      const { entries, metadata } = await readHeader(path, file);
      return new SafetensorsReader(path, file, entries, metadata);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** The entry of `name`; throws when the file has none. */
  entry(name: string): TensorEntry {
    const entry = this.entries.get(name);
    if (entry !== undefined) return entry;
    throw new SelkieError(
      "missing-tensor",
      `${this.path}: expected a tensor "${name}", got none of that name among ${this.entries.size}`,
    );
  }

  /** Reads tensor `name` into `destination` (f32, f64, or bf16 bits), rounding where it must. Its shape has to be `shape`. */
  async readInto(name: string, shape: Shape, destination: HostArray): Promise<void> {
    for await (const { dtype, bytes, count, offset } of this.#pieces(name, shape, 1))
      convert(dtype, bytes, count, destination, offset);
  }

  /** Values of tensor `name` as f32, some at a time; tensors of one size are cut at the same places whatever their type. */
  async *readPieces(name: string): AsyncGenerator<Float32Array> {
    const { shape } = this.entry(name);
    for await (const { dtype, bytes, count } of this.#pieces(name, shape, 1, pieceBytes / 8)) {
      const values = new Float32Array(count);
      convert(dtype, bytes, count, values, 0);
      yield values;
    }
  }

  /** Hands over matrix `name` as f32, some rows at a time: for a destination that is no plain array. Its shape has to be `shape`. */
  async readRows(
    name: string,
    shape: readonly [rows: number, columns: number],
    take: (firstRow: number, values: Float32Array) => void,
  ): Promise<void> {
    const [, columns] = shape;
    for await (const { dtype, bytes, count, offset } of this.#pieces(name, shape, columns)) {
      const values = new Float32Array(count);
      convert(dtype, bytes, count, values, 0);
      take(offset / columns, values);
    }
  }

  /** Raw values of tensor `name`, a multiple of `step` of them at a time, in memory that the next piece overwrites. */
  async *#pieces(
    name: string,
    shape: Shape,
    step: number,
    mostValues: number = Number.POSITIVE_INFINITY,
  ): AsyncGenerator<{ dtype: FileDType; bytes: Buffer; count: number; offset: number }> {
    const entry = this.entry(name);
    if (describeShape(entry.shape) !== describeShape(shape))
      throw new ShapeError(
        `${this.path}: tensor "${name}"`,
        describeShape(shape),
        describeShape(entry.shape),
        "the file does not fit its config",
      );
    if (!Object.hasOwn(fileDTypes, entry.dtype))
      throw new SelkieError(
        "bad-file",
        `${this.path}: tensor "${name}": expected dtype ${Object.keys(fileDTypes).join(", ")}, got ${entry.dtype}`,
      );
    const dtype = entry.dtype as FileDType;
    const width = fileDTypes[dtype];
    const most = Math.min(Math.max(1, Math.floor(pieceBytes / (step * width))) * step, mostValues) * width;
    const bytes = Buffer.alloc(Math.min(most, entry.numBytes));
    for (let done = 0; done < entry.numBytes; ) {
      const numBytes = Math.min(most, entry.numBytes - done);
      await readFully(this.path, this.#file, bytes.subarray(0, numBytes), entry.begin + done);
      yield { dtype, bytes, count: numBytes / width, offset: done / width };
      done += numBytes;
    }
  }

  /** Values of tensor `name` as f32. */
  async read(name: string): Promise<Float32Array<ArrayBuffer>> {
    const { shape } = this.entry(name);
    const values = new Float32Array(numElements(shape));
    await this.readInto(name, shape, values);
    return values;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

async function readFully(path: string, file: FileHandle, buffer: Buffer, position: number): Promise<void> {
  for (let done = 0; done < buffer.length; ) {
    const { bytesRead } = await file.read(buffer, done, buffer.length - done, position + done);
    if (bytesRead === 0)
      throw new SelkieError(
        "bad-file",
        `${path}: expected ${buffer.length} bytes at ${position}, got ${done}; the file is truncated`,
      );
    done += bytesRead;
  }
}

async function readHeader(path: string, file: FileHandle): Promise<Pick<SafetensorsReader, "entries" | "metadata">> {
  const { size: fileBytes } = await file.stat();
  const bad = (expected: string, got: string): never => {
    throw new SelkieError("bad-file", `${path}: expected ${expected}, got ${got}; download or save the file again`);
  };
  if (fileBytes < 8) bad("a safetensors file of at least 8 bytes", `${fileBytes} bytes`);
  const prefix = Buffer.alloc(8);
  await readFully(path, file, prefix, 0);
  const headerBytes = Number(prefix.readBigUInt64LE());
  if (headerBytes > maxHeaderBytes)
    bad(`a header of at most ${maxHeaderBytes} bytes`, `a length of ${headerBytes} (not a safetensors file?)`);
  if (8 + headerBytes > fileBytes) bad(`a header of ${headerBytes} bytes`, `a file of ${fileBytes} bytes (truncated?)`);
  const text = Buffer.alloc(headerBytes);
  await readFully(path, file, text, 8);
  let json: unknown;
  try {
    json = JSON.parse(text.toString("utf8"));
  } catch (cause) {
    bad("a JSON header", describeCause(cause));
  }
  const { __metadata__: metadata = {}, ...tensors } = parseForeign(headerSchema, json, path);
  const entries = Object.entries(tensors).map(([name, value]) => parseEntry(path, name, value, 8 + headerBytes));
  checkLayout(path, entries, 8 + headerBytes, fileBytes);
  return {
    entries: new Map(entries.map((entry) => [entry.name, entry])),
    metadata: parseForeign(z.record(z.string(), z.string()), metadata, `${path}: __metadata__`),
  };
}

function parseEntry(path: string, name: string, value: unknown, dataBegin: number): TensorEntry {
  const { dtype, shape, data_offsets: offsets } = parseForeign(entrySchema, value, `${path}: tensor "${name}"`);
  const [begin, end] = offsets;
  const width = new Map(Object.entries({ ...fileDTypes, ...otherDTypes })).get(dtype);
  if (width === undefined)
    throw new SelkieError(
      "bad-file",
      `${path}: tensor "${name}": expected a dtype of the safetensors format, got "${dtype}"`,
    );
  const expected = numElements(shape) * width;
  if (end - begin !== expected)
    throw new SelkieError(
      "bad-file",
      `${path}: tensor "${name}": expected ${expected} bytes for ${dtype} ${describeShape(shape)}, got offsets ${begin} to ${end}`,
    );
  return { name, dtype, shape, begin: dataBegin + begin, numBytes: expected };
}

/** Tensors must follow each other without gaps or overlaps up to the end of the file, as the format demands. */
function checkLayout(path: string, entries: readonly TensorEntry[], dataBegin: number, fileBytes: number): void {
  let next = dataBegin;
  for (const entry of entries.toSorted((a, b) => a.begin - b.begin || a.numBytes - b.numBytes)) {
    if (entry.begin !== next)
      throw new SelkieError(
        "bad-file",
        `${path}: tensor "${entry.name}": expected to begin at byte ${next}, got ${entry.begin}; tensors ${entry.begin < next ? "overlap" : "leave a gap"}`,
      );
    next += entry.numBytes;
  }
  if (next !== fileBytes)
    throw new SelkieError(
      "bad-file",
      `${path}: expected ${next} bytes by the header, got ${fileBytes}; the file is ${fileBytes < next ? "truncated" : "longer than its tensors"}`,
    );
}

/** Widens or rounds `count` values at the start of `bytes` into `destination` from `offset` on. */
function convert(dtype: FileDType, bytes: Buffer, count: number, destination: HostArray, offset: number): void {
  const toStored = destination instanceof Uint16Array ? toBf16 : (value: number): number => value;
  if (dtype === "F32" || dtype === "F64") {
    const source =
      dtype === "F32"
        ? new Float32Array(bytes.buffer, bytes.byteOffset, count)
        : new Float64Array(bytes.buffer, bytes.byteOffset, count);
    if (destination instanceof Uint16Array)
      for (let i = 0; i < count; i++) destination[offset + i] = toBf16(source[i]!);
    else destination.set(source, offset);
    return;
  }
  const source = new Uint16Array(bytes.buffer, bytes.byteOffset, count);
  if (dtype === "F16") {
    for (let i = 0; i < count; i++) destination[offset + i] = toStored(halfToSingle(source[i]!));
  } else if (destination instanceof Uint16Array) {
    destination.set(source, offset);
  } else if (destination instanceof Float32Array) {
    const bits = new Uint32Array(destination.buffer, destination.byteOffset + offset * 4, count);
    for (let i = 0; i < count; i++) bits[i] = source[i]! << 16;
  } else {
    const widened = new Float32Array(count);
    convert(dtype, bytes, count, widened, 0);
    destination.set(widened, offset);
  }
}

/** One tensor to write. */
export interface TensorToWrite {
  readonly name: string;
  readonly shape: Shape;
  readonly values: HostArray;
}

/** Storage type of written files. */
export type SavedDType = "f32" | "bf16";

/**
 * Writes a safetensors file, complete or not at all. Every tensor begins at a multiple of its element size.
 *
 * @returns sha256 of the file, in hex.
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  dtype: SavedDType,
): Promise<string> {
  const header: { [name: string]: unknown } = { __metadata__: { format: "pt" } }; // transformers refuses files without it
  let offset = 0;
  for (const { name, shape, values } of tensors) {
    if (values.length !== numElements(shape))
      throw new ShapeError(`${path}: tensor "${name}"`, `${numElements(shape)} values`, `${values.length}`);
    if (Object.hasOwn(header, name)) throw new SelkieError("duplicate-name", `${path}: tensor "${name}" appears twice`);
    const end = offset + values.length * bytesPerElement[dtype];
    header[name] = { dtype: dtype === "f32" ? "F32" : "BF16", shape, data_offsets: [offset, end] };
    offset = end;
  }
  const text = Buffer.from(JSON.stringify(header), "utf8");
  const padded = Buffer.alloc(Math.ceil(text.length / 8) * 8, " ");
  text.copy(padded);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(padded.length));
  const hash = createHash("sha256");
  await writeFileAtomicAsync(path, async (file) => {
    const put = async (bytes: Uint8Array): Promise<void> => {
      hash.update(bytes);
      await file.writeFile(bytes); // continues at the current position
    };
    await put(prefix);
    await put(padded);
    for (const { values } of tensors) for (const piece of encodePieces(values, dtype)) await put(piece);
  });
  return hash.digest("hex");
}

function* encodePieces(values: HostArray, dtype: SavedDType): Generator<Uint8Array> {
  const step = pieceBytes / 4;
  for (let begin = 0; begin < values.length; begin += step) {
    const piece = values.subarray(begin, begin + step);
    const encoded = dtype === "bf16" ? toBf16Array(piece) : toSingleArray(piece);
    yield new Uint8Array(encoded.buffer, encoded.byteOffset, encoded.byteLength);
  }
}

function toBf16Array(values: HostArray): Uint16Array {
  return values instanceof Uint16Array ? values : Uint16Array.from(values, toBf16);
}

function toSingleArray(values: HostArray): Float32Array {
  if (values instanceof Float32Array) return values;
  if (values instanceof Float64Array) return Float32Array.from(values);
  const bits = Uint32Array.from(values, (bits16) => bits16 << 16);
  return new Float32Array(bits.buffer);
}
