/** @file What a program may ask a model to learn: paths and texts, as the passages of an adaptation. */
import { attachQuestions, type ExamQuestion, loadDocuments, type SourcePassage } from "../tasks/index.ts";
import { SelkieError } from "../util/index.ts";

/** A question to examine with. */
export interface QuestionInput {
  readonly question: string;
  /** The one answer that counts as right. */
  readonly answer: string;
  /** Choosing among self-edits, the report, or both. @defaultValue "both" */
  readonly use?: ExamQuestion["use"];
}

/** A text to learn. */
export interface PassageInput {
  readonly text: string;
  /** Put before every training document. @defaultValue none */
  readonly title?: string;
  /** Names it in the report; unique. @defaultValue "text 1", "text 2", … */
  readonly id?: string;
  /** @defaultValue the model writes its own */
  readonly questions?: readonly QuestionInput[];
}

function toPassage({ text, title = "", id, questions = [] }: PassageInput, index: number): SourcePassage {
  const name = id ?? `text ${index + 1}`;
  if (text.trim() === "")
    throw new SelkieError("bad-input", `learn: expected a text to learn, got an empty one in "${name}"; leave it out`);
  for (const { question, answer } of questions)
    if (question.trim() === "" || answer.trim() === "")
      throw new SelkieError(
        "bad-input",
        `learn: expected questions and answers with text, got ${JSON.stringify({ question, answer })} in "${name}"`,
      );
  return {
    id: name,
    file: name,
    title,
    context: text.trim(),
    questions: questions.map((item) => ({ ...item, use: item.use ?? "both" })),
  };
}

/** How {@link readSources} reads. */
export interface SourceOptions {
  /** File of questions. */
  readonly questions: string | undefined;
  /** Folders that hold output and are not read where they lie inside a given one. */
  readonly outputs: readonly string[];
  /** Told what a person should know about the reading, one line each. */
  readonly onNote: (message: string) => void;
}

/** Passages of the files and folders, then of the texts, with the questions of the file where there is one. */
export async function readSources(
  sources: readonly (string | PassageInput)[],
  { questions, outputs, onNote }: SourceOptions,
): Promise<readonly SourcePassage[]> {
  if (sources.length === 0)
    throw new SelkieError("bad-input", "learn: expected at least one path or text, got an empty list");
  const paths = sources.filter((source) => typeof source === "string");
  const texts = sources.filter((source) => typeof source !== "string").map(toPassage);
  const isMixed = texts.length > 0 && questions !== undefined;
  const own = isMixed ? undefined : questions; // of the documents alone; else they are given to all below
  const loaded = paths.length === 0 ? null : await loadDocuments(paths, { questions: own, outputs });
  for (const note of loaded?.notes ?? []) onNote(`documents: ${note}`);
  const passages = [...(loaded?.passages ?? []), ...texts];
  const ids = passages.map(({ id }) => id);
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice !== undefined)
    throw new SelkieError("bad-input", `learn: expected passages of different names, got "${twice}" twice; give ids`);
  return isMixed ? attachQuestions(passages, questions) : passages;
}
