/**
 * @file Exams: closed-book questions answered greedily, graded locally, and scored by the log-probability of the gold answer.
 * Many adapters are examined together: one decode and one scoring pass serve them all.
 */
import type { AdapterId, Engine } from "../engine/index.ts";
import { answerStops, decodeContinuation, encodeContinuation, encodePrompt } from "../models/index.ts";
import { gradeAnswer } from "../tasks/index.ts";
import { type PromptTemplates, questionPrompt } from "./prompts.ts";

/** A question as an exam asks it. */
export interface ExamItem {
  readonly question: string;
  readonly answer: string;
  readonly title: string;
}

/** One graded answer. */
export interface ExamAnswer {
  readonly prediction: string;
  readonly isRight: boolean;
  /** Token overlap with the gold answer, in [0, 1]. */
  readonly f1: number;
  /** Mean log-probability of the gold answer's tokens, nats. */
  readonly goldLogprob: number;
}

/** Who is examined: an adapter that the engine knows, or the model alone, and what it is asked. */
export interface ExamTaker {
  readonly adapter: AdapterId | null;
  readonly items: readonly ExamItem[];
}

/** Answers to the report questions, to the canaries, and to what lies near the passages. */
export type ExamResults = readonly [
  questions: readonly ExamAnswer[],
  canaries: readonly ExamAnswer[],
  near: readonly ExamAnswer[],
];

/** What an exam needs to run. */
export interface ExamContext {
  readonly engine: Engine;
  readonly templates: PromptTemplates;
  readonly signal?: AbortSignal | undefined;
}

/** Tokens of an answer at most. */
export const maxAnswerTokens = 32;

/** Answers of each taker, in the order of its items. */
export async function examine(context: ExamContext, takers: readonly ExamTaker[]): Promise<ExamAnswer[][]> {
  const sheets = takers.flatMap((taker) => taker.items.map((item) => ({ item, adapter: taker.adapter })));
  const predictions = await answer(context, sheets);
  const goldLogprobs = await scoreGold(context, sheets);
  let next = 0;
  return takers.map((taker) =>
    taker.items.map((item) => {
      const index = next++;
      const prediction = predictions[index]!;
      const { exact, f1 } = gradeAnswer(prediction, item.answer);
      return { prediction, isRight: exact, f1, goldLogprob: goldLogprobs[index]! };
    }),
  );
}

interface Sheet {
  readonly item: ExamItem;
  readonly adapter: AdapterId | null;
}

const promptOf = (context: ExamContext, { item }: Sheet): string =>
  questionPrompt(context.templates, item.question, item.title);

async function answer(context: ExamContext, sheets: readonly Sheet[]): Promise<string[]> {
  const { engine, signal } = context;
  const { tokenizer } = engine;
  const stopTokens = answerStops(tokenizer);
  const prompts = sheets.map((sheet) => encodePrompt(tokenizer, promptOf(context, sheet)));
  const results = await engine.generate(
    sheets.map(({ adapter }, index) => ({
      promptIds: prompts[index]!,
      maxNewTokens: maxAnswerTokens,
      stopTokens,
      adapter,
    })),
    { signal },
  );
  return results.map(({ tokenIds }, index) =>
    decodeContinuation(tokenizer, prompts[index]!, tokenIds).split("\n")[0]!.trim(),
  );
}

async function scoreGold(context: ExamContext, sheets: readonly Sheet[]): Promise<number[]> {
  const { engine, signal } = context;
  const { tokenizer } = engine;
  const golds = sheets.map((sheet) => encodeContinuation(tokenizer, promptOf(context, sheet), ` ${sheet.item.answer}`));
  const readings = sheets.map(({ adapter }, index) => ({ tokenIds: golds[index]!.tokenIds, adapter }));
  const scored = await engine.score(readings, { signal });
  return scored.map((logprobs, index) => {
    const tail = logprobs.slice(Math.max(0, golds[index]!.numPromptTokens - 1)); // the first token has no score
    return tail.reduce((total, logprob) => total + logprob, 0) / Math.max(1, tail.length);
  });
}

/** Share of right answers, in [0, 1]; `null` for an empty exam. */
export function accuracy(answers: readonly ExamAnswer[]): number | null {
  return answers.length === 0 ? null : answers.filter(({ isRight }) => isRight).length / answers.length;
}

/** Mean log-probability of the gold answers, nats per token; `null` for an empty exam. */
export function meanGoldLogprob(answers: readonly ExamAnswer[]): number | null {
  return answers.length === 0
    ? null
    : answers.reduce((total, { goldLogprob }) => total + goldLogprob, 0) / answers.length;
}
