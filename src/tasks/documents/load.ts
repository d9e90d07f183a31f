/**
 * @file Reads what people have: .md, .txt, .jsonl and .json files, or folders of them, as passages with their questions.
 * Everything foreign is checked here; a bad file is refused by name before any work starts, and what is left out is said.
 * What is read and what is not, for users: `docs/documents.md`.
 */
import { realpath } from "node:fs/promises";
import { SelkieError } from "../../util/index.ts";
import { Gathering } from "./gather.ts";
import { attachEntries, readQuestionFile, refuseUnmatched } from "./questions.ts";
import { readFile } from "./read-file.ts";
import type { Entry, Tally } from "./records.ts";
import { refuse } from "./text-file.ts";
import type {
  ExamQuestion,
  LeftOut,
  LeftOutReason,
  LoadedDocuments,
  LoadOptions,
  QuestionUse,
  SourcePassage,
} from "./types.ts";
import { extensions, type FoundFile, findFiles, kindOf } from "./walk.ts";

interface QuestionFile {
  readonly path: string;
  readonly isGiven: boolean;
  readonly entries: readonly Entry[];
}

/** One load in progress. */
interface Load {
  readonly gathering: Gathering;
  readonly tally: Tally;
  readonly leftOut: LeftOut[];
  readonly questionFiles: QuestionFile[];
  numFiles: number;
  numHeads: number;
}

/** Reads one file into the load. */
async function take(load: Load, { path, isGiven }: FoundFile): Promise<void> {
  const { entries, hasFrontMatter, isReport } = await readFile(path, load.tally);
  if (isReport && isGiven) throw refuse(path, "a document", "a report that Selkie wrote", "name something else");
  if (isReport) {
    load.leftOut.push({ path, reason: "made by Selkie" });
    return;
  }
  const alone = entries.filter(({ text }) => text === null);
  if (entries.length > 0 && alone.length === entries.length) {
    load.questionFiles.push({ path, isGiven, entries });
    return;
  }
  if (alone.length > 0)
    throw refuse(alone[0]!.where, 'a "context" (or "text"), as the other entries have', "a question alone", "add it");
  if (hasFrontMatter) load.numHeads++;
  const texts = entries.filter(({ text }) => text!.trim() !== "");
  if (texts.length === 0) load.leftOut.push({ path, reason: "no text" });
  else load.numFiles++;
  for (const entry of texts) load.gathering.add(path, entry);
}

/** Past the limit only questions are wanted: what cannot be read does not matter there. */
async function takeQuestionsOnly(load: Load, file: FoundFile): Promise<void> {
  if (![".json", ".jsonl", ".ndjson"].includes(kindOf(file.path))) return;
  const tally = { ignoredKeys: new Map<string, number>(), numUnanswerable: 0 };
  const entries = await readFile(file.path, tally).then(
    (read) => read.entries,
    () => [],
  );
  if (entries.length > 0 && entries.every(({ text }) => text === null))
    load.questionFiles.push({ path: file.path, isGiven: file.isGiven, entries });
}

/**
 * Documents of files and folders as passages, in the order given (folders sorted by name). Rows about one text become one
 * passage with all their questions; a file of questions gives them to the documents it names.
 *
 * @throws SelkieError `"missing-file"`, `"bad-file"` or `"no-documents"`, naming the file.
 */
export async function loadDocuments(paths: readonly string[], options: LoadOptions = {}): Promise<LoadedDocuments> {
  const limit = options.limit ?? Number.POSITIVE_INFINITY;
  const found = await findFiles(paths, options.outputs);
  const load: Load = {
    gathering: new Gathering(),
    tally: { ignoredKeys: new Map(), numUnanswerable: 0 },
    leftOut: [...found.leftOut],
    questionFiles: [],
    numFiles: 0,
    numHeads: 0,
  };
  for (const file of found.files)
    if (load.gathering.size < limit) await take(load, file);
    else await takeQuestionsOnly(load, file);
  const passages = load.gathering.passages().slice(0, limit);
  if (passages.length === 0) throw nothingFound(paths, found.files.length, load);
  const notes = describeReading(load);
  const asked = await addQuestions(load, passages, options, notes);
  notes.push(...describeUnasked(asked));
  return { passages: asked, numFiles: load.numFiles, leftOut: load.leftOut, notes };
}

/** Passages of files and folders; what {@link loadDocuments} gives without its notes. */
export async function loadPassages(paths: readonly string[], limit?: number): Promise<SourcePassage[]> {
  return [...(await loadDocuments(paths, { limit })).passages];
}

function nothingFound(paths: readonly string[], numFiles: number, { leftOut, questionFiles }: Load): SelkieError {
  const where = paths.join(", ");
  const lost = leftOut.length === 0 ? "" : ` (left out: ${describeLeftOut(leftOut)})`;
  if (questionFiles.length > 0)
    return new SelkieError(
      "no-documents",
      `${where}: expected documents, found questions alone in ${questionFiles[0]!.path}; name the documents, and the questions with --questions`,
    );
  if (numFiles > 0)
    return new SelkieError("no-documents", `${where}: expected at least one passage with text, found none${lost}`);
  return new SelkieError(
    "no-documents",
    `${where}: expected at least one of ${extensions.join(" ")}, found none${lost}; name files or a folder that holds some`,
  );
}

