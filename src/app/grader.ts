/**
 * @file The grader, a program of its own: the store (`src/registry/grader-process.ts`) starts it with leave to read and none to write. It owns the exam:
 * it reads the sealed canaries and the candidate's files itself, checks both against their digests, examines, and
 * answers with one JSON object. Nothing of the candidate runs in it but its weights.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import {
  type Canaries,
  type Contradiction,
  type ContradictionArgs,
  checkGate,
  chooseNear,
  createExaminer,
  decideGate,
  decidePolicyGate,
  type EarlierRecord,
  type ExamContext,
  type ExamItem,
  examinePolicy,
  findContradictions,
  type GateDecision,
  type GateInputs,
  type GatePolicy,
  type HeldOutGain,
  loadKnown,
  loadPrompts,
  parseCanaries,
  questionsIn,
  type ServedAdapter,
  type SourceEdit,
  screenSources,
  type TrainingUsage,
} from "../adapt/index.ts";
import { type Engine, loadEngine, withAdapters } from "../engine/index.ts";
import { checkAdapterBase, loadAdapter } from "../models/index.ts";
import type { LoraAdapter } from "../nn/index.ts";
import {
  digestOf,
  type GradedFiles,
  type GraderReply,
  type GraderRequest,
  type Json,
  lineageFile,
  listFiles,
  type PolicyOrigin,
  recordId,
  type Verdict,
} from "../registry/index.ts";
import type { QuantisedFormat } from "../tensor/index.ts";
import { bootstrapMean, createRng, mean, SelkieError } from "../util/index.ts";
import { changedModelHint } from "./changed-model.ts";

/** What the store asks, with the gate and the usage as this program knows them. */
interface GradingRequest extends Omit<GraderRequest, "policy" | "usage" | "weights"> {
  readonly policy: GatePolicy;
  readonly usage: TrainingUsage;
  readonly weights: QuantisedFormat | undefined;
}

/** Names of a record's files that the grader reads, besides the adapter. */
export const examFile = "exam.json";
export const sourcesFile = "sources.json";
export const heldOutFile = "held-out.json";

/** Contents of `exam.json`. */
export interface RecordedExam {
  readonly source: GateInputs["examSource"];
  readonly items: readonly ExamItem[];
}

/**
 * Contents of `held-out.json`: what the run found, not the grader, which could not train that often. The grader takes the
 * shares of each passage from it and computes the rest anew.
 */
export interface RecordedHeldOut extends HeldOutGain {
  readonly perPassage: { readonly before: readonly number[]; readonly after: readonly number[] };
}

function readCanaries({ canariesPath, canariesDigest, base }: GradingRequest): string {
  const content = readFileSync(canariesPath, "utf8");
  if (digestOf(content) === canariesDigest) return content;
  throw new SelkieError(
    "canaries-changed",
    `${canariesPath}: expected sha256 ${canariesDigest}, got ${digestOf(content)}; the canaries of base ${base.slice(0, 12)} were changed after they were sealed, so nothing is examined with them`,
  );
}

/** Refuses to work where it could write: whoever started it left its flags out. */
function requireConfinement(): void {
  const permission = process.permission as typeof process.permission | undefined; // absent without --permission
  if (permission !== undefined && !permission.has("fs.write") && !permission.has("child")) return;
  throw new SelkieError("grader-failed", "grader: expected a process that may not write, got one that may");
}

function requireFiles({ recordId: id, objectDirectory }: GradedFiles): void {
  if (recordId(listFiles(objectDirectory)) !== id)
    throw new SelkieError("signature-invalid", `${objectDirectory}: its files are not the ones of record ${id}`);
}

const readRecorded = <T>(directory: string, name: string): T =>
  JSON.parse(readFileSync(join(directory, name), "utf8")) as T;

/** Opens a model that must have this digest, in this thread: the grader may start no other. */
async function openExact(directory: string, digest: string, request: GradingRequest): Promise<Engine> {
  const { threads, precision, weights } = request;
  const engine = await loadEngine(directory, { threads, precision, weights });
  if (engine.model.digest === digest) return engine;
  await engine[Symbol.asyncDispose]();
  throw new SelkieError(
    "adapter-mismatch",
    `promote: expected the base model with digest ${digest}, got ${engine.model.digest} in ${directory}; pass it with --model; ${changedModelHint}`,
  );
}

async function readServed(served: GradedFiles | null, base: string): Promise<ServedAdapter | null> {
  if (served === null) return null;
  requireFiles(served);
  const saved = await loadAdapter(served.objectDirectory);
  checkAdapterBase(saved, base);
  const { items } = readRecorded<RecordedExam>(served.objectDirectory, examFile);
  return { record: served.recordId, adapter: saved.adapter, questions: items };
}

/** What an earlier record was learned from and examined with. */
function readEarlier(files: GradedFiles): EarlierRecord {
  requireFiles(files);
  const sources = readRecorded<SourceEdit[]>(files.objectDirectory, sourcesFile);
  const { items } = readRecorded<RecordedExam>(files.objectDirectory, examFile);
  return { record: files.recordId, contexts: sources.map(({ context }) => context), questions: items };
}

