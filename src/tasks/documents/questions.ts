/** @file Questions that stand apart from the texts they are about, in a file of their own. */
import { readFile } from "./read-file.ts";
import type { Entry, Tally } from "./records.ts";
import { refuse } from "./text-file.ts";
import type { ExamQuestion, SourcePassage } from "./types.ts";

/** Passages with the questions added, and those that name no passage. */
export interface Attached {
  readonly passages: readonly SourcePassage[];
  /** All questions that were added. */
  readonly attached: readonly ExamQuestion[];
  readonly unmatched: readonly Entry[];
}

const targetOf = (passages: readonly SourcePassage[], about: string | null): SourcePassage | undefined =>
  about === null
    ? passages.length === 1
      ? passages[0]
      : undefined
    : passages.find(({ id, otherIds }) => id === about || otherIds?.includes(about));

/** Adds questions to the passages they name. A question that names none belongs to the only passage there is. */
export function attachEntries(passages: readonly SourcePassage[], entries: readonly Entry[]): Attached {
  const added = new Map<string, ExamQuestion[]>();
  const unmatched: Entry[] = [];
  const attached: ExamQuestion[] = [];
  for (const entry of entries) {
    const passage = targetOf(passages, entry.about);
    if (passage === undefined) {
      unmatched.push(entry);
      continue;
    }
    added.set(passage.id, [...(added.get(passage.id) ?? []), ...entry.questions]);
    attached.push(...entry.questions);
  }
  const extended = passages.map((passage) => ({
    ...passage,
    questions: [...passage.questions, ...(added.get(passage.id) ?? [])],
  }));
  return { passages: extended, attached, unmatched };
}

/** The error for a question that is about none of the passages. */
export function refuseUnmatched({ where, about }: Entry, passages: readonly SourcePassage[]): Error {
  const known = passages.map(({ id }) => id);
  return refuse(
    where,
    `"passage" to name one of: ${known.slice(0, 8).join(", ")}${known.length > 8 ? ", …" : ""}`,
    about === null ? "none" : JSON.stringify(about),
    "add or mend it",
  );
}

/** Entries of a file of questions; one with texts is refused. */
export async function readQuestionFile(file: string, tally: Tally): Promise<readonly Entry[]> {
  const { entries } = await readFile(file, tally);
  const text = entries.find((entry) => entry.text !== null);
  if (text !== undefined)
    throw refuse(text.where, '{"question", "answer", "passage"}', "a text", "give a file with texts as a document");
  return entries;
}

/**
 * Adds the questions of a file (`{"question", "answer", "passage"?, "use"?}` on each line, or a list of these) to their
 * passages. `passage` is a passage's id (its file name); it may be left out when there is only one passage.
 *
 * @throws SelkieError `"bad-file"` for a question that names no passage.
 */
export async function attachQuestions(passages: readonly SourcePassage[], file: string): Promise<SourcePassage[]> {
  const tally = { ignoredKeys: new Map<string, number>(), numUnanswerable: 0 };
  const attached = attachEntries(passages, await readQuestionFile(file, tally));
  const [lost] = attached.unmatched;
  if (lost !== undefined) throw refuseUnmatched(lost, passages);
  return [...attached.passages];
}
