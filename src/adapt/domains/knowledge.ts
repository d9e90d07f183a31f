/**
 * @file Knowledge as a domain (SEAL, arXiv 2506.10943, section 3.1): a task is a passage, an edit is text about it, the exam
 * asks closed-book questions. The inner loop is the run's: edits of knowledge carry no hyper-parameters.
 */
import type { SourcePassage } from "../../tasks/index.ts";
import type { Domain, TaskScore } from "../domain.ts";
import { accuracy, type ExamAnswer, type ExamItem, examine, meanGoldLogprob } from "../exam.ts";
import type { LearnContext } from "../learn/context.ts";
import type { EditCandidate, Expectation } from "../learn/expectation.ts";
import { type LearnArgs, learn } from "../learn/learn.ts";
import type { LearnReport } from "../learn/report.ts";
import type { Examiner, Trial } from "../learn/trials.ts";
import type { SampledEdit } from "../propose.ts";
import { selfEditDocuments, withoutExamQuestions } from "../self-edit.ts";
import { buildKnowledgeTasks, forbiddenQuestions, type KnowledgeTask, redactTasks } from "./knowledge-tasks.ts";
import { type EditWriter, policyWriter } from "./teacher.ts";

/** The domain with its types filled in. */
export type KnowledgeDomain = Domain<KnowledgeTask, SampledEdit>;
/** A candidate of the knowledge domain. */
export type KnowledgeCandidate = EditCandidate<SampledEdit>;
/** What an E-step of the knowledge domain found. */
export type KnowledgeExpectation = Expectation<SampledEdit>;

/** What the rounds of an outer loop on passages share. */
export type KnowledgeContext = LearnContext<KnowledgeTask, SampledEdit>;

/** Inputs of {@link knowledgeDomain}. */
export interface KnowledgeOptions {
  readonly passages: readonly SourcePassage[];
  /** Passages that no round trains on. */
  readonly heldOut: readonly SourcePassage[];
  /** @defaultValue the policy itself */
  readonly writer?: EditWriter;
}

/** `propose` of a domain, by whoever writes edits of sources. */
export const proposedBy =
  (writer: EditWriter): KnowledgeDomain["propose"] =>
  (policy, tasks, count, rng) =>
    writer(
      policy,
      tasks.map(({ source }) => source),
      count,
      rng,
    );

const summarise = (answers: readonly ExamAnswer[]): TaskScore => ({
  accuracy: accuracy(answers) ?? 0,
  goldLogprob: meanGoldLogprob(answers) ?? 0,
});

/** Passages to learn, with the questions that came with them or that the policy asks itself. */
export function knowledgeDomain({ passages, heldOut, writer = policyWriter }: KnowledgeOptions): KnowledgeDomain {
  return {
    name: "knowledge",
    async prepare(context) {
      const tasks = await buildKnowledgeTasks({ ...context, name: "exam", passages });
      const heldOutTasks = await buildKnowledgeTasks({ ...context, name: "exam-held-out", passages: heldOut });
      const forbidden = forbiddenQuestions([...tasks, ...heldOutTasks], context.canaries);
      return { tasks: redactTasks(tasks, forbidden), heldOut: redactTasks(heldOutTasks, forbidden) };
    },
    propose: proposedBy(writer),
    compile: ({ source }, edits, templates) => ({
      documents: [...new Set(edits.flatMap((edit) => selfEditDocuments(edit, source, templates)))],
    }),
    guard(tasks) {
      const forbidden = forbiddenQuestions(tasks, { items: [] });
      return (documents) => withoutExamQuestions(documents, forbidden);
    },
    async examine(model, exams) {
      const takers = exams.map(({ task, use, adapter }) => ({ adapter, items: task.exam[use] }));
      return (await examine(model, takers)).map(summarise);
    },
  };
}

/** A trial that brings its own questions; experiments ask more than an exam does. */
export interface QuestionTrial extends Trial {
  readonly items: readonly ExamItem[];
}

/** Asks each trial's questions. */
export const askQuestions: Examiner<QuestionTrial, readonly ExamAnswer[]> = (model, takers) =>
  examine(
    model,
    takers.map(({ trial, adapter }) => ({ adapter, items: trial.items })),
  );

/** Inputs of {@link learnKnowledge}: those of the loop, with passages in place of a domain. */
export type LearnKnowledgeArgs = Omit<LearnArgs<KnowledgeTask, SampledEdit>, "domain"> & KnowledgeOptions;

/** The loop's inputs, with the passages made into a domain. */
export function withKnowledge<Args extends KnowledgeOptions>(
  args: Args,
): Omit<Args, keyof KnowledgeOptions> & { readonly domain: KnowledgeDomain } {
  const { passages, heldOut, writer, ...rest } = args;
  return { ...rest, domain: knowledgeDomain({ passages, heldOut, ...(writer && { writer }) }) };
}

/** The outer loop on passages. */
export const learnKnowledge = (args: LearnKnowledgeArgs): Promise<LearnReport> => learn(withKnowledge(args));
