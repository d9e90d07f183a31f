/** @file Tasks of the knowledge domain: passages with their exams, and none of the exams' questions left in what may be trained on. */
import type { SourcePassage } from "../../tasks/index.ts";
import type { Rng } from "../../util/index.ts";
import { allQuestions, buildExams, type PassageExam, redactPassage } from "../build-exam.ts";
import type { Canaries } from "../canaries.ts";
import { checkExam, cutToContext } from "../context-window.ts";
import type { Writer } from "../propose.ts";
import { type StageStore, stage } from "../settings.ts";

/** A passage with its exam. */
export interface KnowledgeTask {
  readonly source: SourcePassage;
  readonly exam: PassageExam;
}

/** Inputs of {@link buildKnowledgeTasks}. The writer asks questions where a passage brings none. */
export interface KnowledgeTaskArgs extends Writer {
  /** Names the stage and the random stream. */
  readonly name: string;
  readonly passages: readonly SourcePassage[];
  /** Longer passages are cut. */
  readonly maxPassageTokens: number;
  readonly rng: Rng;
  readonly store: StageStore;
}

/** Passages in pieces, with exams; pieces that nothing is asked about are left out. */
export async function buildKnowledgeTasks(args: KnowledgeTaskArgs): Promise<KnowledgeTask[]> {
  const { name, passages, maxPassageTokens, rng, store } = args;
  const pieces = cutToContext(args, passages, maxPassageTokens);
  checkExam(args, pieces, []);
  const exams = await stage(store, name, () => buildExams(args, pieces, rng.fork(name)));
  const tasks = pieces.map((source, index) => ({ source, exam: exams[index]! }));
  return tasks.filter(({ exam }) => exam.selection.length > 0 && exam.report.length > 0);
}

/** Every question that no training text may ask. */
export const forbiddenQuestions = (tasks: readonly KnowledgeTask[], canaries: Pick<Canaries, "items">): string[] =>
  allQuestions(
    tasks.map(({ exam }) => exam),
    canaries.items,
  );

/** The tasks without the forbidden questions in their passages. */
export const redactTasks = (tasks: readonly KnowledgeTask[], forbidden: readonly string[]): KnowledgeTask[] =>
  tasks.map(({ source, exam }) => ({ source: redactPassage(source, forbidden), exam }));
