/**
 * @file The keys of entries in .json and .jsonl files: those we read, those of other kinds of data, which are refused by
 * name, and the rest, which is data about the text and not used. A key that looks like one of ours is refused too: what
 * stands under it would be lost without a word.
 */
import { refuse } from "./text-file.ts";

/** An object of a file, its keys in lower case with `_` between words. */
export type Fields = ReadonlyMap<string, unknown>;

/** Keys that hold the text of an entry. */
export const textKeys = ["context", "text", "content", "contents", "body", "page_content", "article"] as const;
/** Keys that hold a list of questions. */
export const questionListKeys = ["questions", "qas"] as const;
/** Keys that hold one question, and its answer or answers. */
export const questionKeys = ["question", "q"] as const;
export const answerKeys = ["answer", "answers", "a"] as const;

const ours: readonly string[] = [
  ...textKeys,
  ...questionListKeys,
  ...questionKeys,
  ...answerKeys,
  "title",
  "passage",
  "use",
  "is_impossible",
  "paragraphs",
  "data",
  "rows",
  "row",
];

/** True for a key that we read. */
export const isOurs = (key: string): boolean => ours.includes(key);

/** Keys of other kinds of training data; a text beside them would not be all of it. */
const foreign: Readonly<Record<string, string>> = {
  prompt: "prompts with completions",
  completion: "prompts with completions",
  response: "prompts with completions",
  messages: "conversations",
  conversation: "conversations",
  conversations: "conversations",
  dialogue: "conversations",
  instruction: "instructions",
  instructions: "instructions",
  output: "instructions",
  input: "instructions",
  chosen: "preferences",
  rejected: "preferences",
  options: "questions of several choices",
  choices: "questions of several choices",
  query: "questions",
  queries: "questions",
  target: "pairs",
};

/** How to mend a file that is not understood. */
export const shapeOfEntry = '{"title", "context", "questions": [{"question", "answer"}]}';

/** The fields of an object; `ignored` is told the keys that are not used. */
export function readFields(value: object, where: string, ignored: (key: string) => void): Fields {
  const fields = new Map<string, unknown>();
  for (const [name, content] of Object.entries(value)) {
    const key = name
      .trim()
      .replace(/(\p{Ll})(?=\p{Lu})/gu, "$1_")
      .toLowerCase()
      .replace(/[\s-]+/g, "_");
    if (fields.has(key)) throw refuse(where, `one "${key}"`, "two, spelt differently", "take one out");
    const kind = Object.hasOwn(foreign, key) ? foreign[key] : undefined;
    if (kind !== undefined && content !== null)
      throw refuse(
        where,
        `texts with questions, ${shapeOfEntry}`,
        `"${name}", a key of ${kind}`,
        `put what is to be learned under "context" and take "${name}" out`,
      );
    fields.set(key, content);
    if (ours.includes(key)) continue;
    const [meant] = ours.filter((known) => looksLike(key, known)).toSorted((a, b) => slips(key, a) - slips(key, b));
    if (meant !== undefined)
      throw refuse(where, `"${meant}"`, `"${name}"`, `rename it; if it is something else, take it out`);
    if (holdsQuestions(key, content))
      throw refuse(
        where,
        'questions under "questions", or "question" and "answer"',
        `"${name}"`,
        "rename it; if it holds none, take it out",
      );
    ignored(name);
  }
  return fields;
}

/** True for a key that ends in question or answer, as "gold_answer" does, and for one that holds objects with such keys. */
function holdsQuestions(key: string, content: unknown): boolean {
  if (content === null || /^(?:plausible|detected|num|has|is)_/.test(key)) return false;
  if (/(?:^|_)(?:question|answer)s?(?:_text)?$|^(?:qa|faq|qna)(?:s|_?pairs?|_?list)?$/.test(key)) return true;
  const parts: unknown[] = Array.isArray(content) ? content : [content];
  return parts.some(
    (part) =>
      part !== null &&
      typeof part === "object" &&
      Object.keys(part).some((name) => /^(?:questions?|answers?|qas|q|a)$/i.test(name)),
  );
}

/** True when `key` is one or two slips away from a longer word of ours. */
function looksLike(key: string, known: string): boolean {
  if (known.length < 5 || Math.abs(key.length - known.length) > 2) return false;
  return slips(key, known) <= (known.length < 7 ? 1 : 2);
}

/** Letters to add, drop, change or swap with their neighbour to make `b` of `a` (Damerau and Levenshtein's distance). */
function slips(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let best = Math.min(change, rows[i - 1]![j]! + 1, row[j - 1]! + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, rows[i - 2]![j - 2]! + 1);
      row.push(best);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}

/** The value under the first of `keys` that is there and not null; more than one is refused, unless they are equal. */
export function oneOf(fields: Fields, keys: readonly string[], where: string): { key: string; value: unknown } | null {
  const given = keys.filter((key) => fields.get(key) !== undefined && fields.get(key) !== null);
  const [key] = given;
  if (key === undefined) return null;
  const value = fields.get(key);
  const other = given.find((name) => JSON.stringify(fields.get(name)) !== JSON.stringify(value));
  if (other !== undefined) throw refuse(where, `one of "${key}" and "${other}"`, "both, which differ", "take one out");
  return { key, value };
}
