/**
 * @file What a stream is checked for besides its own passages: answers the base gives right, what it predicts of probe texts,
 * and skills that learning facts should leave alone (answering from a passage, writing a self-edit).
 */
import { encodeContinuation, encodePrompt } from "../../models/index.ts";
import { gradeAnswer } from "../../tasks/index.ts";
import type { Rng } from "../../util/index.ts";
import { mean } from "../../util/index.ts";
import { type ExamItem, examine } from "../exam.ts";
import { type PromptTemplates, questionPrompt } from "../prompts.ts";
import { editPrompt, kindOfEdit, readEdit, type Source, type Writer } from "../propose.ts";
import { selfEditDocuments } from "../self-edit.ts";
import type { CompletionRequest } from "./method.ts";

/** A question to be answered from a passage. */
export interface ReadingItem {
  readonly passage: string;
  readonly question: string;
  readonly answer: string;
}

/** A text to write about, and what a whole edit of it says. */
export interface WritingItem {
  readonly source: Source;
  readonly facts: readonly string[];
}

/** What to check with; texts of nobody in the stream. */
export interface CheckItems {
  /** Closed-book questions; those count that the base answers right, or answers at all where the answer is empty. */
  readonly known: readonly ExamItem[];
  /** Plain texts of the kind that the base was trained on. */
  readonly texts: readonly string[];
  readonly reading: readonly ReadingItem[];
  readonly writing: readonly WritingItem[];
}

/** The same with what the base says of it. */
export interface StreamChecks extends Pick<CheckItems, "reading" | "writing"> {
  /** Answered right by the base. */
  readonly known: readonly ExamItem[];
  /** Token ids: some of the known questions with their answers, and the texts. */
  readonly probes: readonly (readonly number[])[];
}

/** Sizes of {@link prepareChecks}. */
export interface CheckSizes {
  readonly numKnown: number;
  /** Known questions that are probes for the divergence as well. */
  readonly numProbes: number;
  /** Of one probe. */
  readonly maxProbeTokens: number;
}

/** The sizes of `selkie experiment continual`: a percentage of 150 answers has a standard error of 2 points at most near 95. */
export const checkSizes: CheckSizes = { numKnown: 150, numProbes: 30, maxProbeTokens: 48 };

/** Asks the base once. */
export async function prepareChecks(writer: Writer, items: CheckItems, sizes: CheckSizes): Promise<StreamChecks> {
  const { tokenizer } = writer.engine;
  const known = (await answeredRight(writer, items.known)).slice(0, sizes.numKnown);
  const questions = known.slice(0, sizes.numProbes).map(({ question, answer, title }) => {
    const prompt = questionPrompt(writer.templates, question, title);
    return [...encodeContinuation(tokenizer, prompt, ` ${answer}`).tokenIds];
  });
  const texts = items.texts.map((text) => encodePrompt(tokenizer, text).slice(0, sizes.maxProbeTokens));
  const probes = [...questions, ...texts].filter((probe) => probe.length > 0);
  return { known, probes, reading: items.reading, writing: items.writing };
}

/** The items that the model answers right now; where an item has no answer, what the model says is taken for it. */
export async function answeredRight(writer: Writer, items: readonly ExamItem[]): Promise<ExamItem[]> {
  const [answers] = await examine(writer, [{ adapter: null, items }]);
  return items.flatMap((item, index) => {
    const { isRight, prediction } = answers![index]!;
    if (item.answer !== "") return isRight ? [item] : [];
    return prediction === "" ? [] : [{ ...item, answer: prediction }];
  });
}

/** A question with its passage before it, in the form the Almanac's model was trained to read. */
export const readingPrompt = (templates: PromptTemplates, passage: string, question: string): string =>
  `Passage: ${passage}\n${questionPrompt(templates, question)}`;

/** Skills of a system; shares, `null` where nothing was asked. */
export interface SkillReport {
  /** Right answers from a passage in the prompt. */
  readonly reading: number | null;
  /** Sampled edits that name their kind (where the model does) and give at least one document beside the passage. */
  readonly validEdits: number | null;
  /** Facts of the passage that an edit says. */
  readonly coverage: number | null;
}

const maxAnswerTokens = 32;
const maxEditTokens = 256;

const meanOrNull = (values: readonly number[]): number | null => (values.length === 0 ? null : mean(values));

/** Asks `complete` to read and to write; edits are samples, the same random numbers for every system. */
export async function measureSkills(
  complete: (requests: readonly CompletionRequest[]) => Promise<string[]>,
  templates: PromptTemplates,
  { reading, writing }: Pick<CheckItems, "reading" | "writing">,
): Promise<SkillReport> {
  const readings = reading.map(({ passage, question }) => ({
    prompt: readingPrompt(templates, passage, question),
    maxNewTokens: maxAnswerTokens,
    seed: null,
    isLine: true,
  }));
  const kinds = writing.map((_, index) => kindOfEdit(templates, index));
  const writings = writing.map(({ source }, index) => ({
    prompt: editPrompt(templates, source, kinds[index]!),
    maxNewTokens: maxEditTokens,
    seed: `skill/${source.id}`,
    isLine: false,
  }));
  const texts = await complete([...readings, ...writings]);
  const right = reading.map(({ answer }, index) =>
    Number(gradeAnswer(texts[index]!.split("\n")[0]!.trim(), answer).exact),
  );
  const edits = writing.map(({ source, facts }, index) => {
    const edit = readEdit(texts[reading.length + index]!, kinds[index]!);
    const isValid = edit.text !== "" && selfEditDocuments(edit, source, templates).length > 1;
    const said = isValid ? facts.filter((fact) => edit.text.includes(fact)).length : 0;
    return { isValid, coverage: facts.length === 0 ? 0 : said / facts.length };
  });
  return {
    reading: meanOrNull(right),
    validEdits: meanOrNull(edits.map(({ isValid }) => Number(isValid))),
    coverage: meanOrNull(edits.map(({ coverage }) => coverage)),
  };
}

/** One wording of each fact, drawn by `rng`: questions with the same answer are wordings of one. */
export function oneWordingEach(items: readonly ExamItem[], wordings: number, rng: Rng): ExamItem[] {
  const byAnswer = Map.groupBy(items, ({ answer }) => answer);
  return [...byAnswer].flatMap(([answer, list]) => rng.fork(answer).shuffle(list).slice(0, wordings));
}
