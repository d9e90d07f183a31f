/**
 * @file The exam of a run: the questions that came with the passages, else questions the model writes itself.
 * Selection questions choose among edits, report questions are what the figures are about; a question that has no use
 * of its own serves both, and the report says that its figure is then optimistic.
 */
import type { QuestionUse, SourcePassage } from "../tasks/index.ts";
import { type Rng, SelkieError } from "../util/index.ts";
import type { ExamItem } from "./exam.ts";
import { type Writer, writeExam } from "./propose.ts";
import { isAboutPassage } from "./relevance.ts";
import { redactExamQuestions } from "./self-edit.ts";

/** Questions of one passage, by use. */
export interface PassageExam {
  readonly source: "given" | "self-written" | "none";
  readonly selection: readonly ExamItem[];
  readonly report: readonly ExamItem[];
  /** Questions that the model wrote and that were not asked, because they are not about the passage. @defaultValue 0 */
  readonly numIrrelevant?: number;
}

const maxWrittenQuestions = 6;

function divide(
  passage: SourcePassage,
  source: PassageExam["source"],
  questions: readonly { question: string; answer: string; use: QuestionUse }[],
): PassageExam {
  const pick = (use: QuestionUse) =>
    questions
      .filter((question) => question.use === use || question.use === "both")
      .map(({ question, answer }) => ({ question, answer, title: passage.title }));
  const [selection, report] = [pick("selection"), pick("report")];
  return {
    source,
    selection: selection.length > 0 ? selection : report,
    report: report.length > 0 ? report : selection,
  };
}

/** One exam per passage, in order; of what the model writes itself, only questions about the passage are asked. */
export async function buildExams(writer: Writer, passages: readonly SourcePassage[], rng: Rng): Promise<PassageExam[]> {
  const silent = passages.filter(({ questions }) => questions.length === 0);
  const written = await writeExam(writer, silent, maxWrittenQuestions, rng);
  return passages.map((passage) => {
    if (passage.questions.length > 0) return divide(passage, "given", passage.questions);
    const all = written[silent.indexOf(passage)]!;
    const pairs = all.filter((pair) => isAboutPassage(passage.context, pair));
    const exam = divide(
      passage,
      pairs.length > 0 ? "self-written" : "none",
      pairs.map((pair) => ({ ...pair, use: "both" as const })),
    );
    return { ...exam, numIrrelevant: all.length - pairs.length };
  });
}

/** Every question that may be asked, so that none is trained on. */
export function allQuestions(exams: readonly PassageExam[], canaries: readonly ExamItem[]): string[] {
  const items = [...exams.flatMap(({ selection, report }) => [...selection, ...report]), ...canaries];
  return [...new Set(items.map(({ question }) => question))];
}

/** The passage without the questions of the exam, where its text contains them. */
export function redactPassage(passage: SourcePassage, forbidden: readonly string[]): SourcePassage {
  const context = redactExamQuestions(passage.context, forbidden);
  if (context !== "") return { ...passage, context };
  throw new SelkieError(
    "bad-input",
    `${passage.id}: expected text besides the questions of the exam, got nothing else; ask other questions of it`,
  );
}
