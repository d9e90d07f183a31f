/**
 * @file Questions about known facts that lie near new passages: about the same names, towns, employers, numbers. New text
 * overwrites old answers there first, and canaries drawn from everywhere hardly see it. A model directory may hold
 * `known.jsonl`, one line per fact: {"question": …, "answer": …}; a model without it is asked nothing near, and the report
 * says so.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { SelkieError } from "../util/index.ts";
import type { ExamItem } from "./exam.ts";
import { contentOf, type ScreenWord, screenWords } from "./gate/words.ts";

/** Name of the file of known facts in a model directory. */
export const knownFile = "known.jsonl";

const lineSchema: z.ZodType<{ question: string; answer: string }> = z.looseObject({
  question: z.string().min(1),
  answer: z.string().min(1),
});

/** Reads the text of a `known.jsonl`. */
export function parseKnown(text: string, path: string = knownFile): ExamItem[] {
  return text
    .split("\n")
    .map((line, index) => ({ line, index }))
    .filter(({ line }) => line.trim() !== "")
    .map(({ line, index }) => {
      try {
        const { question, answer } = lineSchema.parse(JSON.parse(line));
        return { question, answer, title: "" };
      } catch (cause) {
        throw new SelkieError(
          "bad-file",
          `${path}, line ${index + 1}: expected {"question": …, "answer": …}, got ${line.slice(0, 80)}; mend or remove the line`,
          { cause },
        );
      }
    });
}

/** Writes known facts in the form that {@link parseKnown} reads. */
export const formatKnown = (items: readonly Pick<ExamItem, "question" | "answer">[]): string =>
  items.map(({ question, answer }) => `${JSON.stringify({ question, answer })}\n`).join("");

/** Known facts of the model in `directory`; none where it has no such file. */
export async function loadKnown(directory: string): Promise<ExamItem[]> {
  const file = join(directory, knownFile);
  return directory !== "" && existsSync(file) ? parseKnown(await readFile(file, "utf8"), file) : [];
}

/** Words that make two facts neighbours: names, numbers, and things that are no way of speaking. */
const tellingWords = (text: string): ScreenWord[] =>
  text
    .split(/\n|(?<=[.?!])\s/u)
    .flatMap((line) => contentOf(screenWords(line)).filter(({ isRelation }) => !isRelation));

/**
 * The `count` known facts that share most with `texts`; each shared word weighs the more the fewer facts have it, and a fact
 * that shares nothing is never chosen. Facts in `exclude`, by question, are left out.
 */
export function chooseNear(
  known: readonly ExamItem[],
  texts: readonly string[],
  count: number,
  exclude: readonly string[] = [],
): ExamItem[] {
  const wanted = new Set(texts.flatMap(tellingWords).map(({ stem }) => stem));
  const left = new Set(exclude);
  const facts = known
    .filter(({ question }) => !left.has(question))
    .map((item) => ({ item, stems: new Set(tellingWords(`${item.question} ${item.answer}`).map(({ stem }) => stem)) }));
  const frequency = new Map<string, number>();
  for (const { stems } of facts) for (const stem of stems) frequency.set(stem, (frequency.get(stem) ?? 0) + 1);
  const weightOf = (stems: ReadonlySet<string>): number =>
    [...stems].reduce(
      (sum, stem) => (wanted.has(stem) ? sum + Math.log(1 + facts.length / frequency.get(stem)!) : sum),
      0,
    );
  return facts
    .map(({ item, stems }, index) => ({ item, index, weight: weightOf(stems) }))
    .filter(({ weight }) => weight > 0)
    .toSorted((a, b) => b.weight - a.weight || a.index - b.index)
    .slice(0, count)
    .map(({ item }) => item);
}
