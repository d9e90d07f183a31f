/** @file What `adapt` and `demo` share: opening the model, running the adaptation, saving it, and telling what happened. */
import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import {
  type AdaptEvent,
  type AdaptOutcome,
  type AdaptReport,
  type AdaptSettings,
  type ArmReport,
  adapt,
  chunkPassages,
  createStageStore,
  loadCanaries,
  loadPrompts,
  type QuestionReport,
  writeWhole,
} from "../adapt/index.ts";
import { type Checkpoint, saveAdapter } from "../models/index.ts";
import type { SourcePassage } from "../tasks/index.ts";
import { SelkieError } from "../util/index.ts";
import { formatBar, formatSeconds, formatShare, formatTable, shorten } from "./format.ts";
import { openModel } from "./model.ts";
import { packageVersion } from "./paths.ts";
import type { VerbContext } from "./verb.ts";

/** What to learn, with what, and where the result goes. */
export interface AdaptationArgs {
  readonly modelDirectory: string;
  readonly passages: readonly SourcePassage[];
  /** Passages to take, counted after long ones were cut; `null` takes all, up to a size that ends in reasonable time. */
  readonly limit: number | null;
  readonly settings: AdaptSettings;
  readonly seed: number | string;
  /** `null` names the directory after the inputs: `runs/adapt-<digest>`. */
  readonly outDirectory: string | null;
  readonly threads: number | undefined;
  readonly precision: string | undefined;
}

