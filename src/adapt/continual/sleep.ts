/**
 * @file Periodic rebuild ("sleep"): every few edits one adapter is trained from the model as it came on the documents of
 * all edits so far, with samples of the model beside them. Text adds up where weights do not (SEAL v2 found 28.0 from
 * gradients averaged over weights against 58.2 from joint text). Between rebuilds the newest edits are adapters of their
 * own, found by retrieval as in `bank.ts`; all other questions go to the rebuilt adapter, or, if asked for, only those
 * that are about a passage learned.
 */

import { blockOf, type LinearLayer, type LoraAdapter, type LoraConfig, lastBlocks } from "../../nn/index.ts";
import type { Json } from "../../registry/index.ts";
import type { TrainDocument } from "../../train/index.ts";
import { createRng, SelkieError } from "../../util/index.ts";
import { toTrainDocuments } from "../candidates.ts";
import type { InnerLoop } from "../settings.ts";
import { adaptedSystem } from "./adapted.ts";
import { describeRouting, RoutedEdits, trainAlone } from "./bank.ts";
import { trainEdit } from "./merged.ts";
import type { ContinualMethod, Learner, StepReport, StreamContext, StreamItem } from "./method.ts";
import { mixDocuments, prepareReplay, type ReplayMix } from "./replay.ts";

/** Settings of {@link sleepMethod}. */
export interface SleepOptions {
  /** Edits from one rebuild to the next, at least 1; 1 rebuilds after every edit and needs no retrieval. */
  readonly period: number;
  /** How the rebuilt adapter is trained. */
  readonly loop: InnerLoop;
  /** Samples of the model beside the documents. */
  readonly replay: ReplayMix;
  /** Share of the blocks, from the last one down, that the rebuilt adapter changes, in (0, 1]. @defaultValue 1 */
  readonly blockShare?: number;
  /** Who answers what is about no passage learned: the rebuilt adapter, or the model as it came. @defaultValue "rebuilt" */
  readonly others?: "rebuilt" | "model";
}

/**
 * How everything learned is trained into one adapter. On streams of 8 and 20 validation people (`docs/log.md`) rank 64 and 20
 * epochs leave 10 to 15 points more of the passages than the rank 16 and 12 epochs of `adapt`, and the last half of the blocks 7
 * points more than all of them. With the experiment's 2400 different texts, three quarters of replay keep 97 % of the base's
 * answers and half 95 % (four streams of 20), for twice the tokens; with 600 texts more replay than half kept no more.
 */
export const rebuilding: Omit<SleepOptions, "period"> = {
  loop: {
    lora: { loraRank: 64, loraAlpha: 128, targets: "all" },
    learningRate: 1e-3,
    epochs: 20,
    documentsPerStep: 4,
  },
  replay: { share: 0.75, earlierShare: 0, anchor: { topK: 20 } },
  blockShare: 0.5,
};

/** A method that rebuilds. */
export const sleepMethod = (name: string, summary: string, options: SleepOptions): ContinualMethod => ({
  name,
  summary,
  settings: { ...options } as unknown as Json,
  begin: async (context) =>
    new SleepLearner(context, options, await prepareReplay(context.engine, context.replay, options.replay)),
});

class SleepLearner implements Learner {
  readonly #context: StreamContext;
  readonly #options: SleepOptions;
  readonly #replay: readonly TrainDocument[];
  readonly #documents: TrainDocument[] = [];
  readonly #edits = new RoutedEdits();
  /** Edits that the rebuilt adapter knows. */
  #numAsleep = 0;
  #rebuilt: LoraAdapter | null = null;
  readonly answer: Learner["answer"];
  readonly logprobs: Learner["logprobs"];
  readonly complete: NonNullable<Learner["complete"]>;

  constructor(context: StreamContext, options: SleepOptions, replay: readonly TrainDocument[]) {
    if (!(Number.isInteger(options.period) && options.period >= 1))
      throw new SelkieError("bad-option", `sleep: expected a whole period of at least 1, got ${options.period}`);
    this.#context = context;
    this.#options = options;
    this.#replay = replay;
    ({
      answer: this.answer,
      logprobs: this.logprobs,
      complete: this.complete,
    } = adaptedSystem(context, (question) => this.#route(question)));
  }

  #route(question: string): LoraAdapter | null {
    const needsNone = this.#options.others !== "model" && this.#numAsleep === this.#edits.size;
    const index = needsNone ? null : this.#edits.find(question);
    if (index !== null && index >= this.#numAsleep) return this.#edits.adapterAt(index);
    return index === null && this.#options.others === "model" ? null : this.#rebuilt;
  }

  async learn(item: StreamItem, step: number): Promise<StepReport> {
    this.#documents.push(...toTrainDocuments(this.#context.engine, item.documents));
    if ((step + 1) % this.#options.period === 0) {
      this.#edits.add(item, null);
      return this.#rebuild(step);
    }
    const { adapter, numTokens, numSteps } = await trainAlone(this.#context, item, step);
    this.#edits.add(item, adapter);
    return { numTokens, numSteps, note: describeRouting(this.#edits.measure(this.#context.canaries)) };
  }

  async #rebuild(step: number): Promise<StepReport> {
    const { loop, replay, blockShare = 1 } = this.#options;
    const lora = ofLastBlocks(loop.lora, this.#context.engine.model.linearLayers, blockShare);
    const old = { base: this.#replay, earlier: [] };
    const rng = createRng(this.#context.seed).fork("sleep", step);
    const mixed = mixDocuments(this.#documents, old, replay, loop, rng);
    const job = { id: `sleep-${step}`, ...mixed, lora, learningRate: loop.learningRate };
    const { adapter, status, numTokens, numSteps } = await trainEdit(this.#context, job);
    if (status === "diverged") return { numTokens, numSteps, note: "rebuild diverged" };
    this.#rebuilt = adapter;
    this.#numAsleep = this.#edits.size;
    return { numTokens, numSteps, note: "rebuild" };
  }

  [Symbol.dispose](): void {}
}

/** `lora` on the last `share` of the blocks, rounded, at least one. */
export function ofLastBlocks(lora: LoraConfig, layers: readonly LinearLayer[], share: number): LoraConfig {
  if (!(share > 0 && share <= 1))
    throw new SelkieError("bad-option", `sleep: expected a share of the blocks in (0, 1], got ${share}`);
  const numBlocks = new Set(layers.map(({ name }) => blockOf(name))).size;
  return share === 1 ? lora : { ...lora, layers: lastBlocks(layers, Math.max(1, Math.round(share * numBlocks))) };
}
