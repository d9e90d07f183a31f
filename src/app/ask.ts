/** @file A closed-book answer: the question alone goes in, one line comes out. */
import { loadPrompts, questionPrompt } from "../adapt/index.ts";
import { generate } from "../generate/index.ts";
import { type Checkpoint, encodePrompt } from "../models/index.ts";
import { SelkieError } from "../util/index.ts";
import type { OpenAdapter } from "./adapter.ts";

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

/** Answers from memory: greedily, with the weights and nothing else to read. */
export async function answerQuestion(
  { lm, config, tokenizer, directory }: Checkpoint,
  { bank, adapterIndex }: OpenAdapter,
  text: string,
  { maxNewTokens = defaultMaxNewTokens, signal, onToken }: AnswerOptions = {},
): Promise<Answer> {
  const question = text.trim();
  if (question === "")
    throw new SelkieError("bad-input", "ask: expected a question, got an empty text; pass it in quotes");
  const promptIds = encodePrompt(tokenizer, questionPrompt(await loadPrompts(directory), question));
  const request = {
    promptIds,
    maxNewTokens,
    stopTokens: stopTokensFor(tokenizer.eosTokenId, config.eosTokenIds, tokenizer.encode("\n")),
    adapterIndex,
  };
  const [generation] = await generate(lm, [request], {
    bank,
    signal,
    onProgress: ({ numTokens }) => onToken?.(numTokens),
  });
  const { tokenIds, logprobs, stopReason } = generation!;
  return {
    question,
    answer: tokenizer.decode(tokenIds).split("\n")[0]!.trim(), // exams read it the same way
    stopReason,
    numPromptTokens: promptIds.length,
    numTokens: tokenIds.length,
    logprobNats: logprobs.reduce((sum, logprob) => sum + logprob, 0),
  };
}

/** Ends of a text by the tokenizer and by the configuration, and the line break where it is one token. */
function stopTokensFor(eosTokenId: number, eosTokenIds: readonly number[], newline: readonly number[]): number[] {
  return [...new Set([eosTokenId, ...eosTokenIds, ...(newline.length === 1 ? newline : [])])];
}
