/** @file A closed-book answer: the question alone goes in, one line comes out. */
import { loadPrompts, questionPrompt } from "../adapt/index.ts";
import type { AdapterId, Engine } from "../engine/index.ts";
import { answerStops, decodeContinuation, encodePrompt } from "../models/index.ts";
import { SelkieError } from "../util/index.ts";

/** How to answer. */
export interface AnswerOptions {
  /** Longest answer. @defaultValue 48 */
  readonly maxNewTokens?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told how many tokens there are so far. */
  readonly onToken?: (numTokens: number) => void;
}

/** An answer and how it came about. */
export interface Answer {
  readonly question: string;
  /** One line; empty where the model gave none. */
  readonly answer: string;
  /** Why it ended: a token that ends answers, or the limit. */
  readonly stopReason: "stop" | "length";
  readonly numPromptTokens: number;
  readonly numTokens: number;
  /** Log-probability of the answer's tokens, in nats. */
  readonly logprobNats: number;
}

/** Longest answer where nothing else is said, in tokens. */
export const defaultMaxNewTokens = 48;

/** Answers from memory: greedily, with the weights of the model, or of one of its adapters, and nothing else to read. */
export async function answerQuestion(
  engine: Engine,
  adapter: AdapterId | null,
  text: string,
  { maxNewTokens = defaultMaxNewTokens, signal, onToken }: AnswerOptions = {},
): Promise<Answer> {
  const question = text.trim();
  if (question === "")
    throw new SelkieError("bad-input", "ask: expected a question, got an empty text; pass it in quotes");
  const { model, tokenizer } = engine;
  const promptIds = encodePrompt(tokenizer, questionPrompt(await loadPrompts(model.directory), question));
  const request = { promptIds, maxNewTokens, stopTokens: answerStops(tokenizer), adapter };
  const [generation] = await engine.generate([request], {
    signal,
    onProgress: ({ numTokens }) => onToken?.(numTokens),
  });
  const { tokenIds, logprobs, stopReason } = generation!;
  return {
    question,
    answer: decodeContinuation(tokenizer, promptIds, tokenIds).split("\n")[0]!.trim(), // exams read it the same way
    stopReason,
    numPromptTokens: promptIds.length,
    numTokens: tokenIds.length,
    logprobNats: logprobs.reduce((sum, logprob) => sum + logprob, 0),
  };
}
