/** @file What stands at the entrance of `adapt`: documents are read and cut to size, and it is said whether they suit the model. */
import { basename, relative } from "node:path";
import {
  checkExam,
  cutToContext,
  describeFamiliarity,
  type Familiarity,
  loadKnownWords,
  measureFamiliarity,
  passageLimit,
  type Reader,
} from "../adapt/index.ts";
import type { Engine } from "../engine/index.ts";
import { type LeftOut, type LoadedDocuments, loadDocuments, type SourcePassage } from "../tasks/index.ts";
import { countOf, SelkieError } from "../util/index.ts";
import type { WorkContext, WorkOutput } from "./context.ts";

/** What `--json` says of the documents. */
export interface DocumentsReport {
  readonly numFiles: number;
  readonly numDocuments: number;
  readonly leftOut: readonly LeftOut[];
  readonly notes: readonly string[];
}

/** Options of {@link readDocuments}. */
export interface ReadOptions {
  readonly limit: number | undefined;
  readonly questions: string | undefined;
  /** Where results go; not read as documents. */
  readonly outputs: readonly string[];
}

/** Documents of files and folders; what a user should know about the reading goes to `tell`. */
export async function readDocuments(
  paths: readonly string[],
  options: ReadOptions,
  output: WorkOutput,
): Promise<{ passages: readonly SourcePassage[]; report: DocumentsReport }> {
  const { passages, numFiles, leftOut, notes }: LoadedDocuments = await loadDocuments(paths, options);
  for (const note of notes) output.note(`documents: ${note}`);
  return { passages, report: { numFiles, numDocuments: passages.length, leftOut, notes } };
}

const maxPassages = 200;

/** What {@link cutPassages} needs to know. */
export interface CutOptions {
  readonly passages: readonly SourcePassage[];
  /** Take on more passages than a person would wait for. */
  readonly isLarge: boolean;
  readonly settings: { readonly maxPassageTokens: number };
}

/** The documents cut to passages that fit the model, as their questions must; more than a person would wait for are refused unless asked for. */
export function cutPassages(
  { passages, isLarge, settings }: CutOptions,
  reader: Reader,
  output: WorkOutput,
): SourcePassage[] {
  const most = isLarge ? Number.POSITIVE_INFINITY : maxPassages + 1;
  const room = passageLimit(reader, settings.maxPassageTokens);
  if (room < settings.maxPassageTokens)
    output.note(
      `the model reads ${countOf(reader.engine.model.maxSeqLen, "token")} at once: passages have at most ${room}, to leave room for what is written about them`,
    );
  const pieces = cutToContext(reader, passages, settings.maxPassageTokens, most);
  if (pieces.length < most) {
    checkExam(reader, pieces, []);
    return pieces;
  }
  const fewer = passages.length > 1 ? ", fewer documents (--limit)" : "";
  throw new SelkieError(
    "bad-option",
    `adapt: expected at most ${countOf(maxPassages, "passage")} of ${countOf(room, "token")}, got more from ${countOf(passages.length, "document")}; take a part of the text${fewer}, or pass --large to do them all`,
  );
}

/** Measures how well the passages suit the model, and says so where they do not. */
export async function tellFamiliarity(
  engine: Engine,
  modelDirectory: string,
  passages: readonly SourcePassage[],
  { output, signal }: WorkContext,
): Promise<Familiarity> {
  const known = await loadKnownWords(modelDirectory);
  const texts = passages.map(({ title, context }) => (title === "" ? context : `${title}\n${context}`));
  const familiarity = await measureFamiliarity(engine, known, texts, signal);
  const warning = describeFamiliarity(familiarity);
  if (warning !== null) output.note(`${basename(relative(".", modelDirectory))}: ${warning}`);
  return familiarity;
}
