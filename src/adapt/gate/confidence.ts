/** @file What a model answers from memory, and how sure it is: the probability of its whole answer. */
import type { AdapterId } from "../../engine/index.ts";
import { answerStops, decodeContinuation, encodePrompt } from "../../models/index.ts";
import { gradeAnswer } from "../../tasks/index.ts";
import type { ExamContext, ExamItem } from "../exam.ts";
import { questionPrompt } from "../prompts.ts";

/** An answer with the model's confidence in it. */
export interface HeldAnswer {
  readonly answer: string;
  readonly isRight: boolean;
  /** Of the whole answer, its end included, in [0, 1]. */
  readonly probability: number;
}

const maxAnswerTokens = 32;

/** Asks an adapter, or the model alone, each question closed-book. */
export async function askWithConfidence(
  { engine, templates, signal }: ExamContext,
  items: readonly ExamItem[],
  adapter: AdapterId | null = null,
): Promise<HeldAnswer[]> {
  const { tokenizer } = engine;
  const stopTokens = answerStops(tokenizer);
  const prompts = items.map(({ question, title }) =>
    encodePrompt(tokenizer, questionPrompt(templates, question, title)),
  );
  const results = await engine.generate(
    prompts.map((promptIds) => ({ promptIds, maxNewTokens: maxAnswerTokens, stopTokens, adapter })),
    { signal },
  );
  const sequences = results.map(({ tokenIds }, index) => ({
    tokenIds: [
      ...prompts[index]!,
      ...tokenIds,
      ...(stopTokens.includes(tokenIds.at(-1) ?? -1) ? [] : [tokenizer.eosTokenId]),
    ],
    adapter,
  }));
  const scored = await engine.score(sequences, { signal });
  return items.map((item, index) => {
    const text = decodeContinuation(tokenizer, prompts[index]!, results[index]!.tokenIds).split("\n")[0]!.trim();
    const tail = scored[index]!.slice(prompts[index]!.length - 1);
    const probability = Math.exp(tail.reduce((sum, logprob) => sum + logprob, 0));
    return { answer: text, isRight: gradeAnswer(text, item.answer).exact, probability };
  });
}