/** Questions of the file that was named, else of those that lay among the documents. */
async function addQuestions(
  load: Load,
  passages: readonly SourcePassage[],
  { questions, limit }: LoadOptions,
  notes: string[],
): Promise<readonly SourcePassage[]> {
  const isLimited = limit !== undefined;
  let current = passages;
  const named = questions === undefined ? null : await realpath(questions).catch(() => questions);
  for (const file of load.questionFiles) {
    if (named !== null) {
      if ((await realpath(file.path)) !== named) load.leftOut.push({ path: file.path, reason: "questions" });
      continue;
    }
    const { passages: extended, attached, unmatched } = attachEntries(current, file.entries);
    if (unmatched.length > 0 && file.isGiven && !isLimited) throw refuseUnmatched(unmatched[0]!, current);
    if (attached.length === 0) load.leftOut.push({ path: file.path, reason: "questions" });
    else notes.push(describeAttached(file.path, attached));
    if (unmatched.length > 0) notes.push(describeUnmatched(file.path, unmatched));
    current = extended;
  }
  const others = load.leftOut.filter(({ reason }) => reason === "questions");
  if (named !== null && others.length > 0)
    notes.push(`not used: the questions of ${namesOf(others)}, since --questions names a file`);
  if (questions === undefined) return current;
  const given = attachEntries(current, await readQuestionFile(questions, load.tally));
  const [lost] = given.unmatched;
  if (lost !== undefined && (!isLimited || given.attached.length === 0)) throw refuseUnmatched(lost, current);
  if (given.attached.length > 0) notes.push(describeAttached(questions, given.attached));
  if (lost !== undefined) notes.push(describeUnmatched(questions, given.unmatched));
  return given.passages;
}

/** `q.jsonl: 96 questions, asked and not learned: 48 to choose among edits, 48 to examine what was learned`. */
function describeAttached(file: string, questions: readonly ExamQuestion[]): string {
  const numOf = (use: QuestionUse) =>
    questions.filter((question) => question.use === use || question.use === "both").length;
  const [choosing, examining] = [numOf("selection"), numOf("report")];
  const isSplit = choosing < questions.length || examining < questions.length;
  const uses = isSplit ? `: ${choosing} to choose among edits, ${examining} to examine what was learned` : "";
  return `${file}: ${count(questions.length, "question", "questions")}, asked and not learned${uses}`;
}

/** Where some documents have questions, those that have none: nothing given tells whether they were learned. */
function describeUnasked(passages: readonly SourcePassage[]): string[] {
  const unasked = passages.filter(({ questions }) => questions.length === 0).map(({ id }) => id);
  if (unasked.length === 0 || unasked.length === passages.length) return [];
  const names = `${unasked.slice(0, maxNamed).join(", ")}${unasked.length > maxNamed ? ", …" : ""}`;
  return [
    `no question is about ${unasked.length} of the ${passages.length} documents (${names}); add some, or what they teach is not examined`,
  ];
}

const describeUnmatched = (file: string, unmatched: readonly Entry[]): string => {
  const [{ about }] = unmatched as [Entry];
  const whom =
    about === null
      ? "for want of the document it is about"
      : `about documents not read here, as ${JSON.stringify(about)}`;
  return `${file}: ${count(unmatched.length, "question", "questions")} not used, ${whom}`;
};

const count = (number: number, one: string, many: string): string => `${number} ${number === 1 ? one : many}`;

const maxNamed = 3;

function namesOf(items: readonly LeftOut[]): string {
  const names = items.slice(0, maxNamed).map(({ path }) => path);
  return `${names.join(", ")}${items.length > maxNamed ? ", …" : ""}`;
}

const kindNames: Readonly<Record<LeftOutReason, string>> = {
  "unknown kind": "of unknown kind",
  hidden: "hidden",
  "broken link": "links to nothing",
  "special file": "pipes, sockets or devices",
  "made by Selkie": "made by Selkie",
  node_modules: "node_modules",
  "read already": "read already under another path",
  "no text": "without text",
  questions: "questions about no document here",
};

/** `2 of unknown kind (a.pdf, b.html); 1 hidden (.trash)`. */
function describeLeftOut(leftOut: readonly LeftOut[]): string {
  return (Object.keys(kindNames) as LeftOutReason[])
    .map((reason) => ({ reason, items: leftOut.filter((item) => item.reason === reason) }))
    .filter(({ items }) => items.length > 0)
    .map(({ reason, items }) => `${items.length} ${kindNames[reason]} (${namesOf(items)})`)
    .join("; ");
}

function describeReading({ gathering, tally, leftOut, numHeads }: Load): string[] {
  const notes: string[] = [];
  const { numRepeated, numJoined, numContradicted } = gathering;
  if (leftOut.length > 0) notes.push(`left out: ${describeLeftOut(leftOut)}`);
  if (numJoined > 0)
    notes.push(
      `${count(numJoined, "entry repeats", "entries repeat")} a text; it is learned once, with the questions of all`,
    );
  if (numRepeated > 0) {
    const repeats = gathering.describeRepeats();
    const names =
      repeats.length === 0 ? "" : `: ${repeats.slice(0, maxNamed).join(", ")}${repeats.length > maxNamed ? ", …" : ""}`;
    notes.push(
      `${count(numRepeated, "document has", "documents have")} the text of another, which is not learned twice${names}`,
    );
  }
  if (numContradicted > 0)
    notes.push(
      `${count(numContradicted, "question was", "questions were")} asked before with another answer; the first answer counts`,
    );
  if (tally.numUnanswerable > 0)
    notes.push(`${count(tally.numUnanswerable, "question", "questions")} without an answer left out`);
  if (numHeads > 0)
    notes.push(`the front matter of ${count(numHeads, "file", "files")} gives titles and is not learned`);
  if (tally.ignoredKeys.size > 0) {
    const keys = [...tally.ignoredKeys].map(([key, times]) => `"${key}" (${times})`);
    notes.push(`keys that are not used: ${keys.slice(0, 12).join(", ")}${keys.length > 12 ? ", …" : ""}`);
  }
  return notes;
}
