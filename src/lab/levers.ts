/** @file Levers of the inner loop: ways to train on the same edits, each one step away from the reference. */
import { defaultLearnSettings, type LearnInnerLoop, mlpTargets } from "../adapt/index.ts";
import type { Splitting } from "./edits.ts";

/** One change to the reference. */
export interface Lever {
  readonly name: string;
  /** The reference with what the lever changes. */
  readonly innerLoop: LearnInnerLoop;
  /** Edits of each passage joined into one candidate. */
  readonly numEdits: number;
  readonly splitting: Splitting;
  /** Trained one after another, and therefore on fewer passages. */
  readonly isSlow: boolean;
}

/** What all levers are compared with: the inner loop of `selkie learn knowledge`. */
export const referenceLoop: LearnInnerLoop = defaultLearnSettings.innerLoop;

/**
 * Learning rate of full finetuning on one passage: of 3e-5, 1e-4, 2e-4 and 3e-4 the highest that left about 95 % of the old
 * answers of 16 validation people's models; 3e-4 learns more and breaks three times as many.
 */
export const fullLearningRate = 2e-4;

/** Parts of a block, by the last part of a layer's name. */
const targets = {
  "queries and values": ["q_proj", "v_proj"],
  attention: ["q_proj", "k_proj", "v_proj", "o_proj"],
} as const;

const topK = 8;

/** More documents than an edit has. */
const everything = 1000;

const lever = (name: string, change: Partial<LearnInnerLoop>, over: Partial<Lever> = {}): Lever => ({
  name,
  innerLoop: { ...referenceLoop, ...change },
  numEdits: 1,
  splitting: "lines",
  isSlow: change.method === "full",
  ...over,
});

/** LoRA whose `alpha / rank` stays that of the reference. */
const ofRank = (loraRank: number): Partial<LearnInnerLoop> => ({
  lora: {
    ...referenceLoop.lora,
    loraRank,
    loraAlpha: (loraRank * referenceLoop.lora.loraAlpha) / referenceLoop.lora.loraRank,
  },
});

const onTargets = (names: "all" | readonly string[]): Partial<LearnInnerLoop> => ({
  lora: { ...referenceLoop.lora, targets: names },
});

const { learningRate } = referenceLoop;

/** The reference, against which the others stand. */
export const referenceLever: Lever = lever("reference", {});

/** All levers. */
export const levers: readonly Lever[] = [
  lever("LoRA on queries and values (SEAL's code)", onTargets(targets["queries and values"])),
  lever("LoRA on attention", onTargets(targets.attention)),
  lever("LoRA on all linear layers", onTargets("all")),
  lever("LoRA on all linear layers, learning rate × 0.5", {
    ...onTargets("all"),
    learningRate: learningRate / 2,
  }),
  lever("LoRA on the MLP's output", onTargets(mlpTargets.slice(-1))),
  lever("rank 4", ofRank(4)),
  lever("rank 64", ofRank(64)),
  ...[0.5, 2, 4].map((factor) => lever(`learning rate × ${factor}`, { learningRate: factor * learningRate })),
  lever("all documents in one update", { documentsPerStep: everything }),
  lever("all documents in one update, learning rate × 4", {
    documentsPerStep: everything,
    learningRate: 4 * learningRate,
  }),
  ...[5, 20].map((epochs) => lever(`${epochs} epochs`, { epochs })),
  ...[20, 40].map((maxSteps) => lever(`at most ${maxSteps} updates`, { maxSteps })),
  ...[0.25, 0.5].map((replayShare) => lever(`${100 * replayShare} % replay`, { replayShare })),
  ...[0.25, 0.5].map((replayShare) =>
    lever(`${100 * replayShare} % replay as KL anchor`, { replayShare, anchor: { topK } }),
  ),
  lever("context distillation", { distillation: { topK, context: "Passage: {passage}\n" } }),
  ...[2, 5].map((numEdits) => lever(`union of ${numEdits} edits`, { unionOf: numEdits }, { numEdits })),
  lever("whole edit as one document", {}, { splitting: "whole" }),
  lever("full finetuning", { method: "full", learningRate: fullLearningRate }),
];
