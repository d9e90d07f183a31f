/** @file What `adapt` and `demo` share: opening the model, running the adaptation, saving it, and telling what happened. */
import { cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  type AdaptEvent,
  type AdaptOutcome,
  type AdaptReport,
  type AdaptSettings,
  type ArmReport,
  adapt,
  type Familiarity,
  loadCanaries,
  loadPrompts,
  type QuestionReport,
  stagesOf,
} from "../adapt/index.ts";
import { type Checkpoint, saveAdapter } from "../models/index.ts";
import { createRun, digestOf, type Json, type Run, type RunRequest } from "../registry/index.ts";
import type { SourcePassage } from "../tasks/index.ts";
import type { QuantisedFormat } from "../tensor/index.ts";
import { SelkieError } from "../util/index.ts";
import { cutPassages, tellFamiliarity } from "./entrance.ts";
import { formatBar, formatSeconds, formatShare, formatTable, shorten } from "./format.ts";
import { type OpenModel, openModel } from "./model.ts";
import type { Output } from "./output.ts";
import { packageVersion } from "./paths.ts";
import { describeRegistered, type Registered, type Registration, registerAdaptation } from "./registration.ts";
import { loadGate, openVerbStore } from "./store.ts";
import type { RegisterTarget } from "./store-options.ts";
import type { VerbContext } from "./verb.ts";

/** What to learn, with what, and where the result goes. */
export interface AdaptationArgs {
  readonly modelDirectory: string;
  readonly passages: readonly SourcePassage[];
  /** Take on more passages than a person would wait for. */
  readonly isLarge: boolean;
  readonly settings: AdaptSettings;
  readonly seed: number | string;
  /** Receives a copy of adapter and report; `null` leaves them in the run's directory alone. */
  readonly outDirectory: string | null;
  /** Forget an earlier run of the same inputs. */
  readonly isFresh: boolean;
  readonly threads: number | undefined;
  readonly precision: string | undefined;
  readonly weights: QuantisedFormat | undefined;
  /** Store that receives the adapter as a candidate. @defaultValue it is not stored */
  readonly register?: RegisterTarget | null;
}

/** Where everything went, and the report. */
export interface AdaptationResult {
  readonly runDirectory: string;
  /** Of the kept adapter; `null` when the change was rejected. */
  readonly adapterDirectory: string | null;
  readonly report: AdaptReport;
  /** How well the documents suit the model, measured before the work. */
  readonly familiarity: Familiarity;
  readonly seconds: number;
  /** True when an earlier run of the same inputs had finished and its result is repeated here. */
  readonly isRepeated: boolean;
  /** Record and judgement, where the adapter was stored. */
  readonly registered?: Registered;
}

const stageNames: Readonly<Record<string, string>> = {
  exam: "preparing the exam",
  before: "asking the model before it learns",
  propose: "the model writes self-edits",
  try: "trying the edits, passages done",
  replay: "the model recalls what it knows, for replay",
  train: "training the adapter, steps",
  after: "asking the model again",
};

function describeEvent({ stage, done, total, note }: AdaptEvent): string {
  const share = total === 0 ? 1 : done / total;
  const count = total > 1 ? ` ${Math.floor(done)}/${total}` : "";
  return `${formatBar(share, 16)} ${stageNames[stage] ?? stage}${count}${note === undefined ? "" : `  ${note}`}`;
}

type Listener = (event: AdaptEvent) => void;

/** Shows each stage as it begins and, now and then, how far it is. */
function tellProgress(output: Output): Listener {
  let current = "";
  return (event) => {
    output.progress(describeEvent(event), { isStage: event.stage !== current });
    current = event.stage;
  };
}

/** Runs the adaptation, goes on with one that was interrupted, or repeats the result of one that finished; then stores it. */
export async function runAdaptation(args: AdaptationArgs, context: VerbContext): Promise<AdaptationResult> {
  const { result, registration } = await learn(args, context);
  const { register = null, threads, precision, weights } = args;
  if (register === null) return result;
  context.output.progress("the gate examines the adapter", { isStage: true });
  using store = openVerbStore(register, { create: true });
  const policy = loadGate(register.store, register.gate);
  const options = { policy, threads, precision, weights, signal: context.signal };
  return { ...result, registered: await registerAdaptation(store, registration, options) };
}

interface Learned {
  readonly result: AdaptationResult;
  readonly registration: Registration;
}

