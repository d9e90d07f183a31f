/**
 * @file The grader, a program of its own: `grading.ts` starts it with leave to read and none to write. It owns the exam:
 * it reads the sealed canaries and the candidate's files itself, checks both against their digests, examines, and
 * answers with one JSON object. Nothing of the candidate runs in it but its weights.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import {
  createExaminer,
  decideGate,
  type ExamItem,
  type GateDecision,
  type GateInputs,
  type GatePolicy,
  loadPrompts,
  parseCanaries,
  type SourceEdit,
  screenSources,
  type TrainingUsage,
} from "../adapt/index.ts";
import { checkAdapterBase, loadAdapter } from "../models/index.ts";
import { digestOf, listFiles, recordId } from "../registry/index.ts";
import type { QuantisedFormat } from "../tensor/index.ts";
import { createRng, SelkieError } from "../util/index.ts";
import { openModel } from "./model.ts";

/** What the grader is asked. */
export interface GraderRequest {
  readonly recordId: string;
  readonly objectDirectory: string;
  readonly modelDirectory: string;
  /** Digest of the model the candidate is of. */
  readonly base: string;
  readonly canariesPath: string;
  readonly canariesDigest: string;
  readonly policy: GatePolicy;
  readonly usage: TrainingUsage;
  readonly threads: number | undefined;
  readonly precision: string | undefined;
  readonly weights: QuantisedFormat | undefined;
}

/** What it answers. */
export type GraderReply =
  | { readonly decision: GateDecision }
  | { readonly error: { readonly code: string; readonly message: string } };

/** Names of a record's files that the grader reads, besides the adapter. */
export const examFile = "exam.json";
export const sourcesFile = "sources.json";

/** Contents of `exam.json`. */
export interface RecordedExam {
  readonly source: GateInputs["examSource"];
  readonly items: readonly ExamItem[];
}

function readCanaries({ canariesPath, canariesDigest, base }: GraderRequest): string {
  const content = readFileSync(canariesPath, "utf8");
  if (digestOf(content) === canariesDigest) return content;
  throw new SelkieError(
    "canaries-changed",
    `${canariesPath}: expected sha256 ${canariesDigest}, got ${digestOf(content)}; the canaries of base ${base.slice(0, 12)} were changed after they were sealed, so nothing is examined with them`,
  );
}

async function grade(request: GraderRequest): Promise<GateDecision> {
  const { objectDirectory, modelDirectory, base } = request;
  const canaries = parseCanaries(readCanaries(request));
  if (recordId(listFiles(objectDirectory)) !== request.recordId)
    throw new SelkieError(
      "signature-invalid",
      `${objectDirectory}: its files are not the ones of record ${request.recordId}`,
    );
  const read = <T>(name: string) => JSON.parse(readFileSync(join(objectDirectory, name), "utf8")) as T;
  const exam = read<RecordedExam>(examFile);
  const screenings = screenSources(read<SourceEdit[]>(sourcesFile));
  using model = await openModel(modelDirectory, request);
  const { checkpoint } = model;
  if (checkpoint.digest !== base)
    throw new SelkieError(
      "adapter-mismatch",
      `promote: expected the base model with digest ${base}, got ${checkpoint.digest} in ${modelDirectory}; pass it with --model`,
    );
  const saved = await loadAdapter(objectDirectory);
  checkAdapterBase(saved, checkpoint.digest);
  let measure: Awaited<ReturnType<typeof createExaminer>> | undefined;
  const templates = await loadPrompts(modelDirectory);
  const rng = createRng(request.recordId);
  const args = { checkpoint, templates, adapter: saved.adapter, questions: exam.items, canaries, rng };
  // awaited here: the model is closed when this function returns
  return await decideGate(
    request.policy,
    { screenings, usage: request.usage, examSource: exam.source },
    async (scale) => {
      measure ??= await createExaminer(args);
      return measure(scale);
    },
  );
}

async function main(): Promise<void> {
  let reply: GraderReply;
  try {
    reply = { decision: await grade(JSON.parse(await text(process.stdin)) as GraderRequest) };
  } catch (error) {
    const code = error instanceof SelkieError ? error.code : "unexpected";
    reply = { error: { code, message: error instanceof Error ? error.message : String(error) } };
  }
  process.stdout.write(JSON.stringify(reply));
}

if (import.meta.main) await main();
