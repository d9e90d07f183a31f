/** @file One file as entries: what its kind says, checked by what stands in it. */
import { readMarkdown } from "./markdown.ts";
import { type Entry, entriesOf, type Tally } from "./records.ts";
import { readText, refuse } from "./text-file.ts";
import { kindOf } from "./walk.ts";

/** A file, read. */
export interface FileEntries {
  readonly entries: readonly Entry[];
  readonly hasFrontMatter: boolean;
  /** A report of ours, which lies beside adapters and is nobody's document. */
  readonly isReport: boolean;
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw refuse(where, "JSON", (cause as Error).message, "mend the file");
  }
}

/** Numbered lines that are not blank. */
const linesOf = (text: string): { line: string; number: number }[] =>
  text
    .split("\n")
    .map((line, index) => ({ line, number: index + 1 }))
    .filter(({ line }) => line.trim() !== "");

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

/** Values of a .json or .jsonl file with their places; a list under the one name and lines under the other are both read. */
function valuesOf(text: string, file: string): { value: unknown; where: string }[] {
  const isLines = [".jsonl", ".ndjson"].includes(kindOf(file));
  const lines = linesOf(text);
  const isWhole = isLines
    ? !isJson(lines[0]!.line) && isJson(text)
    : lines.length < 2 || isJson(text) || !isJson(lines[0]!.line);
  if (isWhole) return [{ value: parseJson(text, file), where: file }];
  return lines.map(({ line, number }) => ({ value: parseJson(line, `${file}:${number}`), where: `${file}:${number}` }));
}

const isReport = (value: unknown): boolean =>
  value !== null &&
  typeof value === "object" &&
  "decision" in value &&
  "numQuestions" in value &&
  "numDocuments" in value &&
  "adapted" in value;

/**
 * Entries of `file`; Markdown and plain text are one each, without a text when the file has a head or a heading alone.
 *
 * @throws SelkieError `"missing-file"` or `"bad-file"`, naming the file and the place in it.
 */
export async function readFile(file: string, tally: Tally): Promise<FileEntries> {
  const text = await readText(file);
  const plain = { hasFrontMatter: false, isReport: false };
  const single = (title: string, content: string): Entry => ({
    where: file,
    title,
    text: content,
    about: null,
    questions: [],
  });
  switch (kindOf(file)) {
    case ".json":
    case ".jsonl":
    case ".ndjson": {
      const values = valuesOf(text, file);
      if (values.length === 1 && isReport(values[0]!.value)) return { ...plain, entries: [], isReport: true };
      return { ...plain, entries: values.flatMap(({ value, where }) => entriesOf(value, where, tally)) };
    }
    case ".md":
    case ".markdown": {
      const { title, text: body, hasFrontMatter } = readMarkdown(text);
      return { entries: [single(title, body)], hasFrontMatter, isReport: false };
    }
    default:
      return { ...plain, entries: [single("", text.trim())] };
  }
}