/** The adaptation itself; the model is closed again when it returns. */
async function learn(args: AdaptationArgs, { output, signal }: VerbContext): Promise<Learned> {
  const began = performance.now();
  using model = await openModel(args.modelDirectory, { ...args, warn: output.note });
  const { checkpoint } = model;
  const templates = await loadPrompts(args.modelDirectory);
  const reader = { checkpoint, templates };
  const passages = cutPassages(args, reader, output.note);
  const familiarity = await tellFamiliarity(reader, args.modelDirectory, passages, output.note, signal);
  const request = describeRun(args, passages, model);
  using run = createRun(runsRoot, request, { clock: Date.now, isFresh: args.isFresh });
  if (run.status === "resumed") output.note(`going on with ${run.directory}`);
  if (run.status !== "finished") {
    const outcome = await adapt({
      checkpoint,
      templates,
      canaries: await loadCanaries(args.modelDirectory),
      passages,
      settings: args.settings,
      seed: args.seed,
      store: stagesOf(run),
      signal,
      onEvent: tellProgress(output),
    });
    await save(args, run, outcome, {
      base: checkpoint,
      familiarity,
      seconds: (performance.now() - began) / 1000,
    });
  }
  const { report, seconds } = readReport(run);
  const name = report.decision === "kept" ? "adapter" : "rejected-adapter";
  if (args.outDirectory !== null)
    for (const artifact of [name, "raw-adapter", "report.json"])
      await copyInto(run.artifactPath(artifact), args.outDirectory, artifact);
  const place = args.outDirectory === null ? run.artifactPath(name) : join(args.outDirectory, name);
  const { modelDirectory, settings, seed } = args;
  return {
    result: {
      runDirectory: run.directory,
      adapterDirectory: report.decision === "kept" ? place : null,
      report,
      familiarity,
      seconds,
      isRepeated: run.status === "finished",
    },
    registration: {
      adapterDirectory: run.artifactPath(name),
      modelDirectory,
      base: checkpoint.digest,
      passages,
      report,
      settings,
      seed,
      run: run.manifest.runId,
    },
  };
}

const runsRoot = "runs";

/** What {@link save} wrote, without what is measured anew each time. */
function readReport(run: Run): { readonly report: AdaptReport; readonly seconds: number } {
  const text = run.readArtifact("report.json")!.toString("utf8");
  type Saved = AdaptReport & { readonly seconds: number; readonly familiarity?: Familiarity };
  const { seconds, familiarity: _, ...report } = JSON.parse(text) as Saved;
  return { report, seconds };
}

/** Everything that decides the result, down to the arithmetic: equal requests share a directory, others never do. */
function describeRun(args: AdaptationArgs, passages: readonly SourcePassage[], model: OpenModel): RunRequest {
  const { checkpoint, backend } = model;
  const content = passages.map(({ id, title, context, questions }) => ({ id, title, context, questions }));
  const { instructionSet } = backend;
  const config = { settings: args.settings, precision: checkpoint.lm.precision, instructionSet } as unknown as Json;
  return {
    kind: "adapt",
    config,
    inputs: { base: checkpoint.digest, passages: digestOf(JSON.stringify(content)) },
    seed: args.seed,
  };
}

async function copyInto(from: string, directory: string, name: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true });
    await cp(from, join(directory, name), { recursive: true, force: true });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new SelkieError(
      "write-failed",
      `--out ${directory}: could not be written (${code}); the result is in ${from}`,
      { cause },
    );
  }
}

/** Writes adapters and report into the run and marks it finished. */
async function save(
  args: AdaptationArgs,
  run: Run,
  outcome: AdaptOutcome,
  about: { base: Pick<Checkpoint, "digest" | "parts">; familiarity: Familiarity; seconds: number },
): Promise<void> {
  const { report, adapter, rawAdapter } = outcome;
  const lineage = { run: run.manifest.runId, seed: args.seed, selkie: packageVersion(), decision: report.decision };
  const { digest: baseDigest, parts: baseParts } = about.base;
  const base = { baseModelNameOrPath: args.modelDirectory, baseDigest, baseParts };
  const name = report.decision === "kept" ? "adapter" : "rejected-adapter";
  await saveAdapter(run.artifactPath(name), adapter, { ...base, lineage: { ...lineage, trainedOn: "self-edits" } });
  await saveAdapter(run.artifactPath("raw-adapter"), rawAdapter, {
    ...base,
    lineage: { ...lineage, trainedOn: "raw text" },
  });
  run.writeArtifact(
    "report.json",
    `${JSON.stringify({ ...report, familiarity: about.familiarity, seconds: about.seconds }, null, 1)}\n`,
  );
  run.finish({ decision: report.decision, reasons: report.reasons, adapter: name });
}

/** The report as people read it. */
export function describeAdaptation(result: AdaptationResult, maxQuestions = 12): string {
  const { report, runDirectory, adapterDirectory, seconds, isRepeated } = result;
  return [
    describeAnswers(report, maxQuestions),
    describeArms(report),
    ...describeExam(report),
    report.decision === "kept"
      ? `The change is kept. Adapter: ${adapterDirectory}`
      : `The change is ${report.decision === "rejected" ? "rejected" : "not examined, so it is not kept"}: ${report.reasons.join("; ")}. The adapter is in ${join(runDirectory, "artifacts", "rejected-adapter")} for inspection.`,
    ...(result.registered === undefined ? [] : [describeRegistered(result.registered)]),
    `Everything the run did: ${runDirectory} (${formatSeconds(seconds)}${isRepeated ? ", finished earlier; --fresh runs it again" : ""})`,
  ].join("\n\n");
}

