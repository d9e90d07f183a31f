/** @file What an adaptation reports, and the rule that keeps or rejects the change. */

import type { SourcePassage } from "../tasks/index.ts";
import { countOf } from "../util/index.ts";
import type { PassageExam } from "./build-exam.ts";
import { type Canaries, measureRetention, type Retention } from "./canaries.ts";
import type { CandidateResult, ProposedEdit } from "./candidates.ts";
import { accuracy, type ExamAnswer, type ExamItem, type ExamResults, meanGoldLogprob } from "./exam.ts";
import type { Contradiction } from "./gate/contradictions.ts";
import type { RefusedDocument } from "./screened.ts";
import type { AdaptSettings } from "./settings.ts";

/** How one model did on the report questions and the canaries. */
export interface ArmReport {
  /** Share of the questions that count answered right ({@link AdaptReport.examSource}); `null` without questions. */
  readonly accuracy: number | null;
  readonly numRight: number;
  /** Mean log-probability of the gold answers, nats per token. */
  readonly goldLogprob: number | null;
  /** Questions that the model wrote itself where others count; `null` where there are none. */
  readonly selfWritten: { readonly numQuestions: number; readonly numRight: number } | null;
  readonly retention: Retention;
  /** Known facts about the same names and values as the passages; `null` where the model's directory names none. */
  readonly near: Retention | null;
}

/** One candidate edit in numbers. */
export interface CandidateReport {
  readonly kind: string;
  /** On the selection questions; `null` also when the screen refused the edit. */
  readonly accuracy: number | null;
  readonly goldLogprob: number | null;
  readonly numDocuments: number;
  /** Documents that the screen left out. */
  readonly numRefused: number;
}

/** One question before and after. */
export interface QuestionReport {
  readonly question: string;
  readonly gold: string;
  readonly base: ExamAnswer;
  readonly raw: ExamAnswer;
  readonly adapted: ExamAnswer;
}

/** One passage's way through the run. */
export interface PassageReport {
  readonly id: string;
  readonly exam: PassageExam["source"];
  /** False when the screen refused all edits: then nothing of the passage was trained on. */
  readonly isLearned: boolean;
  /** What the screen left out of its edits, each document once. */
  readonly refused: readonly RefusedDocument[];
  readonly chosen: ProposedEdit;
  readonly candidates: readonly CandidateReport[];
  readonly answers: readonly QuestionReport[];
}

/** What an adaptation found. */
export interface AdaptReport {
  /** Where the questions that count come from: those given, where any were, else what the model wrote itself. */
  readonly examSource: PassageExam["source"];
  /** Questions that count. */
  readonly numQuestions: number;
  /** Questions that the model wrote and that were not asked, because they are not about their passage. */
  readonly numIrrelevant: number;
  readonly numDocuments: number;
  readonly numReplay: number;
  /** Updates of the adapter, and as many of the one trained on the raw passages, `raw`, that it is compared with. */
  readonly numUpdates: number;
  /** Documents left out because they contained a question of the exam. */
  readonly numDropped: number;
  /** Documents of all edits that the screen left out. */
  readonly numRefused: number;
  /** True when a question both chose among edits and is reported: the figure is then optimistic. */
  readonly isSelectionShared: boolean;
  readonly base: ArmReport;
  readonly raw: ArmReport;
  readonly adapted: ArmReport;
  readonly passages: readonly PassageReport[];
  /** Given questions to which the model was sure of another answer. */
  readonly contradictions: readonly Contradiction[];
  /** `not-examined` when there was no question about the passages: nothing is known of what was learned. */
  readonly decision: "kept" | "rejected" | "not-examined";
  /** Why the change was not kept; empty when it was. */
  readonly reasons: readonly string[];
}

/** Inputs of {@link buildReport}. */
export interface ReportArgs {
  readonly pieces: readonly SourcePassage[];
  readonly exams: readonly PassageExam[];
  readonly canaries: Canaries;
  readonly near: readonly ExamItem[] | null;
  readonly settings: Pick<AdaptSettings, "minKept" | "minKeptNear">;
  readonly contradictions: readonly Contradiction[];
  readonly edits: readonly (readonly ProposedEdit[])[];
  readonly trials: readonly (readonly (CandidateResult | null)[])[];
  readonly chosen: readonly ProposedEdit[];
  readonly results: { readonly base: ExamResults; readonly raw: ExamResults; readonly adapted: ExamResults };
  readonly counts: Pick<AdaptReport, "numDocuments" | "numReplay" | "numDropped" | "numUpdates">;
}

