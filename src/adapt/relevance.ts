/**
 * @file Whether a question that a model wrote is about the passage it was written for. A model that asks about somebody else and
 * answers from its own memory examines nothing, however many of the answers come out right.
 */
import { normaliseAnswer } from "../tasks/index.ts";
import { claimsOf } from "./gate/claims.ts";
import { doubtOf, readPassage } from "./gate/support.ts";
import { contentOf } from "./gate/words.ts";
import type { WrittenQuestion } from "./self-edit.ts";

const hasWords = (text: string, part: string): boolean => part !== "" && ` ${text} `.includes(` ${part} `);

/**
 * True when the passage names what the question asks about and holds the answer: the answer stands in the passage, word for word
 * but for case and articles; a name in the question is a name of the passage; where the passage has names, the question
 * has one of them; and question and answer together pass the screen of sources.
 */
export function isAboutPassage(context: string, { question, answer }: WrittenQuestion): boolean {
  const passage = readPassage(context);
  const [claim] = claimsOf(`Question: ${question.replace(/[?？]*\s*$/u, "?")}\nAnswer: ${answer}`);
  if (claim === undefined || !hasWords(normaliseAnswer(context), normaliseAnswer(answer))) return false;
  const answered = new Set(normaliseAnswer(answer).split(" "));
  const asked = contentOf(claim.words).filter(({ plain }) => !answered.has(plain));
  const named = asked.filter(({ stem }) => passage.names.has(stem) || passage.openers.has(stem));
  const isNamed = passage.names.size > 0 ? named.length > 0 : asked.some(({ stem }) => passage.stems.has(stem));
  return isNamed && doubtOf(passage, claim) === null;
}
