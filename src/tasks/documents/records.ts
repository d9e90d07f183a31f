/**
 * @file What stands in .json and .jsonl files, as entries: texts with questions, or questions alone. Understood are our own
 * shape, SQuAD whole and in parts (Rajpurkar et al. 2016, arXiv 1606.05250; 2018, arXiv 1806.03822), the rows that
 * data sets are exported as, columns, and wrappers around these.
 */
import {
  answerKeys,
  type Fields,
  isOurs,
  oneOf,
  questionKeys,
  questionListKeys,
  readFields,
  shapeOfEntry,
  textKeys,
} from "./keys.ts";
import { refuse } from "./text-file.ts";
import type { ExamQuestion, QuestionUse } from "./types.ts";

/** One text with its questions, or questions alone. */
export interface Entry {
  /** File and place in it, for messages. */
  readonly where: string;
  readonly title: string;
  /** `null` for questions alone. */
  readonly text: string | null;
  /** Id of the document that questions alone are about. */
  readonly about: string | null;
  readonly questions: readonly ExamQuestion[];
}

/** Counts what was not used while reading. */
export interface Tally {
  /** Keys that were not used, with how often they came. */
  readonly ignoredKeys: Map<string, number>;
  /** Questions without an answer (SQuAD 2.0). */
  numUnanswerable: number;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === "object" && !Array.isArray(value);
const describe = (value: unknown): string =>
  value === null ? "null" : Array.isArray(value) ? "a list" : typeof value === "object" ? "an object" : typeof value;

/** Entries of a parsed value, in their order. */
export function entriesOf(value: unknown, where: string, tally: Tally, title = ""): Entry[] {
  if (Array.isArray(value)) return value.flatMap((part, index) => entriesOf(part, `${where}[${index}]`, tally, title));
  if (!isObject(value))
    throw refuse(where, shapeOfEntry, describe(value), 'put the text under "context", one object for each');
  const inner = unwrap(value, where, tally, title);
  return inner ?? [readEntry(value, where, tally, title)];
}

const wrapperKeys = ["data", "rows", "row", "passages", "documents"];
/** Keys that stand beside them. */
const besideWrappers = [
  "version",
  "features",
  "row_idx",
  "truncated_cells",
  "num_rows_total",
  "num_rows_per_page",
  "partial",
];

/** Entries inside a wrapper: `{"data": …}`, rows of an export, a SQuAD article, columns; `null` when it is none. */
function unwrap(value: Record<string, unknown>, where: string, tally: Tally, title: string): Entry[] | null {
  const wrapper = wrapperKeys.find((key) => Array.isArray(value[key]) || isObject(value[key]));
  if (wrapper !== undefined) {
    const { [wrapper]: inner, ...rest } = value;
    for (const key of besideWrappers) delete rest[key];
    const own = typeof rest["title"] === "string" ? rest["title"] : title;
    readRest(rest, where, wrapper, tally);
    return entriesOf(inner, `${where}.${wrapper}`, tally, own);
  }
  if (Array.isArray(value["paragraphs"])) return readArticle(value, value["paragraphs"], where, tally, title);
  const columns = textKeys.find(
    (key) => Array.isArray(value[key]) && value[key].every((cell) => typeof cell === "string"),
  );
  return columns === undefined ? null : readColumns(value, columns, where, tally);
}

/** Keys beside a wrapper: the title is used, others of ours, and wrappers, would be lost. */
function readRest(rest: Record<string, unknown>, where: string, wrapper: string, tally: Tally): void {
  const fields = readFields(rest, where, (key) => count(tally.ignoredKeys, key));
  const lost = [...fields.keys()].find(
    (key) => fields.get(key) != null && key !== "title" && (isOurs(key) || wrapperKeys.includes(key)),
  );
  if (lost !== undefined)
    throw refuse(
      where,
      `texts and questions inside "${wrapper}"`,
      `"${lost}" beside it`,
      "move it inside, or take it out",
    );
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** A SQuAD article, or a text given as its paragraphs. */
function readArticle(
  value: Record<string, unknown>,
  paragraphs: readonly unknown[],
  where: string,
  tally: Tally,
  title: string,
): Entry[] {
  const { paragraphs: _, ...rest } = value;
  if (paragraphs.length > 0 && paragraphs.every((part) => typeof part === "string"))
    return [readEntry({ ...rest, context: paragraphs.join("\n\n") }, where, tally, title)];
  const own = typeof rest["title"] === "string" ? rest["title"] : title;
  readRest(rest, where, "paragraphs", tally);
  return entriesOf(paragraphs, `${where}.paragraphs`, tally, own);
}

/** `{"context": […], "question": […]}` read row by row. */
function readColumns(value: Record<string, unknown>, first: string, where: string, tally: Tally): Entry[] {
  const { length } = value[first] as unknown[];
  const columns = Object.entries(value).map(([key, cells]) => {
    if (!Array.isArray(cells) || cells.length !== length)
      throw refuse(
        where,
        `a column of ${length} values under "${key}", as under "${first}"`,
        describe(cells),
        "mend it",
      );
    return [key, cells] as const;
  });
  return Array.from({ length }, (_, row) =>
    readEntry(Object.fromEntries(columns.map(([key, cells]) => [key, cells[row]])), `${where}[${row}]`, tally, ""),
  );
}

/** Longest name of a document that questions can be about; a longer "passage" is a text under the wrong key. */
const maxNameLength = 200;

function readEntry(value: Record<string, unknown>, where: string, tally: Tally, inherited: string): Entry {
  const unused: string[] = [];
  const fields = readFields(value, where, (key) => unused.push(key));
  for (const key of unused) count(tally.ignoredKeys, key);
  const found = oneOf(fields, textKeys, where);
  const questions = readQuestions(fields, where, tally);
  const about = readText(fields, "passage", where);
  if (about !== "" && (found !== null || about.length > maxNameLength || about.includes("\n")))
    throw refuse(where, '"passage" to name a document', "a text", 'call the text "context"');
  const title = (readText(fields, "title", where) || inherited).replaceAll("_", " ").trim();
  if (found === null) {
    const isQuestion = [...questionKeys, ...questionListKeys].some((key) => fields.has(key));
    if (!isQuestion) throw refuse(where, 'a non-empty "context" (or "text")', namesOf(value), "mend the entry");
    const name = unused.find((key) => isLongText(value[key]));
    if (name !== undefined)
      throw refuse(where, 'a text under "context"', `one under "${name}"`, `call it "context", or take it out`);
    return { where, title, text: null, about: about === "" ? null : about, questions };
  }
  if (typeof found.value !== "string" || found.value.trim() === "")
    throw refuse(
      where,
      'a non-empty "context" (or "text")',
      typeof found.value === "string" ? "an empty one" : `${describe(found.value)} under "${found.key}"`,
      "mend the entry",
    );
  return { where, title, text: found.value, about: null, questions };
}

/** True for what looks like a text to learn and not like a name, a date or an address. */
const isLongText = (content: unknown): boolean =>
  typeof content === "string" && content.length > maxNameLength && content.trim().split(/\s+/).length > 20;

function namesOf(value: object): string {
  const names = Object.keys(value).map((name) => JSON.stringify(name));
  return names.length === 0 ? "an empty object" : names.slice(0, 6).join(", ") + (names.length > 6 ? ", …" : "");
}

/** Text under a key; empty where there is none. */
function readText(fields: Fields, key: string, where: string): string {
  const value = fields.get(key) ?? "";
  if (typeof value === "string") return value;
  if (typeof value === "number") return `${value}`;
  throw refuse(where, `text under "${key}"`, describe(value), "mend the entry");
}

/** Questions of an entry: lists of them, and one written beside the text. */
function readQuestions(fields: Fields, where: string, tally: Tally): ExamQuestion[] {
  const questions: ExamQuestion[] = [];
  for (const key of questionListKeys) {
    const list = fields.get(key) ?? [];
    if (!Array.isArray(list)) throw refuse(where, `a list under "${key}"`, describe(list), "mend the entry");
    list.forEach((part, index) => {
      const place = `${where}: ${key}.${index}`;
      if (!isObject(part)) throw refuse(place, '{"question", "answer"}', describe(part), "mend the question");
      questions.push(
        ...readQuestion(
          readFields(part, place, (name) => count(tally.ignoredKeys, name)),
          place,
          tally,
        ),
      );
    });
  }
  const isBeside = [...questionKeys, ...answerKeys].some((key) => fields.get(key) !== undefined);
  return isBeside ? [...questions, ...readQuestion(fields, where, tally)] : questions;
}

/** One question, or none when it has no answer and says so. */
function readQuestion(fields: Fields, where: string, tally: Tally): ExamQuestion[] {
  const asked = oneOf(fields, questionKeys, where);
  if (asked === null || typeof asked.value !== "string" || asked.value.trim() === "")
    throw refuse(
      where,
      oneOf(fields, textKeys, where) === null && asked === null
        ? 'a non-empty "context" (or "text"), or a "question" beside the answer'
        : 'a non-empty "question"',
      asked === null ? "none" : typeof asked.value === "string" ? "an empty one" : describe(asked.value),
      "mend the question",
    );
  const given = answerKeys.filter((key) => fields.has(key));
  const answers = given.flatMap((key) => answersOf(fields.get(key), where));
  const answer = answers.find((text) => text.trim() !== "");
  if (fields.get("is_impossible") === true || (answer === undefined && given.length > 0 && answers.length === 0)) {
    tally.numUnanswerable++;
    return [];
  }
  if (answer === undefined)
    throw refuse(
      where,
      'an "answer" to the question',
      given.length === 0 ? "none" : "an empty one",
      "mend the question",
    );
  return [{ question: asked.value.trim(), answer: answer.trim(), use: useOf(fields, where) }];
}

/** Answers in any of their shapes; the first that is not empty is the one that counts. */
function answersOf(value: unknown, where: string): string[] {
  if (value === null || value === undefined) return [];
  if (
    typeof value === "string" &&
    /^\s*(?:\{\s*["'](?:text|answer_start)["']\s*:|\[\s*\{\s*["']text["']\s*:)/.test(value)
  )
    throw refuse(
      where,
      "an answer as text, a list of texts, or {text}",
      "an object written as text",
      "write it as JSON",
    );
  if (typeof value === "string") return [value];
  if (typeof value === "number") return [`${value}`];
  if (Array.isArray(value)) return value.flatMap((part) => answersOf(part, where));
  if (isObject(value) && "text" in value) return answersOf(value["text"], where);
  if (isObject(value) && "value" in value) return answersOf(value["value"], where);
  throw refuse(where, "an answer as text, a list of texts, or {text}", describe(value), "mend the question");
}

const uses: readonly QuestionUse[] = ["selection", "report", "both"];

function useOf(fields: Fields, where: string): QuestionUse {
  const value = fields.get("use") ?? "both";
  const use = uses.find((name) => name === value);
  if (use === undefined)
    throw refuse(where, `"use" to be ${uses.join(", ")}`, JSON.stringify(value), "mend the question");
  return use;
}
