/**
 * @file Finds what new passages say otherwise than what is held already. Three are asked:
 *  1. the base, the new questions: where it is sure of another answer about somebody it knows, it held that before;
 *  2. the adapter, the old questions (canaries, known facts near the passages, exams of earlier records): where the passages
 *     name whom an old question is about and the right answer has given way to a value of theirs, they overwrote it;
 *  3. the passages of earlier records, which are compared word by word.
 * A model is sure of itself about strangers, too: of 60 people the shipped model had never read of, single answers had
 * probabilities above 0.8 in a quarter of all cases. What tells the known is that all answers about them are sure, so
 * the mean over a subject's questions counts beside the answer's own probability.
 */
import type { AdapterId } from "../../engine/index.ts";
import { normaliseAnswer } from "../../tasks/index.ts";
import type { ExamContext, ExamItem } from "../exam.ts";
import { parseQuestions } from "../self-edit.ts";
import { askWithConfidence, type HeldAnswer } from "./confidence.ts";
import { textConflicts } from "./conflicts.ts";
import type { SourceEdit } from "./screen.ts";
import { screenWords } from "./words.ts";

/** One fact of the passages that contradicts what was held. */
export interface Contradiction {
  /** The question, or the words of the passage. */
  readonly about: string;
  /** What the passages say. */
  readonly says: string;
  /** What was held. */
  readonly held: string;
  /** `base`, `canaries`, or the record. */
  readonly by: string;
  /** Of the held answer, where a model was asked; `null` where texts were compared. */
  readonly probability: number | null;
}

/** A record that was promoted earlier, with what it was learned from. */
export interface EarlierRecord {
  readonly record: string;
  readonly contexts: readonly string[];
  readonly questions: readonly ExamItem[];
}

/** Inputs of {@link findContradictions}. */
export interface ContradictionArgs {
  readonly sources: readonly Pick<SourceEdit, "context">[];
  /** Of the candidate's exam. */
  readonly questions: readonly ExamItem[];
  /** Canaries and known facts, with right answers; none for a model that has none. */
  readonly known: readonly ExamItem[];
  readonly earlier: readonly EarlierRecord[];
  /** Answers less probable than this are no knowledge. */
  readonly minProbability: number;
}

