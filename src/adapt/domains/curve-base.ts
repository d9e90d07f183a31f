/**
 * @file The model that the curve domain starts from: it reads lines of points and writes valid edits, but chooses their
 * values at random, as mediocre as the shipped model's edits of text. A minute of training on one processor.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import {
  createLlama,
  createTokenizer,
  encodeDocument,
  f32Precision,
  type LlamaConfig,
  plainLlama,
  saveCheckpoint,
  trainByteLevelBpe,
} from "../../models/index.ts";
import { writeFileAtomic } from "../../registry/index.ts";
import type { Backend } from "../../tensor/index.ts";
import { type TrainProgress, trainFull } from "../../train/index.ts";
import { createRng, type Rng } from "../../util/index.ts";
import { defaultLearnSettings, type LearnSettings, uniformSchedule } from "../learn/settings.ts";
import { defaultTemplates } from "../prompts.ts";
import { type CurveSettings, curveChoices, curveCompletion, curveLine, curvePrompt, drawCurve } from "./curve.ts";

/**
 * The settings of `selkie learn curve` where nothing else is asked for, chosen by the rewards of training tasks. The best third of
 * the edits is kept and not the best alone: an edit that is very good on few tasks and harmful on most is often the best of twelve.
 * Replay is many texts: a few hundred are learned by heart, noise included, and the policy is worse to start an adapter from.
 */
export const curveLearnSettings: LearnSettings = {
  ...defaultLearnSettings,
  ...{ passagesPerRound: 300, numEdits: 12, schedule: uniformSchedule(12, 1), heldOutEdits: 3, groupSize: 200 },
  numReplay: 6000,
  update: {
    ...defaultLearnSettings.update,
    objective: { kind: "rest-em", keep: 4, aboveBase: false },
    ...{ method: "full", learningRate: 2e-3, epochs: 10, documentsPerStep: 32 },
  },
};

const endOfText = "<|end|>";
const documentsPerStep = 48;

/** Any edit, all of them equally often. */
export const randomCurveSettings = (rng: Rng): CurveSettings => ({
  rank: rng.choice(curveChoices.rank),
  learningRate: rng.choice(curveChoices.learningRate),
  epochs: rng.choice(curveChoices.epochs),
});

/** Text of the family without edits: the first so many points of a curve. What the policy replays. */
export function curveText(rng: Rng): string {
  const { measured } = drawCurve("", rng.fork("task"));
  return measured
    .slice(0, rng.choice([1, 3, measured.length]))
    .map(curveLine)
    .join("\n");
}

const curveDemonstration = (rng: Rng): string =>
  `${curvePrompt(drawCurve("", rng.fork("task")))}${curveCompletion(randomCurveSettings(rng))}`;

/** Inputs of {@link pretrainCurve}. */
export interface CurveBaseArgs {
  readonly backend: Backend;
  /** Becomes a checkpoint directory. */
  readonly directory: string;
  readonly seed: number | string;
  /** Updates of 48 documents. @defaultValue 500 */
  readonly steps?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: TrainProgress) => void;
}

/** Trains the model and writes its checkpoint directory; `false` when the signal stopped it, which then wrote nothing. */
export async function pretrainCurve(args: CurveBaseArgs): Promise<boolean> {
  const { backend, directory, steps = 500, signal, onProgress } = args;
  const rng = createRng(args.seed).fork("curve-base");
  const textOf = (step: number, index: number): string => {
    const own = rng.fork("text", step, index);
    return index % 2 === 0 ? curveText(own) : curveDemonstration(own);
  };
  const documentsOf = (step: number) => Array.from({ length: documentsPerStep }, (_, index) => textOf(step, index));
  const texts = Array.from({ length: 20 }, (_, step) => documentsOf(-1 - step)).flat();
  const json = trainByteLevelBpe(texts, { vocabSize: 360, specialTokens: [endOfText], bosToken: endOfText });
  const tokenizer = createTokenizer(json, endOfText);
  const config: LlamaConfig = {
    ...{ ...plainLlama, vocabSize: tokenizer.vocabSize, hiddenSize: 64, intermediateSize: 128, numLayers: 2 },
    ...{ numHeads: 4, numKvHeads: 4, headDim: 16, maxSeqLen: 256, bosTokenId: 0 },
    eosTokenIds: [tokenizer.eosTokenId],
  };
  using lm = createLlama(backend, config, f32Precision, { rng: rng.fork("weights") });
  const { isFinished } = await trainFull({
    lm,
    source: (step) => documentsOf(step).map((text) => ({ tokenIds: encodeDocument(tokenizer, text) })),
    ...{ steps, learningRate: 4e-3, optimizer: { weightDecay: 0.01 } },
    schedule: { kind: "linear", warmupSteps: Math.min(30, steps), minMultiplier: 0.05 },
    ...(signal && { signal }),
    ...(onProgress && { onProgress }),
  });
  if (!isFinished) return false;
  mkdirSync(directory, { recursive: true });
  await saveCheckpoint(directory, { lm, tokenizer: { json } });
  writeFileAtomic(join(directory, "selkie.json"), `${JSON.stringify({ prompts: defaultTemplates }, null, 2)}\n`);
  return true;
}
