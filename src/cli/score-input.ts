/**
 * @file What `selkie score` accepts: UTF-8 text from a file, a pipe or standard input, or a list of token ids. Pipes are
 * read up to a bound and stop with the signal; what never ends (devices) and what is no text is refused by name.
 */
import { isUtf8 } from "node:buffer";
import { constants } from "node:fs";
import { type FileHandle, open, readFile, stat } from "node:fs/promises";
import { addAbortSignal } from "node:stream";
import { setTimeout as wait } from "node:timers/promises";
import { SelkieError } from "../util/index.ts";

/** Bytes that are read at most; a JavaScript string holds half a gigabyte. */
const maxBytes = 256 * 2 ** 20;
/** How long a named pipe is waited on while nobody has it open for writing. */
const pipeWaitMs = 10_000;

/** How to read. */
export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
  /** @defaultValue 256 MiB */
  readonly maxBytes?: number;
  /** @defaultValue 10 s */
  readonly pipeWaitMs?: number;
  /** Told when nobody has a pipe open for writing yet. */
  readonly tell?: (text: string) => void;
}

const standardInput = new Set(["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"]);

/** The text of `file`, `-` being standard input; refuses empty, binary, malformed and endless input. */
export async function readText(file: string, options: ReadOptions = {}): Promise<string> {
  const name = standardInput.has(file) ? "standard input" : file;
  const bytes = await readBytes(file, name, options);
  if (bytes.length === 0) throw new SelkieError("bad-input", `score: expected a text, got nothing in ${name}`);
  refuseZero(bytes, 0, name);
  if (!isUtf8(bytes))
    throw new SelkieError(
      "bad-input",
      `score: expected UTF-8, got another encoding in ${name} (it stops being UTF-8 near byte ${wellFormedLength(bytes)}); convert it first`,
    );
  const text = new TextDecoder().decode(bytes); // drops a byte order mark
  if (text === "") throw new SelkieError("bad-input", `score: expected a text, got only a byte order mark in ${name}`);
  return text;
}

async function readBytes(file: string, name: string, options: ReadOptions): Promise<Uint8Array> {
  if (standardInput.has(file)) return collect(process.stdin, name, options);
  try {
    const info = await stat(file);
    if (info.isFIFO()) return await readPipe(file, options);
    if (info.isCharacterDevice() || info.isBlockDevice() || info.isSocket())
      throw new SelkieError(
        "bad-input",
        `score: expected a text file, got ${info.isSocket() ? "a socket" : "a device"}, ${name}; pipe its output in instead: … | selkie score -`,
      );
    if (info.size > (options.maxBytes ?? maxBytes)) throw tooLong(name, options);
    return await readFile(file, { signal: options.signal });
  } catch (cause) {
    if (cause instanceof SelkieError || options.signal?.aborted) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new SelkieError("missing-file", `score: expected a readable text file, got ${name} (${code ?? message})`, {
      cause,
    });
  }
}

const tooLong = (name: string, options: ReadOptions): SelkieError =>
  new SelkieError(
    "bad-input",
    `score: expected at most ${(options.maxBytes ?? maxBytes) / 2 ** 20} MiB, got more in ${name}; take a part of it, for example with head -c`,
  );

/** Text holds no zero byte; to see one early ends a stream of them early. */
function refuseZero(bytes: Uint8Array, before: number, name: string): void {
  const zero = bytes.indexOf(0);
  if (zero >= 0)
    throw new SelkieError(
      "bad-input",
      `score: expected a text, got binary data in ${name} (a zero byte at ${before + zero})`,
    );
}

/** A stream to its end, up to the bound. */
async function collect(stream: NodeJS.ReadableStream, name: string, options: ReadOptions): Promise<Uint8Array> {
  if (options.signal !== undefined) addAbortSignal(options.signal, stream as import("node:stream").Readable);
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    refuseZero(chunk, length, name);
    chunks.push(chunk);
    length += chunk.length;
    if (length > (options.maxBytes ?? maxBytes)) throw tooLong(name, options);
  }
  return Buffer.concat(chunks);
}

/**
 * A named pipe to its end. It is opened without blocking, since an open that waits for a writer cannot be called off: then
 * "no data yet" and "no writer" can be told apart, and only the second is waited on for a bounded time.
 */
async function readPipe(file: string, options: ReadOptions): Promise<Uint8Array> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return await collectPipe(handle, file, options);
  } finally {
    await handle.close();
  }
}

async function collectPipe(handle: FileHandle, file: string, options: ReadOptions): Promise<Uint8Array> {
  const { signal } = options;
  const patience = options.pipeWaitMs ?? pipeWaitMs;
  const chunks: Buffer[] = [];
  const buffer = Buffer.alloc(2 ** 16);
  let [length, hadWriter, waitedMs] = [0, false, 0];
  for (;;) {
    signal?.throwIfAborted();
    const count = await handle.read(buffer, 0, buffer.length, null).then(
      ({ bytesRead }) => bytesRead,
      (error: NodeJS.ErrnoException) => {
        if (error.code === "EAGAIN") return -1; // a writer that has written nothing yet
        throw error;
      },
    );
    if (count > 0) {
      refuseZero(buffer.subarray(0, count), length, file);
      chunks.push(Buffer.from(buffer.subarray(0, count)));
      length += count;
      if (length > (options.maxBytes ?? maxBytes)) throw tooLong(file, options);
      continue;
    }
    hadWriter ||= count < 0 || length > 0;
    if (count === 0 && hadWriter) return Buffer.concat(chunks);
    if (!hadWriter && waitedMs >= patience)
      throw new SelkieError(
        "bad-input",
        `score: expected somebody to write to the pipe ${file}, got nobody within ${patience / 1000} s; start the writer, or pipe its output in: … | selkie score -`,
      );
    if (!hadWriter && waitedMs === 200) options.tell?.(`waiting for somebody to write to ${file}`);
    await wait(20, undefined, { signal });
    waitedMs += 20;
  }
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
