/**
 * @file Training state on disk, for exact resume. A checkpoint is a safetensors file of flat tensors whose metadata
 * carries the rest of the state and a digest; it is written beside, synced and renamed, so a kill at any moment leaves
 * either the old files or the new one, and a torn file is recognised and passed over. Where this person has a key of runs,
 * the file is sealed with it: one that somebody else wrote is refused.
 */
import { closeSync, fstatSync, openSync, readdirSync, readSync } from "node:fs";
import { join } from "node:path";
import { digestFile, digestOf, removeFile, runKey, sealOfText, writeFileAtomic } from "../registry/index.ts";
import { bytesPerElement, type DType, type HostArray, type Tensor } from "../tensor/index.ts";
import { makeDirectory, SelkieError } from "../util/index.ts";

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
/** Bytes of one read call; the system refuses or cuts short more than 2 GiB. */
const readChunkBytes = 1 << 26;
const dtypeNames: { readonly [D in DType]: string } = { f32: "F32", bf16: "BF16", f64: "F64" };
const bytesOf = (data: HostArray): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Safetensors header of one-dimensional tensors that follow each other, padded to 8 bytes, length first. */
function encodeHeader(tensors: Readonly<Record<string, Tensor>>, metadata: Record<string, string>): Uint8Array {
  const entries: Record<string, unknown> = {};
  let offset = 0;
  for (const [name, { dtype, size }] of Object.entries(tensors)) {
    const end = offset + size * bytesPerElement[dtype];
    entries[name] = { dtype: dtypeNames[dtype], shape: [size], data_offsets: [offset, end] };
    offset = end;
  }
  const mac = sealOf(metadata["sha256"]!, entries);
  const text = JSON.stringify({ __metadata__: { ...metadata, ...(mac !== null && { mac }) }, ...entries });
  const body = Buffer.from(
    text.padEnd(Math.ceil(Buffer.byteLength(text) / 8) * 8 - (Buffer.byteLength(text) - text.length)),
  );
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(body.length));
  return Buffer.concat([length, body]);
}

/** Seal of a checkpoint: of what its digest covers, and of where each tensor lies; `null` without a key. */
function sealOf(sha256: string, entries: unknown): string | null {
  const key = runKey();
  return key === null ? null : sealOfText(`${sha256}\n${JSON.stringify(entries)}`, key);
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
  makeDirectory(directory);
  const stateText = JSON.stringify(state);
  const sections = Object.values(tensors).map((tensor) => bytesOf(tensor.data));
  const header = encodeHeader(tensors, { state: stateText, sha256: digestOf(stateText, ...sections) });
  const path = pathOf(directory, state.step);
  writeFileAtomic(path, header, ...sections);
  for (const name of readdirSync(directory)) if (name.endsWith(".partial")) removeFile(join(directory, name));
  for (const step of checkpointSteps(directory).slice(numKept)) removeFile(pathOf(directory, step));
  return path;
}

/** What the header of a checkpoint says. */
interface CheckpointHeader {
  readonly state: CheckpointState;
  readonly tensors: Readonly<Record<string, { readonly data_offsets: readonly [number, number] }>>;
  /** Where the tensors begin in the file. */
  readonly dataStart: number;
}

function requireSameTensors(
  path: string,
  { tensors: saved }: CheckpointHeader,
  wanted: Readonly<Record<string, Tensor>>,
): void {
  const describe = (sizes: readonly (readonly [string, number])[]) =>
    sizes.map(([name, size]) => `${name} ${size}`).join(", ");
  const [expected, got] = [
    describe(Object.entries(wanted).map(([name, tensor]) => [name, bytesOf(tensor.data).length])),
    describe(
      Object.entries(saved).map(
        ([
          name,
          {
            data_offsets: [from, to],
          },
        ]) => [name, to - from],
      ),
    ),
  ];
  if (expected !== got)
    throw new SelkieError(
      "checkpoint-mismatch",
      `${path}: expected tensors ${expected} (bytes), got ${got}; it is of another optimizer or model: use another directory or delete it`,
    );
}

/** Reads `length` bytes at `position`; fewer at the end of the file. */
function readBytes(file: number, position: number, into: Uint8Array): number {
  let done = 0;
  while (done < into.length) {
    const numRead = readSync(file, into, done, Math.min(readChunkBytes, into.length - done), position + done);
    if (numRead === 0) break;
    done += numRead;
  }
  return done;
}

/** Header of one file whose digest fits; `null` when the file is torn. */
function readHeader(path: string, file: number): CheckpointHeader | null {
  const { size } = fstatSync(file);
  const length = Buffer.alloc(8);
  readBytes(file, 0, length);
  const dataStart = 8 + Number(length.readBigUInt64LE());
  if (dataStart > size) return null;
  const text = Buffer.alloc(dataStart - 8);
  readBytes(file, 8, text);
  try {
    const { __metadata__: metadata, ...tensors } = JSON.parse(text.toString());
    if (digestFile(path, dataStart, metadata.state) !== metadata.sha256) return null;
    const seal = sealOf(metadata.sha256, tensors);
    if (seal !== null && seal !== metadata.mac)
      throw new SelkieError(
        "run-changed",
        `${path}: was not written by a training under this person's key; it was changed, or an older Selkie or another person made it. Run the same command with --fresh, or delete the file`,
      );
    return { state: JSON.parse(metadata.state), tensors, dataStart };
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return null; // not JSON, or not our fields
    throw error;
  }
}

/**
 * Loads the newest checkpoint that is whole into `tensors`, which stay as they are when there is none.
 *
 * @param fingerprint - Must equal that of the checkpoint, or the run has other settings and may not go on here.
 * @returns The state saved with it; `null` when there is no usable checkpoint.
 */
export function loadLatestCheckpoint(
  directory: string,
  fingerprint: string,
  tensors: Readonly<Record<string, Tensor>>,
): CheckpointState | null {
  makeDirectory(directory);
  for (const step of checkpointSteps(directory)) {
    const path = pathOf(directory, step);
    const file = openSync(path, "r");
    try {
      const header = readHeader(path, file);
      if (header === null) continue;
      if (header.state.fingerprint !== fingerprint)
        throw new SelkieError(
          "checkpoint-mismatch",
          `training: expected a checkpoint of these settings in ${directory}, got one of other settings; use another directory or delete it`,
        );
      requireSameTensors(path, header, tensors);
      for (const [name, tensor] of Object.entries(tensors))
        readBytes(file, header.dataStart + header.tensors[name]!.data_offsets[0], bytesOf(tensor.data));
      return header.state;
    } finally {
      closeSync(file);
    }
  }
  return null;
}
