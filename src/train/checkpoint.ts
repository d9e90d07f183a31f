/**
 * @file Training state on disk, for exact resume. A checkpoint is a safetensors file of flat tensors whose metadata
 * carries the rest of the state and a digest; it is written beside, synced and renamed, so a kill at any moment leaves
 * either the old files or the new one, and a torn file is recognised and passed over.
 */
import { createHash } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { bytesPerElement, type DType, type HostArray, type Tensor } from "../tensor/index.ts";
import { SelkieError } from "../util/index.ts";

/** Everything of a run that is not a tensor. */
export interface CheckpointState {
  /** Updates done. */
  readonly step: number;
  /** Digest of the settings that a resumed run must share. */
  readonly fingerprint: string;
  readonly [field: string]: string | number;
}

/** How many checkpoints stay: the newest, and one before it in case the newest is torn. */
const numKept = 2;
const filePattern = /^checkpoint-(\d+)\.safetensors$/;
const dtypeNames: { readonly [D in DType]: string } = { f32: "F32", bf16: "BF16", f64: "F64" };
/** Bytes given to one write call; larger writes may be cut short by the system. */
const writeChunkBytes = 1 << 26;

const bytesOf = (data: HostArray): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

function digestOf(state: string, sections: readonly Uint8Array[]): string {
  const hash = createHash("sha256").update(state);
  for (const section of sections) hash.update(section);
  return hash.digest("hex");
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; )
    done += writeSync(file, bytes, done, Math.min(writeChunkBytes, bytes.length - done));
}

/** Makes a rename in `directory` durable; a file system that cannot sync directories is left alone. */
function syncDirectory(directory: string): void {
  try {
    const handle = openSync(directory, "r");
    try {
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  } catch {
    // Windows refuses to open directories; the rename itself is still atomic
  }
}

/** Safetensors header of one-dimensional tensors that follow each other, padded to 8 bytes, length first. */
function encodeHeader(tensors: Readonly<Record<string, Tensor>>, metadata: Record<string, string>): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let offset = 0;
  for (const [name, { dtype, size }] of Object.entries(tensors)) {
    const end = offset + size * bytesPerElement[dtype];
    header[name] = { dtype: dtypeNames[dtype], shape: [size], data_offsets: [offset, end] };
    offset = end;
  }
  const text = JSON.stringify(header);
  const body = Buffer.from(
    text.padEnd(Math.ceil(Buffer.byteLength(text) / 8) * 8 - (Buffer.byteLength(text) - text.length)),
  );
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(body.length));
  return Buffer.concat([length, body]);
}

const checkpointSteps = (directory: string): number[] =>
  readdirSync(directory)
    .map((name) => filePattern.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((a, b) => b - a);

const pathOf = (directory: string, step: number): string => join(directory, `checkpoint-${step}.safetensors`);

/** Writes a checkpoint of `tensors` and drops all but the two newest. Returns its path. */
export function saveCheckpoint(
  directory: string,
  state: CheckpointState,
  tensors: Readonly<Record<string, Tensor>>,
): string {
  mkdirSync(directory, { recursive: true });
  const stateText = JSON.stringify(state);
  const sections = Object.values(tensors).map((tensor) => bytesOf(tensor.data));
  const header = encodeHeader(tensors, { state: stateText, sha256: digestOf(stateText, sections) });
  const path = pathOf(directory, state.step);
  const temporary = `${path}.${process.pid}.partial`;
  const file = openSync(temporary, "w");
  try {
    for (const bytes of [header, ...sections]) writeAll(file, bytes);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  syncDirectory(directory);
  for (const name of readdirSync(directory))
    if (name.endsWith(".partial")) rmSync(join(directory, name), { force: true });
  for (const step of checkpointSteps(directory).slice(numKept)) rmSync(pathOf(directory, step), { force: true });
  return path;
}

/** Header and data of one file; `null` when it is torn. */
function readCheckpoint(
  path: string,
): {
  readonly state: CheckpointState;
  readonly header: Record<string, { data_offsets: [number, number] }>;
  readonly data: Uint8Array;
} | null {
  try {
    const bytes = readFileSync(path);
    const headerEnd = 8 + Number(bytes.readBigUInt64LE(0));
    const { __metadata__: metadata, ...header } = JSON.parse(bytes.toString("utf8", 8, headerEnd));
    const data = bytes.subarray(headerEnd);
    if (digestOf(metadata.state, [data]) !== metadata.sha256) return null;
    return { state: JSON.parse(metadata.state), header, data };
  } catch {
    return null;
  }
}

/**
 * Loads the newest checkpoint that is whole into `tensors`.
 *
 * @param fingerprint - Must equal that of the checkpoint, or the run has other settings and may not go on here.
 * @returns The state saved with it; `null` when there is no usable checkpoint.
 */
export function loadLatestCheckpoint(
  directory: string,
  fingerprint: string,
  tensors: Readonly<Record<string, Tensor>>,
): CheckpointState | null {
  mkdirSync(directory, { recursive: true });
  for (const step of checkpointSteps(directory)) {
    const checkpoint = readCheckpoint(pathOf(directory, step));
    if (checkpoint === null) continue;
    if (checkpoint.state.fingerprint !== fingerprint)
      throw new SelkieError(
        "checkpoint-mismatch",
        `training: expected a checkpoint of these settings in ${directory}, got one of other settings; use another directory or delete it`,
      );
    for (const [name, tensor] of Object.entries(tensors)) {
      const [start, end] = checkpoint.header[name]!.data_offsets;
      bytesOf(tensor.data).set(checkpoint.data.subarray(start, end));
    }
    return checkpoint.state;
  }
  return null;
}
