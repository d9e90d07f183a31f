/**
 * @file One stream: passages learned one after another by one method, examined in between. After edit `k` all passages
 * `0..k` are asked about, which gives the lower-triangular matrix of SEAL's forgetting experiment (arXiv 2506.10943,
 * section 5 and Table 5). Long streams fill only some of its rows, the diagonal and the last row always.
 */
import { withWeightsKept } from "../../engine/index.ts";
import { mean } from "../../util/index.ts";
import { accuracy, type ExamAnswer, type ExamItem, meanGoldLogprob } from "../exam.ts";
import type { AdaptEvent } from "../settings.ts";
import { measureSkills, type SkillReport, type StreamChecks } from "./checks.ts";
import type { ContinualMethod, Learner, StepReport, StreamContext, StreamItem } from "./method.ts";
import { baseRightKept, recencyIntrusionRate } from "./metrics.ts";
import { completeTexts, meanKl, predictLogprobs } from "./predict.ts";

/** Inputs of {@link runStream}. */
export interface StreamArgs {
  readonly method: ContinualMethod;
  readonly context: StreamContext;
  readonly items: readonly StreamItem[];
  /** What each passage is asked in the end: never seen by the method. */
  readonly asked: readonly (readonly ExamItem[])[];
  readonly checks: StreamChecks;
  /** Steps between full rows of the matrix; 1 fills it. */
  readonly every: number;
  /** Steps between checks of what the base knew; they are also made after the last. */
  readonly checkEvery: number;
  readonly onEvent?: (event: AdaptEvent) => void;
}

/** What was measured beside the matrix, after some steps. */
export interface CheckRecord {
  /** Passages learned. */
  readonly learned: number;
  /** Share of the base's right answers still right; `null` without any. */
  readonly baseKept: number | null;
  /** KL(base ‖ present) on the probes, nats per token. */
  readonly klNats: number;
}

/** A row of the matrix. */
export interface RowRecord {
  readonly learned: number;
  /** By passage, in the order of the stream. */
  readonly accuracy: readonly number[];
  /** Mean log-probability of the right answers, nats per token. */
  readonly goldLogprob: readonly number[];
  /** Share of the wrong answers about earlier passages that give a fact of the last; `null` without wrong answers. */
  readonly intrusions: number | null;
}

/** A stream as it is recorded. */
export interface StreamRecord {
  readonly method: string;
  readonly seed: string;
  readonly passageIds: readonly string[];
  /** Right after its own edit, by passage; empty for a method that is examined at the end alone. */
  readonly diagonal: readonly number[];
  readonly rows: readonly RowRecord[];
  readonly checks: readonly CheckRecord[];
  readonly skills: SkillReport;
  readonly steps: readonly StepReport[];
  /** Of learning, and of everything. */
  readonly seconds: { readonly learning: number; readonly total: number };
}

/** What the base says before a stream: the same for all methods. */
export interface BaseRecord {
  readonly accuracy: readonly number[];
  readonly goldLogprob: readonly number[];
  readonly skills: SkillReport;
}

type Row = Pick<RowRecord, "accuracy" | "goldLogprob">;

const toRow = (sheets: readonly (readonly ExamAnswer[])[]): Row => ({
  accuracy: sheets.map((answers) => accuracy(answers) ?? 0),
  goldLogprob: sheets.map((answers) => meanGoldLogprob(answers) ?? 0),
});

/** The answers cut into sheets of the given lengths. */
function cut<T>(answers: readonly T[], lengths: readonly number[]): T[][] {
  let end = 0;
  return lengths.map((length) => {
    end += length;
    return answers.slice(end - length, end);
  });
}

const systemOf =
  ({ engine, signal }: StreamContext, learner: Learner | null) =>
  (requests: Parameters<NonNullable<Learner["complete"]>>[0]): Promise<string[]> =>
    learner?.complete?.(requests) ?? completeTexts(engine, requests, null, signal);

/** What an unchanged model answers and can do; `answer` as a learner's. */
export async function measureBase(
  { context, asked, checks }: Pick<StreamArgs, "context" | "asked" | "checks">,
  answer: Learner["answer"],
): Promise<BaseRecord> {
  const sheets = cut(
    await answer(asked.flat()),
    asked.map(({ length }) => length),
  );
  return { ...toRow(sheets), skills: await measureSkills(systemOf(context, null), context.templates, checks) };
}

/** Learns and examines; the model's weights are afterwards what they were, whatever happened. */
export function runStream(args: StreamArgs): Promise<StreamRecord> {
  return withWeightsKept(args.context.engine, () => learnStream(args));
}

