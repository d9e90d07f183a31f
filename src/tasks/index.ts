/** @file Exports of `tasks`: documents, exams' questions, graders, the Almanac. */
export * from "./almanac/index.ts";
export * from "./documents/index.ts";
export { gradeAnswer, normaliseAnswer } from "./grade.ts";
export { loadPlainEnglish, type PlainEnglishPassage } from "./plain-english/plain-english.ts";
export type { Passage, Question } from "./types.ts";
