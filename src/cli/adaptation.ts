/** @file What `adapt` and `demo` say: how far the work is, and what happened. */
import { join } from "node:path";
import type { AdaptReport, ArmReport, QuestionReport } from "../adapt/index.ts";
import { type AdaptationContext, type AdaptationResult, describeRegistered } from "../app/index.ts";
import type { SourcePassage } from "../tasks/index.ts";
import { countOf } from "../util/index.ts";
import { formatBar, formatSeconds, formatShare, formatTable, outputColumns, shorten, wrapProse } from "./format.ts";
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
  return [
    describeAnswers(report, maxQuestions),
    describeArms(report),
    ...describeExam(report).map(wrapProse),
    wrapProse(
      report.decision === "kept"
        ? `The change is kept. Adapter: ${adapterDirectory}`
        : `The change is ${report.decision === "rejected" ? "rejected" : "not examined, so it is not kept"}: ${report.reasons.join("; ")}.${report.numUpdates === 0 ? " Nothing was trained." : ` The adapter is in ${join(runDirectory, "artifacts", "rejected-adapter")} for inspection.`}`,
    ),
    ...(result.registered === undefined ? [] : [wrapProse(asStarted(describeRegistered(result.registered)))]),
    wrapProse(
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
    const isExamined = arm.accuracy !== null;
    return [
      name,
      isExamined ? `${arm.numRight}/${report.numQuestions} ${formatShare(arm.accuracy).padStart(6)}` : "not examined",
      ...(hasBars ? [arm.accuracy === null ? "" : formatBar(arm.accuracy)] : []),
      `${numKept}/${numKnown} ${formatShare(kept).padStart(6)}`,
      ...(arm.near === null ? [] : [`${arm.near.numKept}/${arm.near.numKnown}`]),
    ];
  };
  const known = report.base.retention.measure === "right answers" ? "old answers kept" : "old answers unchanged";
  return formatTable(
    [
      [
        "trained on",
        "new answers right",
        ...(hasBars ? [""] : []),
        known,
        ...(report.base.near === null ? [] : ["near the text"]),
      ],
      row("nothing", report.base),
      row("raw text, as many updates", report.raw),
      row("its own self-edits", report.adapted),
    ],
    hasBars ? [1, 3, 4] : [1, 2, 3],
  );
}

function describeExam(report: AdaptReport): string[] {
  const kinds = new Map<string, number>();
  for (const { chosen, isLearned } of report.passages)
    if (isLearned) kinds.set(chosen.kind, (kinds.get(chosen.kind) ?? 0) + 1);
  const chosen = [...kinds].map(([kind, count]) => `${count} × ${kind}`).join(", ");
  const lines = [
    `Chosen edits: ${chosen || "none"}; ${countOf(report.numDocuments, "training document")} and ${report.numReplay} of replay; ${countOf(report.numUpdates, "update")}.`,
  ];
  lines.push(...describeScreen(report));
  const written = report.passages.filter(({ exam }) => exam === "self-written").length;
  const none = report.passages.filter(({ exam }) => exam === "none").length;
  if (written > 0)
    lines.push(
      `The model wrote the exam itself for ${written} of ${countOf(report.passages.length, "passage")}: its questions and "right" answers may be wrong. Give your own with --questions.${describeSelfWritten(report)}`,
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

const maxContradictions = 4;

/** What the screen left out of training, and what contradicts the model. */
function describeScreen({ passages, numRefused, numIrrelevant, contradictions }: AdaptReport): string[] {
  const lines: string[] = [];
  const first = passages.flatMap(({ refused }) => refused)[0];
  if (first !== undefined)
    lines.push(
      `${countOf(numRefused, "document")} of the edits left out because the passage does not bear them out, such as "${shorten(first.document.split(/\s+/).join(" "), 80)}" (${first.why}).`,
    );
  for (const { id, refused } of passages.filter(({ isLearned }) => !isLearned))
    lines.push(`${id} was not learned: no edit of it passed the screen (${refused.at(-1)?.why ?? "none had text"}).`);
  if (numIrrelevant > 0)
    lines.push(`Not asked, being not about their passage: ${countOf(numIrrelevant, "question")} that the model wrote.`);
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
