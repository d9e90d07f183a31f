/**
 * @file Reads what people have: .md, .txt, .jsonl and SQuAD-style .json files, or folders of them, as passages.
 * Everything foreign is checked here; a bad file is refused by name before any work starts.
 */
import { isUtf8 } from "node:buffer";
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { z } from "zod";
import { SelkieError } from "../util/index.ts";
import type { Passage, Question } from "./types.ts";

/** When a question counts: choosing among candidate edits, in the report, or both. */
export type QuestionUse = "selection" | "report" | "both";

/** A question of an exam. */
export interface ExamQuestion extends Question {
  readonly use: QuestionUse;
}

/** A passage and where it came from. */
export interface SourcePassage extends Passage {
  /** Unique in one load: the file's name, with `#n` where a file holds several. */
  readonly id: string;
  readonly file: string;
  readonly questions: readonly ExamQuestion[];
}

const questionSchema = z.object({
  question: z.string().min(1),
  answer: z.union([
    z.string(),
    z
      .array(z.string())
      .min(1)
      .transform((answers) => answers[0]!),
  ]),
  use: z.enum(["selection", "report", "both"]).default("both"),
});
const passageSchema = z
  .object({
    title: z.string().default(""),
    context: z.string().optional(),
    text: z.string().optional(),
    questions: z.array(questionSchema).default([]),
  })
  .transform(({ title, context, text, questions }, problem) => {
    const body = context ?? text;
    if (body === undefined || body.trim() === "") {
      problem.addIssue({ code: "custom", message: 'expected a non-empty "context" (or "text")' });
      return z.NEVER;
    }
    return { title: title.replaceAll("_", " "), context: body, questions };
  });
const squadSchema = z.object({
  data: z.array(
    z.object({
      title: z.string(),
      paragraphs: z.array(
        z.object({
          context: z.string(),
          qas: z.array(z.object({ question: z.string(), answers: z.array(z.object({ text: z.string() })) })),
        }),
      ),
    }),
  ),
});
const extensions = [".md", ".txt", ".jsonl", ".json"];

const refuse = (file: string, expected: string, got: string, cure: string): SelkieError =>
  new SelkieError("bad-file", `${file}: expected ${expected}, got ${got}; ${cure}`);

/** Text of a file; empty, binary and wrongly encoded files are refused by name. */
export async function readText(file: string): Promise<string> {
  const bytes = await readFile(file).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT")
      throw new SelkieError("missing-file", `${file}: expected a file or folder, found nothing there; check the path`, {
        cause,
      });
    throw new SelkieError("bad-file", `${file}: cannot be read (${cause.code}); check its permissions`, { cause });
  });
  if (bytes.length === 0) throw refuse(file, "text", "an empty file", "leave it out or fill it");
  if (bytes.includes(0)) throw refuse(file, "text", "binary data (a zero byte)", "convert it to .txt or .md first");
  if (!isUtf8(bytes))
    throw refuse(
      file,
      "UTF-8 text",
      `an invalid byte at offset ${firstInvalidByte(bytes)}`,
      "convert it to UTF-8, for example with iconv",
    );
  const text = bytes
    .toString("utf8")
    .replace(/^\uFEFF/, "")
    .replaceAll("\r\n", "\n");
  if (text.trim() === "") throw refuse(file, "text", "white space only", "leave it out or fill it");
  return text;
}

/** Length of the longest valid prefix: bisection over whole-character cuts, then the last few bytes one by one. */
function firstInvalidByte(bytes: Buffer): number {
  const isCut = (at: number) => at >= bytes.length || (bytes[at]! & 0xc0) !== 0x80;
  let valid = 0;
  let invalid = bytes.length;
  while (invalid - valid > 8) {
    let middle = (valid + invalid) >> 1;
    while (middle > valid && !isCut(middle)) middle--;
    if (middle === valid) break;
    if (isUtf8(bytes.subarray(0, middle))) valid = middle;
    else invalid = middle;
  }
  let end = Math.min(bytes.length, invalid);
  while (end > valid && !isUtf8(bytes.subarray(0, end))) end--;
  return end;
}

async function listFiles(path: string): Promise<string[]> {
  const info = await stat(path).catch((cause: unknown) => {
    throw new SelkieError("missing-file", `${path}: expected a file or folder, found nothing there; check the path`, {
      cause,
    });
  });
  if (!info.isDirectory()) return [path];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && extensions.includes(extname(entry.name)) && !entry.name.startsWith("."))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw refuse(where, "JSON", (cause as Error).message, "mend the file");
  }
}

function parseWith<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw refuse(
    where,
    "{title, context, questions: [{question, answer}]}",
    `${issue.path.join(".") || "value"}: ${issue.message}`,
    "mend the entry",
  );
}

type Parsed = z.infer<typeof passageSchema>;