/** Where everything went, and the report. */
export interface AdaptationResult {
  readonly outDirectory: string;
  /** Of the kept adapter; `null` when the change was rejected. */
  readonly adapterDirectory: string | null;
  readonly report: AdaptReport;
  readonly seconds: number;
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

function describeEvent({ stage, done, total }: AdaptEvent): string {
  const share = total === 0 ? 1 : done / total;
  return `${formatBar(share, 16)} ${stageNames[stage] ?? stage}${total > 1 ? ` ${Math.floor(done)}/${total}` : ""}`;
}

/** Everything that decides the result, as one digest: equal inputs resume, other inputs never share a directory. */
function inputsDigest(args: AdaptationArgs, baseDigest: string): string {
  const { passages, settings, seed } = args;
  const content = passages.map(({ id, title, context, questions }) => ({ id, title, context, questions }));
  return createHash("sha256")
    .update(JSON.stringify([packageVersion(), baseDigest, content, settings, seed]))
    .digest("hex");
}

const maxPassages = 200;

/** The passages cut to size and number; more than a person would wait for is refused unless asked for. */
function takePassages({ passages, limit, settings }: AdaptationArgs, { tokenizer }: Checkpoint): SourcePassage[] {
  const pieces = chunkPassages(passages, tokenizer, settings.maxPassageTokens);
  if (limit !== null) return pieces.slice(0, limit);
  if (pieces.length <= maxPassages) return pieces;
  throw new SelkieError(
    "bad-option",
    `adapt: expected at most ${maxPassages} passages of ${settings.maxPassageTokens} tokens, got ${pieces.length}; pass --limit n to take the first n, or --limit ${pieces.length} for all`,
  );
}

/** Runs the adaptation, or goes on with one that was interrupted, and writes adapter and report. */
export async function runAdaptation(args: AdaptationArgs, { output, signal }: VerbContext): Promise<AdaptationResult> {
  const began = performance.now();
  using model = await openModel(args.modelDirectory, { ...args, warn: output.note });
  const { checkpoint } = model;
  const passages = takePassages(args, checkpoint);
  const digest = inputsDigest({ ...args, passages }, checkpoint.digest);
  const outDirectory = args.outDirectory ?? join("runs", `adapt-${digest.slice(0, 12)}`);
  await claimDirectory(outDirectory, digest);
  const outcome = await adapt({
    checkpoint,
    templates: await loadPrompts(args.modelDirectory),
    canaries: await loadCanaries(args.modelDirectory),
    passages,
    settings: args.settings,
    seed: args.seed,
    store: createStageStore(join(outDirectory, "stages")),
    signal,
    onEvent: (event) => output.progress(describeEvent(event)),
  });
  const seconds = (performance.now() - began) / 1000;
  const adapterDirectory = await save(args, outcome, { outDirectory, baseDigest: checkpoint.digest, digest, seconds });
  return { outDirectory, adapterDirectory, report: outcome.report, seconds };
}

/** Marks the directory as belonging to these inputs, or refuses it when it belongs to others. */
async function claimDirectory(directory: string, digest: string): Promise<void> {
  const store = createStageStore(directory);
  const known = (await store.read("inputs")) as { digest?: string } | null;
  if (known === null) await store.write("inputs", { digest });
  else if (known.digest !== digest)
    throw new SelkieError(
      "bad-option",
      `--out ${directory}: expected an empty directory or a run with the same inputs, got a run with others; choose another directory`,
    );
}

interface SaveArgs {
  readonly outDirectory: string;
  readonly baseDigest: string;
  readonly digest: string;
  readonly seconds: number;
}

async function save(
  args: AdaptationArgs,
  { report, adapter, rawAdapter }: AdaptOutcome,
  where: SaveArgs,
): Promise<string | null> {
  const { outDirectory, baseDigest, digest, seconds } = where;
  const lineage = {
    run: digest,
    seed: args.seed,
    selkie: packageVersion(),
    passages: args.passages.map(({ id }) => id),
  };
  const isKept = report.decision === "kept";
  const adapterDirectory = join(outDirectory, isKept ? "adapter" : "rejected-adapter");
  await rm(join(outDirectory, isKept ? "rejected-adapter" : "adapter"), { recursive: true, force: true });
  const base = { baseModelNameOrPath: args.modelDirectory, baseDigest };
  await saveAdapter(adapterDirectory, adapter, {
    ...base,
    lineage: { ...lineage, trainedOn: "self-edits", decision: report.decision },
  });
  await saveAdapter(join(outDirectory, "raw-adapter"), rawAdapter, {
    ...base,
    lineage: { ...lineage, trainedOn: "raw text" },
  });
  await writeWhole(
    join(outDirectory, "report.json"),
    `${JSON.stringify({ ...report, seconds, settings: args.settings, seed: args.seed, base: baseDigest, arms: { base: report.base, raw: report.raw, adapted: report.adapted } }, null, 1)}\n`,
  );
  return isKept ? adapterDirectory : null;
}

/** The report as people read it. */
export function describeAdaptation(result: AdaptationResult, maxQuestions = 12): string {
  const { report, outDirectory, adapterDirectory, seconds } = result;
  return [
    describeAnswers(report, maxQuestions),
    describeArms(report),
    ...describeExam(report),
    report.decision === "kept"
      ? `The change is kept. Adapter: ${adapterDirectory}`
      : `The change is rejected: ${report.reasons.join("; ")}. The adapter is in ${join(outDirectory, "rejected-adapter")} for inspection.`,
    `Everything the run did: ${outDirectory} (${formatSeconds(seconds)})`,
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
    return [
      name,
      `${arm.numRight}/${report.numQuestions}`,
      formatShare(arm.accuracy),
      arm.accuracy === null ? "" : formatBar(arm.accuracy),
      `${numKept}/${numKnown}`,
      formatShare(kept),
    ];
  };
  const known = report.base.retention.measure === "right answers" ? "old answers kept" : "old answers unchanged";
  return formatTable(
    [
      ["trained on", "new answers right", "", "", known, ""],
      row("nothing", report.base),
      row("raw text", report.raw),
      row("its own self-edits", report.adapted),
    ],
    [1, 2, 4, 5],
  );
}

function describeExam(report: AdaptReport): string[] {
  const kinds = new Map<string, number>();
  for (const { chosen } of report.passages) kinds.set(chosen.kind, (kinds.get(chosen.kind) ?? 0) + 1);
  const chosen = [...kinds].map(([kind, count]) => `${count} × ${kind}`).join(", ");
  const lines = [
    `Chosen edits: ${chosen}; ${report.numDocuments} training documents and ${report.numReplay} of replay.`,
  ];
  const written = report.passages.filter(({ exam }) => exam === "self-written").length;
  const none = report.passages.filter(({ exam }) => exam === "none").length;
  if (written > 0)
    lines.push(
      `The model wrote the exam itself for ${written} of ${report.passages.length} passages: its questions and "right" answers may be wrong. Give your own with --questions.`,
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
