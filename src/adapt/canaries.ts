/**
 * @file Canary questions: what the model knew before must still come out after. The shipped model brings its own
 * (`canaries.jsonl`, with gold answers); for any other model the canaries are general questions and what counts is
 * that the answer stays what it was.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { normaliseAnswer } from "../tasks/index.ts";
import type { ExamAnswer, ExamItem } from "./exam.ts";

/** Questions asked before and after. */
export interface Canaries {
  readonly items: readonly ExamItem[];
  /** True when `answer` is the truth; false when only agreement with the unadapted model counts. */
  readonly hasGold: boolean;
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

/** The canaries of the checkpoint in `directory`, at most `limit`. */
export async function loadCanaries(directory: string, limit = 60): Promise<Canaries> {
  const file = join(directory, "canaries.jsonl");
  if (!existsSync(file))
    return { items: generalQuestions.map((question) => ({ question, answer: "", title: "" })), hasGold: false };
  const lines = (await readFile(file, "utf8")).split("\n").filter((line) => line !== "");
  const items = lines.slice(0, limit).map((line) => {
    const { question, answer } = JSON.parse(line) as { question: string; answer: string };
    return { question, answer, title: "" };
  });
  return { items, hasGold: true };
}

/** Compares answers after a change with those before it. */
export function measureRetention(
  canaries: Canaries,
  before: readonly ExamAnswer[],
  after: readonly ExamAnswer[],
): Retention {
  const known = before.map((answer) => !canaries.hasGold || answer.isRight);
  const same = (index: number) =>
    normaliseAnswer(after[index]!.prediction) === normaliseAnswer(before[index]!.prediction);
  const kept = known.filter((isKnown, index) => isKnown && (canaries.hasGold ? after[index]!.isRight : same(index)));
  const numKnown = known.filter(Boolean).length;
  return {
    numCanaries: before.length,
    numKnown,
    numKept: kept.length,
    kept: numKnown === 0 ? null : kept.length / numKnown,
    measure: canaries.hasGold ? "right answers" : "unchanged answers",
  };
}