function parseJsonPassages(value: unknown, file: string): Parsed[] {
  if (Array.isArray(value)) return value.map((entry, index) => parseWith(passageSchema, entry, `${file}[${index}]`));
  const squad = squadSchema.safeParse(value);
  if (!squad.success) return [parseWith(passageSchema, value, file)];
  return squad.data.data.flatMap(({ title, paragraphs }) =>
    paragraphs.map(({ context, qas }) => ({
      title: title.replaceAll("_", " "),
      context,
      questions: qas
        .filter((qa) => qa.answers.length > 0)
        .map((qa) => ({ question: qa.question, answer: qa.answers[0]!.text, use: "both" as const })),
    })),
  );
}

function parseFile(file: string, text: string): Parsed[] {
  switch (extname(file)) {
    case ".json":
      return parseJsonPassages(parseJson(text, file), file);
    case ".jsonl":
      return jsonLines(text).map(({ line, number }) =>
        parseWith(passageSchema, parseJson(line, `${file}:${number}`), `${file}:${number}`),
      );
    case ".md": {
      const heading = /^#\s+(.+)\n/.exec(text.trimStart());
      return [
        {
          title: heading?.[1]?.trim() ?? "",
          context: (heading === null ? text : text.trimStart().slice(heading[0].length)).trim(),
          questions: [],
        },
      ];
    }
    default:
      return [{ title: "", context: text.trim(), questions: [] }];
  }
}

const jsonLines = (text: string): { line: string; number: number }[] =>
  text
    .split("\n")
    .map((line, index) => ({ line, number: index + 1 }))
    .filter(({ line }) => line.trim() !== "");

/**
 * Passages of files and folders, in the order given (folders sorted by name).
 *
 * @param limit - At most this many passages. @defaultValue no limit
 * @throws SelkieError `"missing-file"`, `"bad-file"` or `"no-documents"`, naming the file.
 */
export async function loadPassages(
  paths: readonly string[],
  limit: number = Number.POSITIVE_INFINITY,
): Promise<SourcePassage[]> {
  const files = (await Promise.all(paths.map(listFiles))).flat();
  if (files.length === 0)
    throw new SelkieError(
      "no-documents",
      `${paths.join(", ")}: expected at least one of ${extensions.join(" ")}, found none; name files or a folder that holds some`,
    );
  const passages: SourcePassage[] = [];
  for (const file of files) {
    if (passages.length >= limit) break;
    if (!extensions.includes(extname(file)))
      throw refuse(file, extensions.join(" "), `"${extname(file)}"`, "convert it to one of these");
    const parsed = parseFile(file, await readText(file)).filter(({ context }) => context !== "");
    parsed.forEach((passage, index) => {
      passages.push({ ...passage, file, id: parsed.length === 1 ? basename(file) : `${basename(file)}#${index + 1}` });
    });
  }
  if (passages.length === 0)
    throw new SelkieError("no-documents", `${paths.join(", ")}: expected at least one passage with text, found none`);
  return uniqueIds(passages.slice(0, limit));
}

/** Two files of one name in different folders keep apart by their whole path. */
function uniqueIds(passages: readonly SourcePassage[]): SourcePassage[] {
  const seen = new Set<string>();
  return passages.map((passage) => {
    const id = seen.has(passage.id) ? `${passage.file}:${passage.id}` : passage.id;
    seen.add(id);
    return { ...passage, id };
  });
}

/**
 * Adds the questions of a .jsonl file (`{"question", "answer", "passage"?, "use"?}`) to their passages.
 * `passage` is a passage's id (its file name); it may be left out when there is only one passage.
 */
export async function attachQuestions(passages: readonly SourcePassage[], file: string): Promise<SourcePassage[]> {
  const lineSchema = questionSchema.extend({ passage: z.string().optional() });
  const added = new Map<string, ExamQuestion[]>();
  const known = passages.map(({ id }) => id);
  for (const { line, number } of jsonLines(await readText(file))) {
    const parsed = lineSchema.safeParse(parseJson(line, `${file}:${number}`));
    if (!parsed.success)
      throw refuse(
        `${file}:${number}`,
        '{"question", "answer", "passage"}',
        parsed.error.issues[0]!.message,
        "mend the line",
      );
    const { passage, ...question } = parsed.data;
    const id = passage ?? (known.length === 1 ? known[0] : undefined);
    if (id === undefined || !known.includes(id))
      throw refuse(
        `${file}:${number}`,
        `"passage" to name one of: ${known.slice(0, 8).join(", ")}${known.length > 8 ? ", …" : ""}`,
        id === undefined ? "none" : JSON.stringify(id),
        "add or mend it",
      );
    added.set(id, [...(added.get(id) ?? []), question]);
  }
  return passages.map((passage) => ({
    ...passage,
    questions: [...passage.questions, ...(added.get(passage.id) ?? [])],
  }));
}
