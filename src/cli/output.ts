/**
 * @file Where a verb writes. Results go to stdout (with `--json` exactly one JSON object), all else to stderr.
 * Progress is one line that overwrites itself on a terminal and a sparse sequence of lines elsewhere. No colours.
 */
import type { Writable } from "node:stream";
import { outputColumns, shorten, wrapText } from "./columns.ts";
import { asStarted } from "./invocation.ts";

/** What a verb may say. */
export interface Output {
  readonly isJson: boolean;
  /** True where progress overwrites itself; elsewhere each line stays, and bars with nothing in them say nothing. */
  readonly isTerminal: boolean;
  /** The result, once: `value` with `--json`, else `text`. */
  result(value: object, text: string): void;
  /** How far the work has come; lines in between are dropped, but never the first of a stage. */
  progress(text: string, options?: { readonly isStage: boolean }): void;
  /** A line that must be seen; commands in it, `selkie <verb>`, are put as this user has to type them. */
  note(text: string): void;
  /** Ends an open progress line. */
  close(): void;
}

/** Options of {@link createOutput}; the defaults are the process's own. */
export interface OutputOptions {
  readonly isJson: boolean;
  readonly stdout?: Writable;
  readonly stderr?: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  /** Milliseconds of any clock. */
  readonly now?: () => number;
}

const terminalIntervalMs = 100;
const plainIntervalMs = 10_000;
/** Lines in a file become rarer the longer the work lasts: a day's work is told in some two hundred. */
const plainIntervalShare = 0.03;

/** Sentences broken between words; indented lines, which are commands to copy, are left whole. */
const wrapNote = (text: string, width: number): string =>
  text
    .split("\n")
    .flatMap((line) => (line.startsWith(" ") ? [line] : wrapText(line, width)))
    .join("\n");

/** An {@link Output} on the process's streams, or on those given. */
export function createOutput(options: OutputOptions): Output {
  const { isJson, stdout = process.stdout, stderr = process.stderr, now = () => performance.now() } = options;
  const isTerminal = stderr.isTTY === true;
  const startMs = now();
  const intervalMs = () =>
    isTerminal ? terminalIntervalMs : Math.max(plainIntervalMs, plainIntervalShare * (now() - startMs));
  let lastMs = Number.NEGATIVE_INFINITY;
  let hasOpenLine = false;
  const close = () => {
    if (hasOpenLine) stderr.write("\r\u001b[K");
    hasOpenLine = false;
  };
  return {
    isJson,
    isTerminal,
    result(value, text) {
      close();
      stdout.write(isJson ? `${JSON.stringify(value)}\n` : text.endsWith("\n") ? text : `${text}\n`);
    },
    progress(text, options) {
      if (options?.isStage !== true && now() - lastMs < intervalMs()) return;
      lastMs = now();
      if (!isTerminal) stderr.write(`${text}\n`);
      else stderr.write(`\r${shorten(text, (stderr.columns || 80) - 1)}\u001b[K`);
      hasOpenLine = isTerminal;
    },
    note(text) {
      close();
      stderr.write(`${wrapNote(asStarted(text), outputColumns(process.env, stderr))}\n`);
    },
    close,
  };
}

/** Ends the process quietly when the reader of a pipe has gone, as `selkie … | head` does. */
export function exitOnClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
      process.exit(process.exitCode ?? 0);
    });
}