async function learnStream(args: StreamArgs): Promise<StreamRecord> {
  const { method, context, items, checks } = args;
  const began = performance.now();
  const baseLogprobs = await predictLogprobs(context.engine, checks.probes);
  using learner = await method.begin(context);
  const stream = new StreamExam(args, learner, baseLogprobs);
  const steps: StepReport[] = [];
  let learning = 0;
  for (const [step, item] of items.entries()) {
    context.signal?.throwIfAborted();
    args.onEvent?.({ stage: method.name, done: step, total: items.length });
    const started = performance.now();
    steps.push(await learner.learn(item, step));
    learning += performance.now() - started;
    await stream.examine(step);
  }
  const skills = await measureSkills(systemOf(context, learner), context.templates, checks);
  return {
    method: method.name,
    seed: context.seed,
    passageIds: items.map(({ source }) => source.id),
    diagonal: stream.diagonal,
    rows: stream.rows,
    checks: stream.checks,
    skills,
    steps,
    seconds: { learning: learning / 1000, total: (performance.now() - began) / 1000 },
  };
}

/** Examines the learner between its steps; all questions of one step are asked at once. */
class StreamExam {
  readonly diagonal: number[] = [];
  readonly rows: RowRecord[] = [];
  readonly checks: CheckRecord[] = [];
  readonly #args: StreamArgs;
  readonly #learner: Learner;
  readonly #baseLogprobs: readonly Float32Array[];

  constructor(args: StreamArgs, learner: Learner, baseLogprobs: readonly Float32Array[]) {
    this.#args = args;
    this.#learner = learner;
    this.#baseLogprobs = baseLogprobs;
  }

  #isDue(step: number, every: number): boolean {
    const { items, method } = this.#args;
    const isLast = step === items.length - 1;
    return isLast || (method.rows !== "last" && (step + 1) % every === 0);
  }

  /** After the edit of `step`. */
  async examine(step: number): Promise<void> {
    const { asked, method, every, checkEvery, checks } = this.#args;
    const isRow = this.#isDue(step, every);
    const isCheck = this.#isDue(step, checkEvery);
    if (!isRow && !isCheck && method.rows === "last") return;
    const sheets = isRow ? asked.slice(0, step + 1) : [asked[step]!];
    const known = isCheck ? checks.known : [];
    const answers = await this.#learner.answer([...sheets.flat(), ...known]);
    const parts = cut(answers, [...sheets.map(({ length }) => length), known.length]);
    const about = parts.slice(0, -1);
    if (method.rows !== "last") this.diagonal.push(accuracy(about.at(-1)!) ?? 0);
    if (isRow) this.rows.push({ learned: step + 1, ...toRow(about), intrusions: this.#intrusions(about, step) });
    if (isCheck) this.checks.push(await this.#check(step, parts.at(-1)!));
  }

  #intrusions(about: readonly (readonly ExamAnswer[])[], step: number): number | null {
    const { asked } = this.#args;
    const earlier = about.slice(0, step).flatMap((answers, passage) =>
      answers.map(({ prediction, isRight }, index) => ({
        prediction,
        isRight,
        gold: asked[passage]![index]!.answer,
      })),
    );
    return recencyIntrusionRate(
      earlier,
      asked[step]!.map(({ answer }) => answer),
    );
  }

  async #check(step: number, answers: readonly ExamAnswer[]): Promise<CheckRecord> {
    const { checks, context } = this.#args;
    const present = await this.#learner.logprobs(checks.probes);
    return {
      learned: step + 1,
      baseKept: baseRightKept(
        checks.known.map(() => true),
        answers.map(({ isRight }) => isRight),
      ),
      klNats: meanKl(this.#baseLogprobs, present, context.engine.model.vocabSize),
    };
  }
}

/** The matrix of a stream, for `continualMetrics`; `null` for a method that is examined at the end alone. */
export function matrixOf(
  record: StreamRecord,
  base: BaseRecord,
): {
  base: readonly number[];
  after: (number | null)[][];
} | null {
  const { diagonal, rows, passageIds } = record;
  if (diagonal.length < passageIds.length) return null;
  const after = diagonal.map((own, step): (number | null)[] => [...Array<null>(step).fill(null), own]);
  for (const { learned, accuracy: row } of rows) after[learned - 1] = [...row];
  return { base: base.accuracy, after };
}

/** Accuracy over the whole stream after its last passage. */
export const finalAccuracy = ({ rows }: StreamRecord): number => mean(rows.at(-1)!.accuracy);
