/**
 * @file The frame every verb runs in: common options, output, Ctrl-C, and errors as exit codes
 * (0 done, 1 the work failed, 2 the input or the command line is wrong, 3 done but the change was not accepted,
 * 130 interrupted).
 */
import { type Command, InvalidArgumentError, Option } from "commander";
import type { QuantisedFormat } from "../tensor/index.ts";
import { SelkieError, systemErrorCode } from "../util/index.ts";
import { InterruptedError, interruptedExitCode, listenForInterrupt } from "./interrupt.ts";
import { commandAgain } from "./invocation.ts";
import { createOutput, type Output } from "./output.ts";

/** Options of every verb. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly verbose?: boolean;
  readonly threads?: number;
}

/** What a verb's work is given. */
export interface VerbContext {
  readonly output: Output;
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
}

/** Exit code of work that was done, and whose result was not accepted: by the exam, or by the gate. */
export const rejectedExitCode = 3;

/** Adds the options of {@link CommonOptions}. */
export function withCommonOptions(command: Command): Command {
  return command
    .option("--json", "print exactly one JSON object on stdout; progress goes to stderr")
    .option("--threads <n>", "processor cores to use (default: all)", parseCount)
    .option("--verbose", "print the stack of unexpected errors");
}

/** `--weights`, of the verbs that leave a model's own weights alone. */
export function weightsOption(): Option {
  const formats = ["int8", "nf4"] satisfies QuantisedFormat[]; // spelled out, so that help need not load the engine
  return new Option(
    "--weights <format>",
    "quantise the model's matrices to 8 or 4 bits while loading (default: as stored)",
  ).choices(formats);
}

/** Runs `work` and turns its end into output and an exit code; `kept` says what an interruption leaves to go on from. */
export async function runVerb(
  options: CommonOptions,
  work: (context: VerbContext) => Promise<void>,
  kept: string | null = null,
): Promise<void> {
  const output = createOutput({ isJson: options.json ?? false });
  using interrupt = listenForInterrupt(() => output.note("selkie: stopping; press Ctrl-C again to end at once"));
  try {
    await work({ output, signal: interrupt.signal });
    output.close();
    if (interrupt.signal.aborted) process.exitCode = interruptedExitCode;
  } catch (error) {
    const cause: unknown = interrupt.signal.aborted ? interrupt.signal.reason : error; // however the work put it
    const told = cause instanceof InterruptedError ? describeInterruption(kept, process.argv.slice(2)) : cause;
    process.exitCode = reportError(told, output, options.verbose ?? false);
  }
}

/** What was interrupted is said with how to go on: the command to run again, and what it finds. */
export function describeInterruption(kept: string | null, args: readonly string[]): InterruptedError {
  const again = commandAgain(args);
  return new InterruptedError(
    kept === null
      ? `interrupted; nothing was kept. To run it again:\n  ${again}`
      : `interrupted; ${kept}. To go on from there:\n  ${again}`,
  );
}

/** Says what went wrong and returns the exit code. */
export function reportError(error: unknown, output: Output, isVerbose: boolean): number {
  const { exitCode, code, message } = describeError(error);
  const stack = isVerbose && error instanceof Error ? `\n${describeStack(error)}` : "";
  const hint = code === "unexpected" && !isVerbose ? " (run again with --verbose for the stack)" : "";
  output.note(`selkie: ${message}${hint}${stack}`);
  if (output.isJson) output.result({ error: { code, message } }, "");
  return exitCode;
}

function describeError(error: unknown): { exitCode: number; code: string; message: string } {
  if (error instanceof InterruptedError)
    return { exitCode: interruptedExitCode, code: "interrupted", message: error.message };
  if (error instanceof SelkieError)
    return { exitCode: error.isInputError ? 2 : 1, code: error.code, message: error.message };
  const refused = describeRefusal(error);
  if (refused !== null) return { exitCode: 1, code: "system-error", message: refused };
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return { exitCode: 1, code: "unexpected", message: `unexpected ${message}` };
}

/** What the system refused, where no layer below has said it better; `null` for other errors. */
function describeRefusal(error: unknown): string | null {
  const code = systemErrorCode(error);
  if (code === null) return null;
  const { path, syscall = "work" } = error as NodeJS.ErrnoException;
  const what = `${path ?? "the system"}: expected ${syscall} to succeed, got ${code}`;
  return `${what} (${(error as Error).message}); mend that and run the same command again`;
}

function describeStack(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${describeStack(error.cause)}` : "";
  return `${error.stack ?? error.message}${cause}`;
}

/** Option parser: a whole number of at least 1. */
export function parseCount(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1 || text.trim() === "")
    throw new InvalidArgumentError(`Expected a whole number of at least 1, got "${text}".`);
  return value;
}

/** Option parser: a whole number of at least 0. */
export function parseRounds(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0 || text.trim() === "")
    throw new InvalidArgumentError(`Expected a whole number of at least 0, got "${text}".`);
  return value;
}

/** Option parser: a number above 0. */
export function parsePositive(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0 || text.trim() === "")
    throw new InvalidArgumentError(`Expected a number above 0, got "${text}".`);
  return value;
}

/** Option parser: a whole number, which may be negative. */
export function parseSeed(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || text.trim() === "")
    throw new InvalidArgumentError(`Expected a whole number, got "${text}".`);
  return value;
}
