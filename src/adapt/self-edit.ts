/**
 * @file A self-edit, from the text that a model wrote to the documents it is trained on
 * (SEAL, arXiv 2506.10943; splitting rules read off its released code). Deviations:
 *  1. numbering and bullets are stripped from lines, so that "1." is not learned as part of a fact;
 *  2. a question without an answer is dropped, and repeated documents are trained on once;
 *  3. a document that contains a question of the exam is dropped, always.
 */
import { sentencesOf } from "./breaks.ts";
import { fillTemplate, type PromptTemplates, type SelfEditKind, selfEditKinds } from "./prompts.ts";

/** What a model wrote for one passage. */
export interface SelfEdit {
  readonly kind: SelfEditKind;
  readonly text: string;
}

/** A question and answer found in an edit. */
export interface WrittenQuestion {
  readonly question: string;
  readonly answer: string;
}

const maxDocumentsPerEdit = 30; // SEAL v2's cap per completion

/** Reads a completion of `openSelfEdit`: the kind on the first line, the edit below; `null` when no kind is named. */
export function parseOpenSelfEdit(completion: string): SelfEdit | null {
  const [first = "", ...rest] = completion.split("\n");
  const kind = selfEditKinds.find((name) => name === first.trim());
  return kind === undefined ? null : { kind, text: rest.join("\n").trim() };
}

/** Pairs of `Question n:` and `Answer:` in their order; unanswered questions are left out. */
export function parseQuestions(text: string): WrittenQuestion[] {
  return text
    .split(/(?=Question(?:\s+\d+)?\s*:)/)
    .map((block) => /^Question(?:\s+\d+)?\s*:\s*([^\n]+)\n+\s*Answer\s*:\s*([^\n]+)/.exec(block.trim()))
    .filter((match) => match !== null)
    .map((match) => ({ question: match[1]!.trim(), answer: match[2]!.trim() }));
}

const stripMarker = (line: string): string => line.replace(/^\s*(?:[-*•]|\d+[.)])\s+/, "").trim();

function splitLines(text: string): string[] {
  const lines = text.split("\n").filter((line) => line.trim() !== "" && !/^-{3,}$/.test(line.trim()));
  const body = /^\s*1\./.test(lines[1] ?? "") ? lines.slice(1) : lines; // a lead-in line before a numbered list
  return body.map(stripMarker).filter((line) => line !== "");
}

/** Text compared without case, punctuation and repeated white space. */
const normalise = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, " ")
    .trim();

/** Documents that ask no question of the exam; the check is on normalised text, so wording alone counts. */
export function withoutExamQuestions(documents: readonly string[], examQuestions: readonly string[]): string[] {
  const asked = examQuestions.map(normalise).filter((question) => question !== "");
  return documents.filter((document) => {
    const text = normalise(document);
    return !asked.some((question) => text.includes(question));
  });
}

/**
 * `text` without the sentences and lines that contain a question of the exam, so that a passage that is itself a list of
 * questions and answers can be learned and examined at once. Empty when nothing else is left.
 */
export function redactExamQuestions(text: string, examQuestions: readonly string[]): string {
  if (withoutExamQuestions([text], examQuestions).length === 1) return text;
  const parts = text.split(/(?<=\n)/).flatMap(sentencesOf);
  const kept = parts.filter((part) => withoutExamQuestions([part], examQuestions).length === 1);
  return withoutExamQuestions([kept.join("").trim()], examQuestions)[0] ?? "";
}

/**
 * Training documents of an edit: one per question or line, each under the passage's title, without repeats,
 * at most 30; then the passage itself.
 */
export function selfEditDocuments(
  edit: SelfEdit,
  source: { readonly title: string; readonly context: string },
  templates: PromptTemplates,
): string[] {
  const pairs = parseQuestions(edit.text);
  const parts =
    pairs.length > 0
      ? pairs.map((pair) => fillTemplate(templates.questionDocument, { ...pair }))
      : edit.kind === "self-qa"
        ? []
        : splitLines(edit.text);
  const unique = [...new Set(parts)].slice(0, maxDocumentsPerEdit);
  return [...unique, source.context].map((part) => (source.title === "" ? part : `${source.title}\n${part}`));
}
