/** @file Exports of `documents`: files and folders as passages, and questions about them. */
export { loadDocuments, loadPassages } from "./load.ts";
export { attachQuestions } from "./questions.ts";
export { readText } from "./text-file.ts";
export type {
  ExamQuestion,
  LeftOut,
  LeftOutReason,
  LoadedDocuments,
  LoadOptions,
  QuestionUse,
  SourcePassage,
} from "./types.ts";
