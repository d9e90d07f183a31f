/** @file What `adapt` and `demo` say: how far the work is, and what happened. */
import { join } from "node:path";
import type { AdaptReport, ArmReport, QuestionReport } from "../adapt/index.ts";
import { type AdaptationContext, type AdaptationResult, describeRegistered } from "../app/index.ts";
import type { SourcePassage } from "../tasks/index.ts";
import { countOf } from "../util/index.ts";
import { formatBar, formatSeconds, formatShare, formatTable, outputColumns, shorten, wrapText } from "./format.ts";
import { asStarted } from "./invocation.ts";
import type { Output } from "./output.ts";
import { createProgressTeller, describeEstimate, type ProgressTeller } from "./progress.ts";

const stageNames: Readonly<Record<string, string>> = {
  exam: "preparing the exam",
  before: "asking the model before it learns",
  propose: "the model writes self-edits",
  try: "trying the edits, passages done",
  replay: "the model recalls what it knows, for replay",
  train: "training the adapter, steps",
  after: "asking the model again",
};

/** Shows each stage as it begins and, now and then, how far it is and how long it takes. */
const tellProgress = (output: Output): ProgressTeller => createProgressTeller(output, { names: stageNames });

/** What an adaptation is told to tell: what it will take, before it begins, and then how far it is. */
export function adaptationListeners(
  output: Output,
  passages: readonly SourcePassage[],
): Pick<AdaptationContext, "onEvent" | "onEstimate"> {
  const tell = tellProgress(output);
  return {
    onEvent: tell,
    onEstimate(estimate) {
      output.note(describeEstimate(estimate, countOf(passages.length, "text")));
      tell.expect(estimate.secondsOf);
    },
  };
}

/** The report as people read it. */
export function describeAdaptation(result: AdaptationResult, maxQuestions = 12): string {
  const { report, runDirectory, adapterDirectory, seconds, isRepeated } = result;
  const prose = (text: string) => wrapText(text, outputColumns()).join("\n");
  return [
    describeAnswers(report, maxQuestions),
    describeArms(report),
    ...describeExam(report).map(prose),
    prose(
      report.decision === "kept"
        ? `The change is kept. Adapter: ${adapterDirectory}`
        : `The change is rejected: ${report.reasons.join("; ")}. The adapter is in ${join(runDirectory, "artifacts", "rejected-adapter")} for inspection.`,
    ),
    ...(result.registered === undefined ? [] : [asStarted(describeRegistered(result.registered))]),
    prose(
      `Everything the run did: ${runDirectory} (${formatSeconds(seconds)}${isRepeated ? ", finished earlier; --fresh runs it again" : ""})`,
    ),
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
  return `${formatTable([["question", "right answer", "before", "raw text", "self-edits"], ...rows])}${left > 0 ? `\n\n… and ${left} more in report.json` : ""}`;
}

function describeArms(report: AdaptReport): string {
  const hasBars = outputColumns() >= 80;
  const row = (name: string, arm: ArmReport) => {
    const { numKept, numKnown, kept } = arm.retention;
    return [
      name,
      `${arm.numRight}/${report.numQuestions} ${formatShare(arm.accuracy).padStart(6)}`,
      ...(hasBars ? [arm.accuracy === null ? "" : formatBar(arm.accuracy)] : []),
      `${numKept}/${numKnown} ${formatShare(kept).padStart(6)}`,
    ];
  };
  const known = report.base.retention.measure === "right answers" ? "old answers kept" : "old answers unchanged";
  return formatTable(
    [
      ["trained on", "new answers right", ...(hasBars ? [""] : []), known],
      row("nothing", report.base),
      row("raw text, as many updates", report.raw),
      row("its own self-edits", report.adapted),
    ],
    hasBars ? [1, 3] : [1, 2],
  );
}

function describeExam(report: AdaptReport): string[] {
  const kinds = new Map<string, number>();
  for (const { chosen } of report.passages) kinds.set(chosen.kind, (kinds.get(chosen.kind) ?? 0) + 1);
  const chosen = [...kinds].map(([kind, count]) => `${count} × ${kind}`).join(", ");
  const lines = [
    `Chosen edits: ${chosen}; ${countOf(report.numDocuments, "training document")} and ${report.numReplay} of replay; ${countOf(report.numUpdates, "update")}.`,
  ];
  const written = report.passages.filter(({ exam }) => exam === "self-written").length;
  const none = report.passages.filter(({ exam }) => exam === "none").length;
  if (written > 0)
    lines.push(
      `The model wrote the exam itself for ${written} of ${countOf(report.passages.length, "passage")}: its questions and "right" answers may be wrong. Give your own with --questions.`,
    );
  if (none > 0)
    lines.push(
      `For ${none} of ${countOf(report.passages.length, "passage")} there was no usable question: their edits were not compared.`,
    );
  if (report.isSelectionShared)
    lines.push("The same questions chose the edits and are reported, so the last row is optimistic.");
  if (report.numDropped > 0)
    lines.push(`${countOf(report.numDropped, "document")} left out of training for containing a question of the exam.`);
  return [lines.join("\n")];
}
