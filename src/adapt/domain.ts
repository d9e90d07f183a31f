/**
 * @file What the outer loop asks of a domain: tasks with exams, how the policy is asked for an edit, what training an edit
 * means, and what would give an exam away. Everything else (trials, rewards, selection, the training of the policy,
 * resuming, reports) is the loop's, in `learn/`, and the same for every domain.
 * `domains/knowledge.ts` and `domains/curve.ts` are the instances; CONTRIBUTING.md says how to add one.
 */
import type { AdapterId } from "../engine/index.ts";
import type { LoraConfig } from "../nn/index.ts";
import type { Rng } from "../util/index.ts";
import type { Canaries } from "./canaries.ts";
import type { ExamContext } from "./exam.ts";
import type { Source, Writer } from "./propose.ts";
import { withoutExamQuestions } from "./self-edit.ts";
import type { InnerLoop, StageStore } from "./settings.ts";

/** One thing to learn. A domain's own tasks hold their exams as well. */
export interface DomainTask {
  /** Its name, unique within a run, and what the policy is shown of it. Nothing of the exam may be in here. */
  readonly source: Source;
}

/** What the policy wrote for a task; `prompt` and `completion` are also what it is trained on if the edit is kept. */
export interface DomainEdit {
  /** Names the form of the edit, for counts in reports. */
  readonly kind: string;
  /** The edit as a reader sees it. */
  readonly text: string;
  readonly prompt: string;
  readonly completion: string;
  /** False when the length limit cut it. */
  readonly isFinished: boolean;
}

/** Hyper-parameters that an edit chooses for its own training; what it leaves out is the run's. */
export type JobSettings = Partial<Pick<InnerLoop, "learningRate" | "epochs" | "documentsPerStep">> & {
  readonly lora?: Partial<LoraConfig>;
};

/** The training of one candidate, as plain data. */
export interface TrainingJob {
  /** Texts to train on. Without any, nothing is trained, and the trial examines the model as it is. */
  readonly documents: readonly string[];
  /** Where given, a document is learned from behind its last occurrence on; what stands before is read only. */
  readonly answerAfter?: string;
  readonly settings?: JobSettings;
}

/** How one trial of a task went, in figures that rewards can use. */
export interface TaskScore {
  /** Share of the exam that is right, in [0, 1]. */
  readonly accuracy: number;
  /** Log-probability of the right answers, nats per token: sees progress before an answer turns right. */
  readonly goldLogprob: number;
}

/** Which of a task's two exams is meant: the one that rewards are made of, or the one that figures are about. */
export type ExamUse = "selection" | "report";

/** A task's exam, and the adapter of the engine that takes it (`null` for the model without one). */
export interface TaskExam<Task> {
  readonly task: Task;
  readonly use: ExamUse;
  readonly adapter: AdapterId | null;
}

/**
 * Documents without those that give an exam away, for the training of `task`; with `null`, for old text that is trained on
 * beside any task.
 */
export type Guard<Task = DomainTask> = (documents: readonly string[], task: Task | null) => string[];

/** What a domain gets to make its tasks with. */
export interface PrepareContext extends Writer {
  readonly canaries: Canaries;
  /** Longer sources are cut, in tokens. */
  readonly maxPassageTokens: number;
  readonly rng: Rng;
  /** For what must come out the same when the run is resumed. */
  readonly store: StageStore;
}

/** The tasks of a run. */
export interface PreparedTasks<Task> {
  /** Divided among the rounds. */
  readonly tasks: readonly Task[];
  /** Never learned from; every policy is measured on them. */
  readonly heldOut: readonly Task[];
}

/**
 * A kind of task that a policy can learn to write edits for. An instance holds no state of a run: all randomness comes
 * from the `rng` it is given, so that a run can be repeated and resumed.
 */
export interface Domain<Task extends DomainTask = DomainTask, Edit extends DomainEdit = DomainEdit> {
  /** As in `selkie learn <name>`. */
  readonly name: string;

  /**
   * Makes the tasks. Called once, before anything else, with the untrained policy. A task whose source cannot be shown
   * without its exam, or that has no exam, must be left out or mended here.
   *
   * @throws SelkieError `"bad-input"` where the domain's own inputs cannot be used; the run then ends before any work.
   */
  prepare(context: PrepareContext): Promise<PreparedTasks<Task>>;

  /**
   * Lets the policy write `count` edits of each task: prompts it, samples (freely or constrained) and reads what came.
   * Called for a group of tasks at a time. Edit `e` of a task must be the same whatever `count` and the other tasks are, so
   * its random stream is to be named by the task and `e`. A completion that is no valid edit is no error: it comes back
   * as an edit that {@link compile} turns into nothing.
   */
  propose(policy: Writer, tasks: readonly Task[], count: number, rng: Rng): Promise<Edit[][]>;

  /**
   * What is trained for a candidate. Pure; called again when a run is resumed. Several edits (`innerLoop.unionOf`) are one
   * candidate. May return exam content that the policy wrote: the loop puts every document through {@link guard}.
   */
  compile(task: Task, edits: readonly Edit[], templates: Writer["templates"]): TrainingJob;

  /**
   * The leak guard: a filter that drops documents that would give an exam away, that of the task itself or, where tasks are
   * about one world, of any of `tasks`. Pure. The loop calls it once with all tasks of a run, the held-out ones included,
   * and lets nothing be trained in a trial or replayed that has not passed the filter.
   */
  guard(tasks: readonly Task[]): Guard<Task>;

  /**
   * Gives exams, in their order. Called with many at once, each with an adapter of `model.engine` or none; a score must
   * not depend on the others. Adapters whose training diverged are not examined.
   */
  examine(model: ExamContext, exams: readonly TaskExam<Task>[]): Promise<TaskScore[]>;
}

/** The guard of a run: the domain's, and that of the questions that show forgetting. */
export function createGuard<Task extends DomainTask>(
  domain: Pick<Domain<Task>, "guard">,
  tasks: readonly Task[],
  canaries: Pick<Canaries, "items">,
): Guard<Task> {
  const withoutExams = domain.guard(tasks);
  const questions = canaries.items.map(({ question }) => question);
  return (documents, task) => withoutExamQuestions(withoutExams(documents, task), questions);
}
