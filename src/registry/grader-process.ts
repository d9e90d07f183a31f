/**
 * @file Starts the grader: a program of this package, in a process of its own that may read and not write. The store asks
 * it and takes nobody else's word, so which program it is cannot be chosen by whoever uses the store.
 */
import { spawn } from "node:child_process";
import { extname } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { SelkieError } from "../util/index.ts";
import type { Json } from "./json.ts";
import type { RecordKind, Verdict } from "./record.ts";

/** A record's files, and the id they must have. */
export interface GradedFiles {
  readonly recordId: string;
  readonly objectDirectory: string;
}

/** What the grader is asked. */
export interface GraderRequest extends GradedFiles {
  readonly kind: RecordKind;
  readonly modelDirectory: string;
  /** Digest of the model the candidate is of. */
  readonly base: string;
  readonly canariesPath: string;
  readonly canariesDigest: string;
  /** The gate: thresholds and budgets, as the grader knows them. */
  readonly policy: Json;
  /** What the training used, as far as the record says; adapters or policies stored within a day. */
  readonly usage: Json;
  /** The adapter that the candidate would replace; `null` where there is none, and for policies. */
  readonly served: GradedFiles | null;
  /** Adapters of the same base that were promoted before, whose passages may not be contradicted unseen. */
  readonly earlier: readonly GradedFiles[];
  /** Parents of a policy that were quarantined. */
  readonly suspectParents: readonly string[];
  /** Reasons for quarantine that a person has lifted. */
  readonly accepted: readonly string[];
  readonly threads?: number | undefined;
  readonly precision?: string | undefined;
  readonly weights?: string | undefined;
}

/** What the grader found. */
export interface Examination {
  readonly verdict: Verdict;
  /** The whole decision with the texts that the verdict leaves out, as the grader's own type has it. */
  readonly decision: Json;
}

/** What it answers. */
export type GraderReply = Examination | { readonly error: { readonly code: string; readonly message: string } };

/** Examines a stored record. */
export type Grader = (request: GraderRequest, signal: AbortSignal) => Promise<Examination>;

/** Node's permission model takes every right to write from the process; native kernels need leave to load. */
export const graderFlags: readonly string[] = [
  "--permission",
  "--allow-fs-read=*",
  "--allow-addons",
  "--disable-warning=ExperimentalWarning",
  "--disable-warning=SecurityWarning",
];

/** Has this package's grader examine a record. */
export const gradeInProcess: Grader = async (request, signal) => {
  const program = fileURLToPath(new URL(`../app/grader${extname(import.meta.filename)}`, import.meta.url));
  // Node's own variables could load code into the grader, or make it write its coverage or its code cache
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("NODE_")));
  const child = spawn(process.execPath, [...graderFlags, program], { stdio: ["pipe", "pipe", "pipe"], env, signal });
  const exit = new Promise<number | null>((resolve, reject) => child.on("error", reject).on("close", resolve));
  child.stdin.end(JSON.stringify(request));
  const [reply, complaint, code] = await Promise.all([text(child.stdout), text(child.stderr), exit]);
  let parsed: GraderReply;
  try {
    parsed = JSON.parse(reply) as GraderReply;
  } catch (cause) {
    throw new SelkieError(
      "grader-failed",
      `grader: ended with ${code} and no answer: ${complaint.trim() || "no message"}`,
      { cause },
    );
  }
  if ("error" in parsed) throw new SelkieError(parsed.error.code, parsed.error.message);
  return parsed;
};
