/**
 * @file Space in a model's context window: a passage is put before what is written about it, so passage, prompt and edit have to
 * fit together, and a question with its answer. The size of passages follows from the model; what cannot fit is refused
 * before any work.
 */
import type { Engine } from "../engine/index.ts";
import { encodePrompt } from "../models/index.ts";
import type { SourcePassage } from "../tasks/index.ts";
import { SelkieError } from "../util/index.ts";
import { chunkPassages } from "./chunk.ts";
import { type ExamItem, maxAnswerTokens } from "./exam.ts";
import { fillTemplate, type PromptTemplates, questionPrompt } from "./prompts.ts";

/** A model and how it is asked. */
export interface Reader {
  readonly engine: Pick<Engine, "model" | "tokenizer">;
  readonly templates: PromptTemplates;
}

/** Of the tokens beside the prompt's own, this share may be passage; the rest is for the edit, which is often longer. */
const passageShare = 2 / 5;
/** Passages are not cut below so many tokens: that is a sentence. */
const leastPassageTokens = 24;
/** Tokens that may come where prompt and passage meet. */
const seamTokens = 4;
/** A title of more than this share of the context is put into the text instead of every prompt. */
const maxTitleShare = 1 / 8;

/** Tokens of the longest prompt for an edit, without its passage. */
function promptTokens({ engine, templates }: Reader, title: string): number {
  const asked = [
    ...Object.values(templates.selfEdit),
    ...(templates.openSelfEdit === null ? [] : [templates.openSelfEdit]),
  ];
  const lengths = asked.map(
    (template) => encodePrompt(engine.tokenizer, fillTemplate(template, { title, passage: "" })).length,
  );
  return Math.max(...lengths) + seamTokens;
}

/**
 * Tokens that a passage under `title` may have: at most `wish`, and no more than leave room for an edit.
 *
 * @throws SelkieError `"bad-option"` where the context is too short for any.
 */
export function passageLimit(reader: Reader, wish: number, title = ""): number {
  const { maxSeqLen } = reader.engine.model;
  const prompt = promptTokens(reader, title);
  const limit = Math.min(wish, Math.floor((maxSeqLen - prompt) * passageShare));
  const least = Math.min(wish, leastPassageTokens);
  if (limit >= least) return limit;
  const needed = prompt + Math.ceil(least / passageShare);
  throw new SelkieError(
    "bad-option",
    `model: expected max_position_embeddings of at least ${needed} (prompts take ${prompt} tokens, a short passage and what is written about it ${needed - prompt}), got ${maxSeqLen}; take a model with a longer context (--model), or give this one shorter prompts in its selkie.json`,
  );
}

/**
 * Passages in pieces that leave the model room to write about them.
 *
 * @param wish - Tokens of a piece at most; fewer where the context is short.
 * @param maxPieces - Stop after so many. @defaultValue no limit
 * @throws SelkieError `"bad-option"` where the context is too short for any passage.
 */
export function cutToContext(
  reader: Reader,
  passages: readonly SourcePassage[],
  wish: number,
  maxPieces: number = Number.POSITIVE_INFINITY,
): SourcePassage[] {
  const { tokenizer, model } = reader.engine;
  const limits = new Map<string, number>();
  const pieces: SourcePassage[] = [];
  for (const passage of passages) {
    if (pieces.length >= maxPieces) break;
    const isLong = tokenizer.encode(passage.title).length > maxTitleShare * model.maxSeqLen;
    const { title, context } = passage;
    const source = isLong ? { ...passage, title: "", context: `${title}\n\n${context}` } : passage;
    const limit = limits.get(source.title) ?? passageLimit(reader, wish, source.title);
    limits.set(source.title, limit);
    pieces.push(...chunkPassages([source], tokenizer, limit, maxPieces - pieces.length));
  }
  return pieces;
}

/** True when a question with its answer fits the context. */
export function fitsContext({ engine, templates }: Reader, { question, answer, title }: ExamItem): boolean {
  const { tokenizer, model } = engine;
  const prompt = encodePrompt(tokenizer, questionPrompt(templates, question, title)).length;
  return prompt + Math.max(maxAnswerTokens, tokenizer.encode(` ${answer}`).length) <= model.maxSeqLen;
}

/**
 * Refuses questions that do not fit the context, before any is asked.
 *
 * @param where - Who asks, for the message.
 */
export function checkQuestions(reader: Reader, items: readonly ExamItem[], where: string): void {
  const long = items.find((item) => !fitsContext(reader, item));
  if (long === undefined) return;
  const { question } = long;
  const shown = question.length > 60 ? `${question.slice(0, 59)}…` : question;
  throw new SelkieError(
    "bad-option",
    `${where}: expected questions that fit, with their prompt and an answer, into ${reader.engine.model.maxSeqLen} tokens (max_position_embeddings), got "${shown}" of ${question.length} characters; shorten it, or take a model with a longer context`,
  );
}

/** {@link checkQuestions} for all that is asked about the passages, and what the model knew before. */
export function checkExam(reader: Reader, passages: readonly SourcePassage[], canaries: readonly ExamItem[]): void {
  for (const { id, title, questions } of passages)
    checkQuestions(
      reader,
      questions.map(({ question, answer }) => ({ question, answer, title })),
      id,
    );
  checkQuestions(reader, canaries, "canaries");
}
