/**
 * @file Arms of an experiment: what each passage's adapter is trained on and how, everything else held equal. Trials of
 * one passage share their random numbers between arms, so that a difference between two arms is theirs and not the draw's.
 * Figures are of the report questions; the selection questions are answered as well, for arms that choose by them.
 */
import {
  type AdaptEvent,
  accuracy,
  answeredCanaries,
  askQuestions,
  buildKnowledgeTasks,
  type Canaries,
  defaultSettings,
  type ExamAnswer,
  type ExamItem,
  type ExaminedTrial,
  examine,
  examineTrials,
  forbiddenQuestions,
  type KnowledgeTask,
  type LearnInnerLoop,
  meanGoldLogprob,
  plannedTokens,
  type QuestionTrial,
  redactTasks,
  type StageStore,
  sampleReplay,
  stage,
  type TrialContext,
  trialSeed,
  type Writer,
  withoutExamQuestions,
} from "../adapt/index.ts";
import type { SourcePassage } from "../tasks/index.ts";
import { createRng } from "../util/index.ts";

/** A question about another relation than the one a passage tells: its value must not be given as the answer. */
export interface Trap {
  readonly question: string;
  /** What the passage says of a relation that is not the one asked about. */
  readonly wrong: string;
}

/** Traps by the id of the passage. */
export type Traps = ReadonlyMap<string, readonly Trap[]>;

/** What all arms of one model share. */
export interface ArmContext extends Writer {
  readonly tasks: readonly KnowledgeTask[];
  /** Canaries that the unadapted model answers right. */
  readonly canaries: readonly ExamItem[];
  /** Asked after every training, beside the exam. @defaultValue none */
  readonly traps?: Traps;
  /** Old text for arms that replay. */
  readonly replay: readonly string[];
  /** Names the random numbers; arms with one seed share them. */
  readonly seed: string;
  readonly store: StageStore;
  /** Trials trained side by side and recorded together. */
  readonly groupSize: number;
  readonly onEvent?: (event: AdaptEvent) => void;
}

/** One way of learning each passage. */
export interface Arm {
  /** Unique within the store; names the stages. */
  readonly name: string;
  readonly innerLoop: LearnInnerLoop;
  /** Training documents of each task, exam questions removed. */
  readonly documents: readonly (readonly string[])[];
  /** Exactly so many updates for each task. @defaultValue the inner loop's epochs */
  readonly numSteps?: readonly number[];
}

/** What tables show of how a task went. */
export interface ScoreFigures {
  /** Share of right answers to the report questions. */
  readonly accuracy: number;
  /** Share of the canaries still answered right; `null` without canaries. */
  readonly kept: number | null;
  /** Share of the traps that are answered with the value of another relation; absent without traps. */
  readonly trapped?: number;
  /** Share of the report questions answered right whose value is not given for another relation as well; absent without traps. */
  readonly agreed?: number;
  readonly numDocuments: number;
  /** Optimizer updates. */
  readonly numSteps: number;
  /** Rows computed in training. */
  readonly numTokens: number;
}

/** How one task went. */
export interface ArmScore extends ScoreFigures {
  /** Share of right answers to the selection questions; never to be reported. */
  readonly selection: number;
  /** Nats per token of the gold answers to the report questions. */
  readonly goldLogprob: number;
  readonly selectionLogprob: number;
}

/** A score without what no table shows, for a record. */
export const figuresOnly = ({
  selection: _s,
  selectionLogprob: _l,
  goldLogprob: _g,
  ...shown
}: ArmScore): ScoreFigures => shown;

/** Inputs of {@link createArmContext}. */
export interface ArmContextArgs extends Writer {
  /** Names the stages within the store: one prefix per model that is examined. */
  readonly name: string;
  readonly canaries: Canaries;
  readonly passages: readonly SourcePassage[];
  /** @defaultValue none */
  readonly traps?: Traps | undefined;
  readonly seed: number | string;
  readonly store: StageStore;
  /** Texts sampled from the model for arms that replay. @defaultValue 0 */
  readonly numReplay?: number;
  /** @defaultValue 60 */
  readonly groupSize?: number;
  readonly onEvent?: (event: AdaptEvent) => void;
}

