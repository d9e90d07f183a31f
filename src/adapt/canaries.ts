/**
 * @file Canary questions: what the model knew before must still come out after. The shipped model brings its own
 * (`canaries.jsonl`, with gold answers); for any other model the canaries are general questions and what counts is
 * that the answer stays what it was.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { normaliseAnswer } from "../tasks/index.ts";
import { SelkieError } from "../util/index.ts";
import type { ExamAnswer, ExamItem } from "./exam.ts";

/** Questions asked before and after. */
export interface Canaries {
  readonly items: readonly ExamItem[];
  /** True when `answer` is the truth; false when only agreement with the unadapted model counts. */
  readonly hasGold: boolean;
  /** Questions that the gate lets break under no condition. @defaultValue none */
  readonly critical?: ReadonlySet<string>;
}

/** How much of what the model knew is still there. */
export interface Retention {
  readonly numCanaries: number;
  /** With gold: canaries the base model answers right. Without: all of them. */
  readonly numKnown: number;
  readonly numKept: number;
  /** `numKept / numKnown`; `null` when the base model knew none. */
  readonly kept: number | null;
  readonly measure: "right answers" | "unchanged answers";
}

const generalQuestions = [
  "What is the capital of France?",
  "How many days are in a week?",
  "What colour is the sky on a clear day?",
  "Who wrote Romeo and Juliet?",
  "What is two plus two?",
  "What is the largest planet in the solar system?",
  "What language is spoken in Brazil?",
  "What do bees make?",
  "Which ocean lies between Europe and North America?",
  "What is the opposite of hot?",
  "How many legs does a spider have?",
  "What gas do plants take in?",
  "What is the freezing point of water in degrees Celsius?",
  "Which metal is liquid at room temperature?",
  "What is the tallest mountain on Earth?",
  "In which country are the pyramids of Giza?",
] as const;

/** Text of the canaries of the checkpoint in `directory`: its `canaries.jsonl`, else general questions without answers. */
export async function readCanaries(directory: string): Promise<string> {
  const file = join(directory, "canaries.jsonl");
  if (existsSync(file)) return readFile(file, "utf8");
  return generalQuestions.map((question) => `${JSON.stringify({ question })}\n`).join("");
}

/** The first `limit` canaries of such a text; a canary may have an `answer`, and may be `critical`. */
export function parseCanaries(text: string, limit = 240): Canaries {
  const lines = text.split("\n").filter((line) => line !== "");
  const entries = lines.slice(0, limit).map(parseLine);
  return {
    items: entries.map(({ question, answer = "" }) => ({ question, answer, title: "" })),
    hasGold: entries.every(({ answer }) => answer !== undefined),
    critical: new Set(entries.filter(({ critical }) => critical === true).map(({ question }) => question)),
  };
}

const lineSchema = z.looseObject({
  question: z.string().min(1),
  answer: z.string().optional(),
  critical: z.boolean().optional(),
});

function parseLine(line: string, index: number): z.output<typeof lineSchema> {
  try {
    return lineSchema.parse(JSON.parse(line));
  } catch (cause) {
    throw new SelkieError(
      "bad-file",
      `canaries, line ${index + 1}: expected {"question": …, "answer": …} with optional "critical": true, got ${line.slice(0, 80)}`,
      { cause },
    );
  }
}

/** The canaries of the checkpoint in `directory`, at most `limit`. */
export async function loadCanaries(directory: string, limit = 240): Promise<Canaries> {
  return parseCanaries(await readCanaries(directory), limit);
}

/**
 * What an unadapted model knows, of its answers: canaries with a right answer. Without right answers the model's own stand
 * in for them, and what counts is that they stay.
 */
export function answeredCanaries({ items, hasGold }: Canaries, answers: readonly ExamAnswer[]): ExamItem[] {
  return items.flatMap((item, index) => {
    const { isRight, prediction } = answers[index]!;
    if (hasGold) return isRight ? [item] : [];
    return prediction === "" ? [] : [{ ...item, answer: prediction }];
  });
}

/** Per canary: still answered as before the change, or `null` where the base model did not know it. */
export function whichKept(
  canaries: Canaries,
  before: readonly ExamAnswer[],
  after: readonly ExamAnswer[],
): (boolean | null)[] {
  return before.map((answer, index) => {
    if (canaries.hasGold) return answer.isRight ? after[index]!.isRight : null;
    return normaliseAnswer(after[index]!.prediction) === normaliseAnswer(answer.prediction);
  });
}

/** Compares answers after a change with those before it. */
export function measureRetention(
  canaries: Canaries,
  before: readonly ExamAnswer[],
  after: readonly ExamAnswer[],
): Retention {
  const known = whichKept(canaries, before, after).filter((isKept) => isKept !== null);
  const numKnown = known.length;
  const numKept = known.filter(Boolean).length;
  return {
    numCanaries: before.length,
    numKnown,
    numKept,
    kept: numKnown === 0 ? null : numKept / numKnown,
    measure: canaries.hasGold ? "right answers" : "unchanged answers",
  };
}