const mark = ({ prediction, isRight }: QuestionReport["base"], width: number): string =>
  `${isRight ? "✓" : "·"} ${shorten(prediction === "" ? "(nothing)" : prediction, width)}`;

function describeAnswers(report: AdaptReport, maxQuestions: number): string {
  const answers = report.passages.flatMap((passage) => passage.answers);
  if (answers.length === 0) return "No question was asked: none was given and the model wrote none that could be read.";
  const every = Math.max(1, Math.ceil(answers.length / maxQuestions));
  const shown = answers.filter((_, index) => index % every === 0);
  const rows = shown.map(({ question, gold, base, raw, adapted }) => [
    shorten(question, 44),
    shorten(gold, 18),
    mark(base, 16),
    mark(raw, 16),
    mark(adapted, 16),
  ]);
  const left = answers.length - shown.length;
  return `${formatTable([["question", "right answer", "before", "raw text", "self-edits"], ...rows])}${left > 0 ? `\n… and ${left} more in report.json` : ""}`;
}

function describeArms(report: AdaptReport): string {
  const row = (name: string, arm: ArmReport) => {
    const { numKept, numKnown, kept } = arm.retention;
    const isExamined = arm.accuracy !== null;
    return [
      name,
      isExamined ? `${arm.numRight}/${report.numQuestions}` : "not examined",
      isExamined ? formatShare(arm.accuracy) : "",
      arm.accuracy === null ? "" : formatBar(arm.accuracy),
      `${numKept}/${numKnown}`,
      formatShare(kept),
      ...(arm.near === null ? [] : [`${arm.near.numKept}/${arm.near.numKnown}`]),
    ];
  };
  const known = report.base.retention.measure === "right answers" ? "old answers kept" : "old answers unchanged";
  return formatTable(
    [
      ["trained on", "new answers right", "", "", known, "", ...(report.base.near === null ? [] : ["near the text"])],
      row("nothing", report.base),
      row("raw text", report.raw),
      row("its own self-edits", report.adapted),
    ],
    [1, 2, 4, 5, 6],
  );
}

function describeExam(report: AdaptReport): string[] {
  const kinds = new Map<string, number>();
  for (const { chosen, isLearned } of report.passages)
    if (isLearned) kinds.set(chosen.kind, (kinds.get(chosen.kind) ?? 0) + 1);
  const chosen = [...kinds].map(([kind, count]) => `${count} × ${kind}`).join(", ");
  const lines = [
    `Chosen edits: ${chosen || "none"}; ${report.numDocuments} training documents and ${report.numReplay} of replay.`,
  ];
  lines.push(...describeScreen(report));
  const written = report.passages.filter(({ exam }) => exam === "self-written").length;
  const none = report.passages.filter(({ exam }) => exam === "none").length;
  if (written > 0)
    lines.push(
      `The model wrote the exam itself for ${written} of ${report.passages.length} passages: its questions and "right" answers may be wrong. Give your own with --questions.${describeSelfWritten(report)}`,
    );
  if (none > 0)
    lines.push(
      `For ${none} of ${report.passages.length} passages there was no usable question: their edits were not compared.`,
    );
  if (report.isSelectionShared)
    lines.push("The same questions chose the edits and are reported, so the last row is optimistic.");
  if (report.numDropped > 0)
    lines.push(
      `${report.numDropped} documents were left out of training because they contained a question of the exam.`,
    );
  return [lines.join("\n")];
}

const maxContradictions = 4;

/** What the screen left out of training, and what contradicts the model. */
function describeScreen({ passages, numRefused, numIrrelevant, contradictions }: AdaptReport): string[] {
  const lines: string[] = [];
  const first = passages.flatMap(({ refused }) => refused)[0];
  if (first !== undefined)
    lines.push(
      `${numRefused} documents of the edits were left out because their passage does not bear them out, such as "${shorten(first.document.replace(/\s+/g, " "), 80)}" (${first.why}).`,
    );
  for (const { id, refused } of passages.filter(({ isLearned }) => !isLearned))
    lines.push(`${id} was not learned: no edit of it passed the screen (${refused.at(-1)?.why ?? "none had text"}).`);
  if (numIrrelevant > 0)
    lines.push(`${numIrrelevant} questions that the model wrote were not asked: they are not about their passage.`);
  for (const { about, says, held, probability } of contradictions.slice(0, maxContradictions))
    lines.push(
      `Contradicts what the model knew: "${about}" is ${says} now, and was ${held}${probability === null ? "" : ` (probability ${probability.toFixed(2)})`}.`,
    );
  if (contradictions.length > maxContradictions)
    lines.push(`… and ${contradictions.length - maxContradictions} more contradictions in report.json.`);
  return lines;
}

/** The questions that do not count because others were given. */
function describeSelfWritten({ base, adapted }: AdaptReport): string {
  if (base.selfWritten === null || adapted.selfWritten === null) return "";
  const { numQuestions, numRight } = adapted.selfWritten;
  return ` They do not count beside those given: ${numRight} of ${numQuestions} right after, ${base.selfWritten.numRight} before.`;
}
