/**
 * @file Elastic weight consolidation on one adapter that is trained from edit to edit; nothing is merged. The penalty,
 * its papers and how it differs from them are in `src/train/elastic-weights.ts`. The first edit is held, too: the adapter
 * starts as an identity, and what the model's own texts depend on there is what the model knew before the stream.
 */
import type { EngineJob } from "../../engine/index.ts";
import type { LoraAdapter } from "../../nn/index.ts";
import { type ElasticMemory, elasticWeights, remember, type TrainDocument } from "../../train/index.ts";
import { toTrainDocuments } from "../candidates.ts";
import { adaptedSystem } from "./adapted.ts";
import { trainEdit } from "./merged.ts";
import type { ContinualMethod, Learner, StepReport, StreamContext, StreamItem } from "./method.ts";

/** Settings of {@link elasticMethod}. */
export interface ElasticOptions {
  /** λ, at least 0; 0 is plain training from edit to edit. */
  readonly strength: number;
  /** Share of earlier information that each edit leaves, in [0, 1]. @defaultValue 1 */
  readonly decay?: number;
  /** Texts of the model itself whose information is the start; 0 protects nothing that was there before. @defaultValue 200 */
  readonly numBaseTexts?: number;
}

/** A method that holds one adapter by springs. */
export const elasticMethod = (name: string, summary: string, options: ElasticOptions): ContinualMethod => ({
  name,
  summary,
  settings: { ...options },
  begin: async (context) => ElasticLearner.begin(context, options),
});

class ElasticLearner implements Learner {
  readonly #context: StreamContext;
  readonly #options: ElasticOptions;
  #adapter: LoraAdapter | null = null;
  #memory: ElasticMemory | null = null;
  readonly answer: Learner["answer"];
  readonly logprobs: Learner["logprobs"];
  readonly complete: NonNullable<Learner["complete"]>;

  private constructor(context: StreamContext, options: ElasticOptions) {
    this.#context = context;
    this.#options = options;
    ({
      answer: this.answer,
      logprobs: this.logprobs,
      complete: this.complete,
    } = adaptedSystem(context, () => this.#adapter));
  }

  /** Starts with an identity that is held to what the model's own texts depend on. */
  static async begin(context: StreamContext, options: ElasticOptions): Promise<ElasticLearner> {
    const learner = new ElasticLearner(context, options);
    const texts = context.replay.slice(0, options.numBaseTexts ?? 200);
    if (texts.length === 0) return learner;
    const { lora, learningRate } = context.innerLoop;
    const documents = toTrainDocuments(context.engine, texts);
    const { adapter } = await trainEdit(context, { id: "identity", documents, lora, learningRate, epochs: 0 });
    await learner.#consolidate(adapter, documents);
    return learner;
  }

  async #consolidate(adapter: LoraAdapter, documents: readonly TrainDocument[]): Promise<void> {
    const fisher = await this.#context.engine.fisher(adapter, documents);
    this.#memory = remember(this.#memory, adapter, fisher, this.#options.decay);
    this.#adapter = adapter;
  }

  async learn({ documents }: StreamItem, step: number): Promise<StepReport> {
    const { engine, innerLoop } = this.#context;
    const { lora, learningRate, epochs, documentsPerStep } = innerLoop;
    const own = toTrainDocuments(engine, documents);
    const job: EngineJob = {
      id: `edit-${step}`,
      documents: own,
      lora,
      learningRate,
      epochs,
      documentsPerStep,
      ...(this.#adapter !== null && { initial: this.#adapter }),
      ...(this.#memory !== null && { regularizer: elasticWeights(this.#options.strength, this.#memory) }),
    };
    const { adapter, status, numTokens, numSteps } = await trainEdit(this.#context, job);
    if (status === "diverged") return { numTokens, numSteps, note: status };
    await this.#consolidate(adapter, own);
    return { numTokens, numSteps };
  }

  [Symbol.dispose](): void {}
}