/** What the arms of one model share, with exams, canaries and replay of its own; also every question that no document may contain. */
export async function createArmContext(
  args: ArmContextArgs,
): Promise<ArmContext & { readonly forbidden: readonly string[] }> {
  const { name, canaries, passages, seed, numReplay = 0, groupSize = 60, signal, onEvent } = args;
  const store = prefixed(args.store, name);
  const { maxPassageTokens } = defaultSettings;
  const rng = createRng(seed).fork("experiment");
  const unredacted = await buildKnowledgeTasks({ ...args, name: "exam", passages, maxPassageTokens, rng, store });
  const asked = [...(args.traps?.values() ?? [])].flat().map(({ question }) => question);
  const forbidden = [...new Set([...forbiddenQuestions(unredacted, canaries), ...asked])];
  const replay = await stage(store, `replay-${seed}`, async () =>
    withoutExamQuestions(await sampleReplay(args, numReplay, rng.fork("replay")), forbidden),
  );
  return {
    ...{ engine: args.engine, templates: args.templates, signal, store, groupSize, replay, forbidden },
    tasks: redactTasks(unredacted, forbidden),
    canaries: await stage(store, "canaries", () => knownCanaries(args)),
    seed: `${seed}`,
    ...(args.traps && { traps: args.traps }),
    ...(onEvent && { onEvent }),
  };
}

/** The same store with a prefix before every stage's name. */
export const prefixed = (store: StageStore, prefix: string): StageStore => ({
  read: (name) => store.read(`${prefix}/${name}`),
  write: (name, value) => store.write(`${prefix}/${name}`, value),
});

/** Canaries with a right answer; without right answers, the model's own stand in for them. */
async function knownCanaries({ engine, templates, canaries, signal }: ArmContextArgs): Promise<ExamItem[]> {
  const context = { engine, templates, signal };
  const [answers] = await examine(context, [{ adapter: null, items: canaries.items }]);
  return answeredCanaries(canaries, answers!);
}

/** All that a task asks: selection questions, then report questions. */
export const itemsOf = ({ exam }: KnowledgeTask): ExamItem[] => [...exam.selection, ...exam.report];

/** The exam of a task, then its traps; a trap counts as right when the wrong value is given. */
const askedIn = ({ traps }: Pick<ArmContext, "traps">, task: KnowledgeTask): ExamItem[] => [
  ...itemsOf(task),
  ...(traps?.get(task.source.id) ?? []).map(({ question, wrong }) => ({ question, answer: wrong, title: "" })),
];

/** Answers of a model that has learned nothing. */
export async function scoreUntrained(context: ArmContext): Promise<ArmScore[]> {
  return scoreUnchanged(context, "untrained", (item) => item);
}

/** Answers of the unchanged model with the passage before every question. */
export async function scoreReading(context: ArmContext): Promise<ArmScore[]> {
  const { templates } = context;
  const reading = { ...templates, question: `Passage: {title}\n${templates.question.replace("{title}", "")}` };
  return scoreUnchanged({ ...context, templates: reading }, "reading", (item, { source }) => ({
    ...item,
    title: source.title === "" ? source.context : `${source.title}\n${source.context}`,
  }));
}

async function scoreUnchanged(
  context: ArmContext,
  name: string,
  ask: (item: ExamItem, task: KnowledgeTask) => ExamItem,
): Promise<ArmScore[]> {
  const takers = context.tasks.map((task) => ({
    adapter: null,
    items: askedIn(context, task).map((item) => ask(item, task)),
  }));
  const sheets = await stage(context.store, name, () => examine(context, takers));
  const trained = { numSteps: 0, numTokens: 0, canaries: null };
  return context.tasks.map((task, index) =>
    score(context.engine.model.vocabSize, task, 0, { ...trained, answers: sheets[index]! }, context.traps),
  );
}

function trialOf(context: ArmContext, passage: number, documents: readonly string[], numSteps?: number): QuestionTrial {
  const { tasks, seed } = context;
  const task = tasks[passage]!;
  const { source } = task;
  const place = { runSeed: seed, passageId: source.id, edit: 0, repetition: 0 };
  return {
    ...{ passage, edit: 0, repetition: 0, source, documents, items: askedIn(context, task) },
    seed: trialSeed(place, "common"),
    ...(numSteps !== undefined && { numSteps }),
  };
}

/**
 * Updates of each task after which the tokens seen come nearest to `budgets`, at least 1: the same cost for other
 * documents. The order of the documents is that of the arm itself.
 */
