/** @file What reading documents gives: passages with their questions, and what was left out. */
import type { Passage, Question } from "../types.ts";

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
  /** Ids of documents with the same text; it is learned once, under `id`. @defaultValue none */
  readonly otherIds?: readonly string[];
}

/** Why a file or folder below a given folder was not read as a document. */
export type LeftOutReason =
  | "unknown kind"
  | "hidden"
  | "broken link"
  | "special file"
  | "made by Selkie"
  | "node_modules"
  | "read already"
  | "no text"
  | "questions";

/** A file or folder that was not read as a document. */
export interface LeftOut {
  readonly path: string;
  readonly reason: LeftOutReason;
}

/** Documents of files and folders. */
export interface LoadedDocuments {
  readonly passages: readonly SourcePassage[];
  /** Files that were read as documents. */
  readonly numFiles: number;
  readonly leftOut: readonly LeftOut[];
  /** What a user should know about the reading, one line each. */
  readonly notes: readonly string[];
}

/** Options of {@link loadDocuments}. */
export interface LoadOptions {
  /** At most this many documents: texts, a file of several counting each. @defaultValue no limit */
  readonly limit?: number | undefined;
  /** Files of questions to take instead of those found in folders. @defaultValue those found */
  readonly questions?: string | undefined;
  /** Folders that hold output and are not read when they lie inside a given folder. @defaultValue none */
  readonly outputs?: readonly string[];
}
