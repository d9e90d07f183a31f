/**
 * @file Methods that merge every edit into the weights, as SEAL does in its continual experiment (arXiv 2506.10943,
 * section 5): a fresh adapter is trained over the present weights and folded in. What is done against forgetting is a
 * value: old text beside the edit, an anchor, chosen layers, a gate before the merge.
 */
import { type EngineJob, withAdapter } from "../../engine/index.ts";
import type { LoraAdapter } from "../../nn/index.ts";
import type { Json } from "../../registry/index.ts";
import type { AdapterResult, TrainDocument } from "../../train/index.ts";
import { createRng } from "../../util/index.ts";
import { toTrainDocuments } from "../candidates.ts";
import { type ExamAnswer, examine } from "../exam.ts";
import { scaleAdapter } from "../gate/measure.ts";
import { proposeSelfEdits } from "../propose.ts";
import { selfEditDocuments, withoutExamQuestions } from "../self-edit.ts";
import type { ContinualMethod, Learner, StepReport, StreamContext, StreamItem } from "./method.ts";
import { predictLogprobs } from "./predict.ts";
import { mixDocuments, prepareReplay, type ReplayMix } from "./replay.ts";
import { findScale, type RescaleBudget } from "./rescale.ts";

/** What is done besides training and merging. */
export interface MergeOptions {
  readonly replay?: ReplayMix;
  readonly gate?: RescaleBudget;
  /** Who writes the edits: the policy, before the stream, or the model as it is at that step (SEAL). @defaultValue "before" */
  readonly writes?: "before" | "now";
  /** Changes the training of a step, for example its blocks or its loss; `own` are the edit's documents. @defaultValue as it is */
  readonly adjust?: (job: EngineJob, own: readonly TrainDocument[], step: number) => EngineJob | Promise<EngineJob>;
  /** Told of every adapter before it is merged, so that the next step's {@link adjust} can look back. */
  readonly onAdapter?: (adapter: LoraAdapter, documents: readonly TrainDocument[], step: number) => void;
}

/** A method that merges; `options` are made anew for every stream, so that they may hold state, as `settings` say. */
export const mergeMethod = (
  name: string,
  summary: string,
  settings: Json,
  options: (context: StreamContext) => MergeOptions,
): ContinualMethod => ({
  name,
  summary,
  settings,
  async begin(context) {
    const chosen = options(context);
    const base = chosen.replay ? await prepareReplay(context.engine, context.replay, chosen.replay) : [];
    return new MergedLearner(context, chosen, base);
  },
});

/** Trains one adapter as the stream's inner loop says; every method of a stream draws the same numbers for the same step. */
export async function trainEdit(context: StreamContext, job: EngineJob): Promise<AdapterResult> {
  const { engine, seed, signal } = context;
  const [result] = await engine.trainAdapters({ jobs: [job], seed }, { signal });
  return result!;
}

/** Answers and predictions of the model with its present weights. */
export const presentModel = (context: StreamContext): Pick<Learner, "answer" | "logprobs"> => ({
  async answer(items) {
    const [answers] = await examine(context, [{ adapter: null, items }]);
    return answers!;
  },
  logprobs: (probes) => predictLogprobs(context.engine, probes),
});

class MergedLearner implements Learner {
  readonly #context: StreamContext;
  readonly #options: MergeOptions;
  readonly #base: readonly TrainDocument[];
  readonly #earlier: TrainDocument[] = [];
  readonly #learned: StreamItem[] = [];
  readonly answer: Learner["answer"];
  readonly logprobs: Learner["logprobs"];

  /** @param base - Old text to learn beside the edits, prepared while the model was the base. */
  constructor(context: StreamContext, options: MergeOptions, base: readonly TrainDocument[]) {
    this.#context = context;
    ({ answer: this.answer, logprobs: this.logprobs } = presentModel(context));
    this.#options = options;
    this.#base = base;
  }

  async learn(item: StreamItem, step: number): Promise<StepReport> {
    const { engine } = this.#context;
    const { gate, onAdapter } = this.#options;
    const texts = await this.#write(item, step);
    const own = toTrainDocuments(engine, texts);
    const { adapter, status, numTokens, numSteps } = await trainEdit(this.#context, await this.#jobOf(own, step));
    const scale = status === "diverged" ? null : gate === undefined ? 1 : await this.#findScale(adapter, gate, step);
    if (scale !== null) {
      onAdapter?.(scaleAdapter(adapter, scale), own, step);
      await engine.mergeAdapter(adapter, scale);
      this.#earlier.push(...own);
      this.#learned.push(item);
    }
    const note = status === "diverged" ? status : scale === null ? "rejected" : scale < 1 ? `scale ${scale}` : null;
    return { numTokens, numSteps, ...(note !== null && { note }) };
  }

  async #write(item: StreamItem, step: number): Promise<readonly string[]> {
    if (this.#options.writes !== "now") return item.documents;
    const { templates, seed, canaries } = this.#context;
    const rng = createRng(seed).fork("written-now", step);
    const [edits] = await proposeSelfEdits(this.#context, [item.source], 1, rng);
    const asked = [...item.exam.selection, ...item.exam.report, ...canaries].map(({ question }) => question);
    return withoutExamQuestions(selfEditDocuments(edits![0]!, item.source, templates), asked);
  }

  async #jobOf(own: readonly TrainDocument[], step: number): Promise<EngineJob> {
    const { innerLoop, seed } = this.#context;
    const { replay, adjust } = this.#options;
    const { epochs, documentsPerStep, lora, learningRate } = innerLoop;
    const old = { base: this.#base, earlier: this.#earlier };
    const rng = createRng(seed).fork("replay", step);
    const mixed = replay
      ? mixDocuments(own, old, replay, innerLoop, rng)
      : { documents: own, epochs, documentsPerStep };
    const job: EngineJob = { id: `edit-${step}`, ...mixed, lora, learningRate };
    return adjust === undefined ? job : adjust(job, own, step);
  }

  /** How much of the adapter may be merged; `null` for nothing. */
  async #findScale(adapter: LoraAdapter, budget: RescaleBudget, step: number): Promise<number | null> {
    const { canaries, seed } = this.#context;
    const earlier = createRng(seed)
      .fork("gate", step)
      .shuffle(this.#learned.flatMap(({ exam }) => exam.selection))
      .slice(0, budget.maxEarlier);
    const before = await this.answer([...canaries, ...earlier]);
    const lostAt = async (scale: number): Promise<number> => {
      const [after] = await withAdapter(this.#context.engine, scaleAdapter(adapter, scale), (id) =>
        examine(this.#context, [{ adapter: id, items: [...canaries, ...earlier] }]),
      );
      const parts = [canaries.length, before.length].map((end, part, ends) => {
        const begin = part === 0 ? 0 : ends[0]!;
        return shareLost(before.slice(begin, end), after!.slice(begin, end));
      });
      return Math.max(...parts);
    };
    return findScale(lostAt, budget);
  }

  [Symbol.dispose](): void {}
}

/** Share of the right answers before that are wrong after; 0 when none was right. */
function shareLost(before: readonly ExamAnswer[], after: readonly ExamAnswer[]): number {
  const known = after.filter((_, index) => before[index]!.isRight);
  return known.length === 0 ? 0 : known.filter(({ isRight }) => !isRight).length / known.length;
}