async function gradeAdapter(request: GradingRequest, canaries: Canaries): Promise<GateDecision> {
  const { objectDirectory, modelDirectory, base, policy } = request;
  const exam = readRecorded<RecordedExam>(objectDirectory, examFile);
  const sources = readRecorded<SourceEdit[]>(objectDirectory, sourcesFile);
  const screenings = screenSources(sources);
  await using engine = await openExact(modelDirectory, base, request);
  const saved = await loadAdapter(objectDirectory);
  checkAdapterBase(saved, base);
  const served = await readServed(request.served, base);
  const templates = await loadPrompts(modelDirectory);
  const rng = createRng(request.recordId);
  const known = await loadKnown(modelDirectory);
  const asked = canaries.items.map(({ question }) => question);
  const near = chooseNear(
    known,
    sources.map(({ context }) => context),
    maxNear,
    asked,
  );
  const args = { engine, templates, adapter: saved.adapter, questions: exam.items, canaries, near, served, rng };
  const contradictions = await disagreements({ engine, templates }, saved.adapter, {
    sources,
    questions: [...exam.items, ...questionsIn(sources.flatMap(({ documents }) => documents))],
    known: [...(canaries.hasGold ? canaries.items : []), ...near],
    earlier: request.earlier.map(readEarlier),
    minProbability: policy.thresholds.minHeldProbability,
  });
  // whatever the lineage says, the rank is what the weights have
  const usage = { ...request.usage, loraRank: Math.max(request.usage.loraRank ?? 0, saved.adapter.loraRank) };
  let measure: Awaited<ReturnType<typeof createExaminer>> | undefined;
  // awaited here: the model is closed when this function returns
  const inputs = { screenings, usage, examSource: exam.source, contradictions, accepted: request.accepted };
  return await decideGate(policy, inputs, async (scale) => {
    measure ??= await createExaminer(args);
    return measure(scale);
  });
}

const maxNear = 60;

async function disagreements(
  context: ExamContext,
  adapter: LoraAdapter,
  args: ContradictionArgs,
): Promise<Contradiction[]> {
  return withAdapters(context.engine, [adapter], ([id]) => findContradictions(context, id!, args));
}

/** The gain as the passages' own shares have it, whatever the record says of their mean. */
function recompute(recorded: RecordedHeldOut | null, id: string): HeldOutGain | null {
  if (recorded === null) return null;
  const { before, after } = recorded.perPassage;
  const differences = before.map((share, index) => after[index]! - share); // no number where the two do not fit
  return {
    numPassages: differences.length,
    before: mean(before),
    after: mean(after),
    gain: bootstrapMean(differences, createRng(id).fork("gain")),
  };
}

async function gradePolicy(request: GradingRequest, canaries: Canaries): Promise<GateDecision> {
  const { objectDirectory, modelDirectory, base, policy, usage, suspectParents, accepted } = request;
  const heldOut = recompute(readRecorded<RecordedHeldOut | null>(objectDirectory, heldOutFile), request.recordId);
  const screenings = screenSources(readRecorded<SourceEdit[]>(objectDirectory, sourcesFile));
  const { digest } = readRecorded<{ origin: PolicyOrigin }>(objectDirectory, lineageFile).origin;
  const examSource = heldOut === null ? "none" : "given";
  return await decidePolicyGate(policy, { screenings, usage, examSource, suspectParents, accepted }, async () => {
    await using first = await openExact(modelDirectory, base, request);
    await using second = await openExact(objectDirectory, digest, request);
    const roomOf = async (engine: Engine) => ({
      engine,
      templates: await loadPrompts(engine.model.directory),
    });
    return await examinePolicy({ base: await roomOf(first), policy: await roomOf(second), canaries, heldOut });
  });
}

async function grade(asked: GradingRequest): Promise<GateDecision> {
  requireConfinement();
  const request = { ...asked, policy: checkGate(asked.policy, "gate") }; // whoever calls the store may pass anything
  const canaries = parseCanaries(readCanaries(request));
  requireFiles(request);
  return request.kind === "policy" ? gradePolicy(request, canaries) : gradeAdapter(request, canaries);
}

/** The decision as it goes into the store: figures and thresholds, not the texts. */
function toVerdict(decision: GateDecision): Verdict {
  const { outcome, reasons, scale, examinations, policy, usage, examSource, screenings, loosened } = decision;
  const { contradictions = [] } = decision;
  const measured = examinations.map(({ broken, criticalBroken, served, ...figures }) => ({
    ...figures,
    ...(served !== undefined && {
      served: { record: served.record, numRight: served.numRight, numLost: served.lost.length },
    }),
    numBroken: broken.length,
    numCriticalBroken: criticalBroken.length,
  }));
  const sources = screenings.map(({ id, support, injections }) => ({
    id,
    support: support.share,
    numClaims: support.numClaims,
    numUnsupported: support.unsupported.length,
    numInjections: injections.length,
  }));
  const details = { scale, examinations: measured, sources, contradictions, usage, examSource, policy, loosened };
  // as JSON has it, so that what is signed is what is read back
  return JSON.parse(JSON.stringify({ outcome, reasons, details })) as Verdict;
}

async function main(): Promise<void> {
  let reply: GraderReply;
  try {
    const decision = await grade(JSON.parse(await text(process.stdin)) as GradingRequest);
    reply = { verdict: toVerdict(decision), decision: decision as unknown as Json };
  } catch (error) {
    const code = error instanceof SelkieError ? error.code : "unexpected";
    reply = { error: { code, message: error instanceof Error ? error.message : String(error) } };
  }
  process.stdout.write(JSON.stringify(reply));
}

if (import.meta.main) await main();
