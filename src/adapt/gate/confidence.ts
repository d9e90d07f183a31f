/** @file What a model answers from memory, and how sure it is: the probability of its whole answer. */
import { generate, scoreTokens } from "../../generate/index.ts";
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

/** Asks the base model of `context`, or the one adapter of its bank, each question closed-book. */
export async function askWithConfidence(context: ExamContext, items: readonly ExamItem[]): Promise<HeldAnswer[]> {
  const { checkpoint, templates, bank, signal } = context;
  const { lm, tokenizer } = checkpoint;
  const stopTokens = answerStops(tokenizer);
  const adapter = bank === null ? {} : { adapterIndex: 0 };
  const prompts = items.map(({ question, title }) =>
    encodePrompt(tokenizer, questionPrompt(templates, question, title)),
  );
  const options = { ...(bank && { bank }), ...(signal && { signal }) };
  const results = await generate(
    lm,
    prompts.map((promptIds) => ({ promptIds, maxNewTokens: maxAnswerTokens, stopTokens, ...adapter })),
    options,
  );
  const sequences = results.map(({ tokenIds }, index) => ({
    tokenIds: [
      ...prompts[index]!,
      ...tokenIds,
      ...(stopTokens.includes(tokenIds.at(-1) ?? -1) ? [] : [tokenizer.eosTokenId]),
    ],
    ...adapter,
  }));
  const scored = await scoreTokens(lm, sequences, options);
  return items.map((item, index) => {
    const text = decodeContinuation(tokenizer, prompts[index]!, results[index]!.tokenIds).split("\n")[0]!.trim();
    const tail = scored[index]!.slice(prompts[index]!.length - 1);
    const probability = Math.exp(tail.reduce((sum, logprob) => sum + logprob, 0));
    return { answer: text, isRight: gradeAnswer(text, item.answer).exact, probability };
  });
}
