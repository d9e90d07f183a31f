/** @file What an adaptation reports, and the rule that keeps or rejects the change. */

import type { SourcePassage } from "../tasks/index.ts";
import { countOf } from "../util/index.ts";
import type { PassageExam } from "./build-exam.ts";
import { type Canaries, measureRetention, type Retention } from "./canaries.ts";
import type { CandidateResult, ProposedEdit } from "./candidates.ts";
import { accuracy, type ExamAnswer, meanGoldLogprob, type Sitting } from "./exam.ts";

/** How one model did on the report questions and the canaries. */
export interface ArmReport {
  /** Share of report questions answered right; `null` without questions. */
  readonly accuracy: number | null;
  readonly numRight: number;
  /** Mean log-probability of the gold answers, nats per token. */
  readonly goldLogprob: number | null;
  readonly retention: Retention;
}

/** One candidate edit in numbers. */
export interface CandidateReport {
  readonly kind: string;
  /** On the selection questions. */
  readonly accuracy: number | null;
  readonly goldLogprob: number | null;
  readonly numDocuments: number;
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
  readonly chosen: ProposedEdit;
  readonly candidates: readonly CandidateReport[];
  readonly answers: readonly QuestionReport[];
}

/** What an adaptation found. */
export interface AdaptReport {
  readonly numQuestions: number;
  readonly numDocuments: number;
  readonly numReplay: number;
  /** Updates of the adapter, and as many of the one trained on the raw passages, `raw`, that it is compared with. */
  readonly numUpdates: number;
  /** Documents left out because they contained a question of the exam. */
  readonly numDropped: number;
  /** True when a question both chose among edits and is reported: the figure is then optimistic. */
  readonly isSelectionShared: boolean;
  readonly base: ArmReport;
  readonly raw: ArmReport;
  readonly adapted: ArmReport;
  readonly passages: readonly PassageReport[];
  readonly decision: "kept" | "rejected";
  /** Why the change was rejected; empty when it was kept. */
  readonly reasons: readonly string[];
}

/** Inputs of {@link buildReport}. */
export interface ReportArgs {
  readonly pieces: readonly SourcePassage[];
  readonly exams: readonly PassageExam[];
  readonly canaries: Canaries;
  readonly minKept: number;
  readonly edits: readonly (readonly ProposedEdit[])[];
  readonly trials: readonly (readonly CandidateResult[])[];
  readonly chosen: readonly ProposedEdit[];
  readonly sittings: { readonly base: Sitting; readonly raw: Sitting; readonly adapted: Sitting };
  readonly counts: Pick<AdaptReport, "numDocuments" | "numReplay" | "numDropped" | "numUpdates">;
}

/** Puts the parts together and judges the change. */
export function buildReport(args: ReportArgs): AdaptReport {
  const { sittings, canaries, exams } = args;
  const arm = ([questions, after]: Sitting): ArmReport => ({
    accuracy: accuracy(questions),
    numRight: questions.filter(({ isRight }) => isRight).length,
    goldLogprob: meanGoldLogprob(questions),
    retention: measureRetention(canaries, sittings.base[1], after),
  });
  const base = arm(sittings.base);
  const adapted = arm(sittings.adapted);
  const reasons = judge(base, adapted, args.minKept);
  return {
    numQuestions: sittings.base[0].length,
    ...args.counts,
    isSelectionShared: exams.some(({ selection, report }) =>
      report.some(({ question }) => selection.some((item) => item.question === question)),
    ),
    base,
    raw: arm(sittings.raw),
    adapted,
    passages: reportPassages(args),
    decision: reasons.length === 0 ? "kept" : "rejected",
    reasons,
  };
}

function reportPassages({ pieces, exams, edits, trials, chosen, sittings }: ReportArgs): PassageReport[] {
  let next = 0;
  return pieces.map(({ id }, index) => {
    const exam = exams[index]!;
    const answers = exam.report.map(({ question, answer }) => {
      const at = next++;
      return {
        question,
        gold: answer,
        base: sittings.base[0][at]!,
        raw: sittings.raw[0][at]!,
        adapted: sittings.adapted[0][at]!,
      };
    });
    const candidates = trials[index]!.map((result, edit) => ({
      kind: edits[index]![edit]!.kind,
      accuracy: result.accuracy,
      goldLogprob: result.goldLogprob,
      numDocuments: result.numDocuments,
    }));
    return { id, exam: exam.source, chosen: chosen[index]!, candidates, answers };
  });
}

/** Reasons against keeping the change; none means that it is kept. */
function judge(base: ArmReport, adapted: ArmReport, minKept: number): string[] {
  const reasons: string[] = [];
  if (adapted.accuracy === null || base.accuracy === null)
    reasons.push("nothing was measured: there is no question to examine with; give some with --questions");
  else if (adapted.accuracy <= base.accuracy)
    reasons.push(`it did not learn: ${countOf(adapted.numRight, "answer")} right after, ${base.numRight} before`);
  const { kept, numKnown, numKept, measure } = adapted.retention;
  if (kept !== null && kept < minKept)
    reasons.push(
      `it forgot: ${numKept} of ${numKnown} canaries kept (${measure}), at least ${Math.round(100 * minKept)} % are required`,
    );
  return reasons;
}