const namesOf = (text: string): string[] =>
  screenWords(text)
    .filter(({ isName }) => isName)
    .map(({ plain }) => plain.replace(/['’]s?$/u, ""));

const hasPhrase = (text: string, part: string): boolean => part !== "" && ` ${text} `.includes(` ${part} `);

/** The base is asked the new questions. */
export async function baseContradictions(
  context: ExamContext,
  { questions, known, minProbability }: Pick<ContradictionArgs, "questions" | "known" | "minProbability">,
): Promise<Contradiction[]> {
  const subjectOf = ({ question, title }: ExamItem) => namesOf(question).join(" ") || title;
  const answers = await askWithConfidence(context, questions);
  const famous = new Set(known.map((item) => subjectOf(item)).filter((subject) => subject.includes(" ")));
  const bySubject = Map.groupBy(
    answers.map((answer, index) => ({ answer, subject: subjectOf(questions[index]!) })),
    ({ subject }) => subject,
  );
  const surenessOf = (subject: string): number => {
    const logs = bySubject.get(subject)!.map(({ answer }) => Math.log(Math.max(1e-9, answer.probability)));
    return Math.exp(logs.reduce((sum, log) => sum + log, 0) / logs.length);
  };
  const told = new Set<string>();
  return answers.flatMap((answer, index) => {
    const { question, answer: gold } = questions[index]!;
    const fact = `${subjectOf(questions[index]!)}\n${normaliseAnswer(gold)}\n${normaliseAnswer(answer.answer)}`;
    const subject = subjectOf(questions[index]!);
    const least = famous.has(subject) ? minProbability / 2 : minProbability;
    const isHeld = answer.probability >= least && surenessOf(subject) >= least;
    if (answer.isRight || !isHeld || answer.answer === "" || told.has(fact)) return []; // one wording of each fact
    told.add(fact);
    return [{ about: question, says: gold, held: answer.answer, by: "base", probability: answer.probability }];
  });
}

/** The adapter is asked what was known before. */
export async function adapterContradictions(
  context: ExamContext,
  adapter: AdapterId,
  args: ContradictionArgs,
): Promise<Contradiction[]> {
  const text = normaliseAnswer(args.sources.map(({ context }) => context).join("\n"));
  const isAbout = ({ question }: ExamItem) => {
    const names = namesOf(question).map(normaliseAnswer);
    return names.length > 0 && names.every((name) => hasPhrase(text, name));
  };
  const overwrites = ({ answer, isRight }: HeldAnswer) => !isRight && hasPhrase(text, normaliseAnswer(answer));
  const old = args.known.filter(isAbout);
  const before = await askWithConfidence(context, old);
  const held = old.filter((_, index) => before[index]!.isRight);
  const certainty = before.filter(({ isRight }) => isRight);
  const after = await askWithConfidence(context, held, adapter);
  const found = after.flatMap((answer, index): Contradiction[] =>
    overwrites(answer)
      ? [
          {
            about: held[index]!.question,
            says: answer.answer,
            held: held[index]!.answer,
            by: "canaries",
            probability: certainty[index]!.probability,
          },
        ]
      : [],
  );
  for (const { record, questions } of args.earlier) {
    const asked = questions.filter(isAbout);
    const now = await askWithConfidence(context, asked, adapter);
    now.forEach((answer, index) => {
      if (overwrites(answer) && answer.probability >= 0.5 && !hasPhrase(text, normaliseAnswer(asked[index]!.answer)))
        found.push({
          about: asked[index]!.question,
          says: answer.answer,
          held: asked[index]!.answer,
          by: record,
          probability: answer.probability,
        });
    });
  }
  return found;
}

/** The passages are compared with those of earlier records; a passage that an earlier record holds itself is none of them. */
export function sourceContradictions({
  sources,
  earlier,
}: Pick<ContradictionArgs, "sources" | "earlier">): Contradiction[] {
  const found = earlier.flatMap(({ record, contexts }) =>
    contexts.flatMap((context) =>
      sources
        .filter((source) => source.context !== context)
        .flatMap((source) => textConflicts(context, source.context))
        .map(({ subject, says, held }) => ({ about: subject, says, held, by: record, probability: null })),
    ),
  );
  return [...new Map(found.map((one) => [`${one.says}\n${one.held}`, one])).values()];
}

/** Questions with answers among the documents of edits: asked of the base, they show what it held. */
export function questionsIn(documents: readonly string[]): ExamItem[] {
  const pairs = documents
    .flatMap(parseQuestions)
    .map(({ question, answer }): [string, ExamItem] => [question, { question, answer, title: "" }]);
  return [...new Map(pairs).values()];
}

/** All contradictions of a candidate, whose adapter the engine knows. */
export async function findContradictions(
  context: ExamContext,
  adapter: AdapterId,
  args: ContradictionArgs,
): Promise<Contradiction[]> {
  const all = [
    ...(await baseContradictions(context, args)),
    ...(await adapterContradictions(context, adapter, args)),
    ...sourceContradictions(args),
  ];
  return [...new Map(all.map((one) => [`${one.about}\n${one.by}\n${one.held}`, one])).values()];
}

/** A contradiction in words. */
export function describeContradiction({ about, says, held, by, probability }: Contradiction): string {
  const sure = probability === null ? "" : `, probability ${probability.toFixed(2)}`;
  const holder =
    by === "base" ? "the base" : by === "canaries" ? "the base, as its known facts show," : `record ${by.slice(0, 12)}`;
  return `contradicts what is held: "${about}": the passages say "${says}", ${holder} held "${held}"${sure}`;
}