export async function stepsForTokens(
  context: ArmContext,
  { innerLoop, documents }: Pick<Arm, "innerLoop" | "documents">,
  budgets: readonly number[],
): Promise<number[]> {
  const trialContext: TrialContext = { ...context, innerLoop };
  const numSteps: number[] = [];
  for (const passage of context.tasks.keys()) {
    const budget = budgets[passage]!;
    const planOf = (numSteps?: number) =>
      plannedTokens(trialContext, trialOf(context, passage, documents[passage]!, numSteps));
    let plan = await planOf();
    while (sum(plan) < budget) plan = await planOf(Math.max(1, 2 * plan.length));
    let [best, seen, distance] = [1, 0, Number.POSITIVE_INFINITY];
    plan.forEach((rows, step) => {
      seen += rows;
      if (Math.abs(seen - budget) >= distance) return;
      [best, distance] = [step + 1, Math.abs(seen - budget)];
    });
    numSteps.push(best);
  }
  return numSteps;
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Trains and examines an adapter for every task; finished groups of tasks are read from the store. */
export async function measureArm(context: ArmContext, arm: Arm): Promise<ArmScore[]> {
  const { tasks, store, groupSize, seed, onEvent } = context;
  const trialContext: TrialContext = { ...context, innerLoop: arm.innerLoop };
  const trials = tasks.map((_, passage) => trialOf(context, passage, arm.documents[passage]!, arm.numSteps?.[passage]));
  const scores: ArmScore[] = [];
  for (let from = 0; from < trials.length; from += groupSize) {
    onEvent?.({ stage: arm.name, done: from, total: trials.length });
    const group = trials.slice(from, from + groupSize);
    const found = await stage(store, `${arm.name}/${seed}/${from}`, async () => {
      const examined = await examineTrials(trialContext, group, askQuestions);
      const { vocabSize } = context.engine.model;
      return examined.map(({ score: answers, ...one }) =>
        score(vocabSize, tasks[one.trial.passage]!, one.trial.documents.length, { ...one, answers }, context.traps),
      );
    });
    scores.push(...found);
  }
  return scores;
}

/** What an adapter that diverged scores: nothing right, and no better than a guess. */
const nothingRight = (vocabSize: number) => ({
  accuracy: 0,
  selection: 0,
  goldLogprob: -Math.log(vocabSize),
  selectionLogprob: -Math.log(vocabSize),
  kept: 0,
});

/** What a training came to, with the answers to its questions; `null` when it diverged. */
interface Answered extends Pick<ExaminedTrial, "canaries" | "numSteps" | "numTokens"> {
  readonly answers: readonly ExamAnswer[] | null;
}

/** Sums up the answers to {@link itemsOf} a task and to its traps, if there are any. */
export function score(
  vocabSize: number,
  task: KnowledgeTask,
  numDocuments: number,
  { answers, canaries, numSteps, numTokens }: Answered,
  traps?: Traps,
): ArmScore {
  const { exam, source } = task;
  const cost = { numDocuments, numSteps, numTokens };
  const own = traps?.get(source.id) ?? [];
  if (answers === null)
    return { ...nothingRight(vocabSize), ...(own.length > 0 && { trapped: 0, agreed: 0 }), ...cost };
  const numAsked = exam.selection.length + exam.report.length;
  const selection = answers.slice(0, exam.selection.length);
  const report = answers.slice(exam.selection.length, numAsked);
  return {
    accuracy: accuracy(report)!,
    selection: accuracy(selection)!,
    goldLogprob: meanGoldLogprob(report)!,
    selectionLogprob: meanGoldLogprob(selection)!,
    kept: accuracy(canaries ?? []),
    ...(own.length > 0 && scoreTraps(exam.report, report, own, answers.slice(numAsked))),
    ...cost,
  };
}

/** An answer agrees with its question when its value is not given for another relation, too. */
function scoreTraps(
  items: readonly ExamItem[],
  answers: readonly ExamAnswer[],
  traps: readonly Trap[],
  sprung: readonly ExamAnswer[],
): { readonly trapped: number; readonly agreed: number } {
  const confused = new Set(traps.filter((_, index) => sprung[index]!.isRight).map(({ wrong }) => wrong));
  const agreeing = answers.filter(({ isRight }, index) => isRight && !confused.has(items[index]!.answer));
  return { trapped: accuracy(sprung)!, agreed: agreeing.length / answers.length };
}
