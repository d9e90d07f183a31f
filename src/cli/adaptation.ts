/** @file What `adapt` and `demo` say: how far the work is, and what happened. */
import { join } from "node:path";
import type { AdaptEvent, AdaptReport, ArmReport, QuestionReport } from "../adapt/index.ts";
import { type AdaptationResult, describeRegistered } from "../app/index.ts";
import { formatBar, formatSeconds, formatShare, formatTable, shorten } from "./format.ts";
import type { Output } from "./output.ts";

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

/** Shows each stage as it begins and, now and then, how far it is. */
export function tellProgress(output: Output): (event: AdaptEvent) => void {
  let current = "";
  return (event) => {
    output.progress(describeEvent(event), { isStage: event.stage !== current });
    current = event.stage;
  };
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
      : `The change is rejected: ${report.reasons.join("; ")}. The adapter is in ${join(runDirectory, "artifacts", "rejected-adapter")} for inspection.`,
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