/** Puts the parts together and judges the change. */
export function buildReport(args: ReportArgs): AdaptReport {
  const { results, exams } = args;
  const sources = exams.flatMap(({ source, report }) => report.map(() => source));
  const examSource = sources.includes("given") ? "given" : sources.length > 0 ? "self-written" : "none";
  const isCounted = sources.map((source) => source === examSource);
  const arm = (results: ExamResults): ArmReport => reportArm(args, results, isCounted);
  const [base, adapted] = [arm(results.base), arm(results.adapted)];
  const passages = reportPassages(args);
  const numIrrelevant = exams.reduce((sum, exam) => sum + (exam.numIrrelevant ?? 0), 0);
  const reasons = judge(base, adapted, args, { numIrrelevant, passages });
  return {
    examSource,
    numQuestions: isCounted.filter(Boolean).length,
    numIrrelevant,
    ...args.counts,
    numRefused: args.edits.flat().reduce((sum, { refused }) => sum + refused.length, 0),
    isSelectionShared: exams.some(({ selection, report }) =>
      report.some(({ question }) => selection.some((item) => item.question === question)),
    ),
    base,
    raw: arm(results.raw),
    adapted,
    passages,
    contradictions: args.contradictions,
    decision: reasons.length === 0 ? "kept" : base.accuracy === null ? "not-examined" : "rejected",
    reasons,
  };
}

function reportArm(
  { canaries, near, results }: ReportArgs,
  [answers, after, nearAfter]: ExamResults,
  isCounted: readonly boolean[],
): ArmReport {
  const counted = answers.filter((_, index) => isCounted[index]);
  const others = answers.filter((_, index) => !isCounted[index]);
  const right = (list: readonly ExamAnswer[]) => list.filter(({ isRight }) => isRight).length;
  return {
    accuracy: accuracy(counted),
    numRight: right(counted),
    goldLogprob: meanGoldLogprob(counted),
    selfWritten: others.length === 0 ? null : { numQuestions: others.length, numRight: right(others) },
    retention: measureRetention(canaries, results.base[1], after),
    near: near === null ? null : measureRetention({ items: near, hasGold: true }, results.base[2], nearAfter),
  };
}

function reportPassages({ pieces, exams, edits, trials, chosen, results }: ReportArgs): PassageReport[] {
  let next = 0;
  return pieces.map(({ id }, index) => {
    const exam = exams[index]!;
    const answers = exam.report.map(({ question, answer }) => {
      const at = next++;
      return {
        question,
        gold: answer,
        base: results.base[0][at]!,
        raw: results.raw[0][at]!,
        adapted: results.adapted[0][at]!,
      };
    });
    const candidates = edits[index]!.map(({ kind, refused }, edit) => {
      const result = trials[index]![edit] ?? null;
      return {
        kind,
        accuracy: result?.accuracy ?? null,
        goldLogprob: result?.goldLogprob ?? null,
        numDocuments: result?.numDocuments ?? 0,
        numRefused: refused.length,
      };
    });
    const refused = new Map(edits[index]!.flatMap((edit) => edit.refused).map((one) => [one.document, one]));
    const isLearned = chosen[index]!.documents.length > 0;
    return {
      id,
      exam: exam.source,
      isLearned,
      refused: [...refused.values()],
      chosen: chosen[index]!,
      candidates,
      answers,
    };
  });
}

const percent = (share: number): string => `${Math.round(100 * share)} %`;

/** Reasons against keeping the change; none means that it is kept. */
function judge(
  base: ArmReport,
  adapted: ArmReport,
  { settings }: ReportArgs,
  { numIrrelevant, passages }: { readonly numIrrelevant: number; readonly passages: readonly PassageReport[] },
): string[] {
  const reasons: string[] = [];
  const unlearned = passages.filter(({ isLearned }) => !isLearned);
  if (unlearned.length === passages.length)
    reasons.push(
      `nothing was trained on: ${unlearned[0]?.id ?? "the passage"}: ${unlearned[0]?.refused[0]?.why ?? "no edit was left"}`,
    );
  if (adapted.accuracy === null || base.accuracy === null)
    reasons.push(
      numIrrelevant > 0
        ? `nothing was measured: the ${numIrrelevant} questions that the model wrote are not about the passages; give some with --questions`
        : "nothing was measured: there is no question to examine with; give some with --questions",
    );
  else if (adapted.accuracy <= base.accuracy)
    reasons.push(`it did not learn: ${countOf(adapted.numRight, "answer")} right after, ${base.numRight} before`);
  const { kept, numKnown, numKept, measure } = adapted.retention;
  if (kept !== null && kept < settings.minKept)
    reasons.push(
      `it forgot: ${numKept} of ${numKnown} canaries kept (${measure}), at least ${percent(settings.minKept)} are required`,
    );
  const { near } = adapted;
  if (near !== null && near.kept !== null && near.kept < settings.minKeptNear)
    reasons.push(
      `it overwrote what lies near: ${near.numKept} of ${near.numKnown} known answers about the same names and values kept, at least ${percent(settings.minKeptNear)} are required`,
    );
  return reasons;
}
