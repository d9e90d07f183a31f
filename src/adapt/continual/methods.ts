/**
 * @file The methods of `selkie experiment continual`, side by side, with their settings. Settings were chosen on a few
 * streams of the Almanac's validation people (`docs/log.md`), never on test people.
 */
import type { Json } from "../../registry/index.ts";
import { SelkieError } from "../../util/index.ts";
import { defaultSettings } from "../settings.ts";
import { bankMethod } from "./bank.ts";
import { jointMethod, oraclePassageMethod, retrievalMethod } from "./bounds.ts";
import { lastBlocksMethod, steepestBlocksMethod } from "./chosen-blocks.ts";
import { elasticMethod } from "./ewc.ts";
import { mergeMethod } from "./merged.ts";
import type { ContinualMethod } from "./method.ts";
import { orthogonalMethod } from "./orthogonal.ts";
import type { ReplayMix } from "./replay.ts";
import { stableBudget } from "./rescale.ts";
import { rebuilding, sleepMethod } from "./sleep.ts";

/**
 * Peak learning rate where old text is mixed in, whose updates hold several documents: that of `adapt`'s last training,
 * twice that of a lone edit. At the lone edit's rate a mixed batch acquires 8 to 14 points less than no replay at all.
 */
export const mixedLearningRate: number = defaultSettings.finalLoop.learningRate;
/** Three of four documents are samples of the base: with one of two, a third more of the base's answers was lost. */
export const selfReplay: ReplayMix = { share: 0.75, earlierShare: 0, anchor: null };
/** The same samples, learned as the base's own expectations; 20 tokens do as well as all in published comparisons. */
export const klAnchor: ReplayMix = { ...selfReplay, anchor: { topK: 20 } };
/** Half of the old text is earlier edits, which the model wrote as well; samples of the base are its expectations, as in {@link klAnchor}. */
export const rehearsal: ReplayMix = { share: 0.8, earlierShare: 0.5, anchor: { topK: 20 } };
/** Over 20 edits this keeps 93 % of what was acquired and 91 % of base answers; 1e-3 acquires more and keeps 83 and 88 %. */
export const rehearsalLearningRate = 7e-4;

/** Springs of EWC: what is left at the end is about the same from 10 to 30; at 100 and above next to nothing is learned. */
export const elasticStrength = 30;
/** λ of O-LoRA: most left between 0.03 and 0.1; the released code's 0.5 to 1 acquires ten points less here. */
export const orthogonalStrength = 0.1;
/** Edits between rebuilds: a fifth of the stream, since a rebuild costs as much as all edits so far; at least 5. */
export const sleepPeriod = (numPassages: number): number => Math.max(5, Math.ceil(numPassages / 5));

const sleepMethodOf = (name: string, summary: string, others: "rebuilt" | "model"): ContinualMethod => {
  const options = { ...rebuilding, others };
  return {
    ...{ name, summary, settings: { ...options, period: "a fifth of the stream, at least 5" } as unknown as Json },
    begin: (context) =>
      sleepMethod(name, summary, { ...options, period: sleepPeriod(context.numPassages) }).begin(context),
  };
};

function replayMethod(
  name: string,
  summary: string,
  replay: ReplayMix,
  learningRate: number = mixedLearningRate,
): ContinualMethod {
  const settings = { replay, learningRate };
  return mergeMethod(name, summary, settings as unknown as Json, () => ({
    replay,
    adjust: (job) => ({ ...job, learningRate }),
  }));
}

/** Half of the blocks: SCoL's fixed choice is 10 of 28, too few of a model of four. */
export const numChosenBlocks = 2;

const all: readonly ContinualMethod[] = [
  mergeMethod("merge", "each edit trained and merged, nothing against forgetting (SEAL)", {}, () => ({})),
  mergeMethod(
    "merge-now",
    "the same, each edit written by the model as merged so far (SEAL's procedure)",
    { writes: "now" },
    () => ({ writes: "now" }),
  ),
  replayMethod("replay", "merge, with samples of the base beside each edit", selfReplay),
  replayMethod("anchor", "merge, held to the base's expectations on its own samples (KL)", klAnchor),
  replayMethod(
    "rehearse",
    "merge, with samples of the base and earlier edits beside each edit",
    rehearsal,
    rehearsalLearningRate,
  ),
  elasticMethod("elastic", "one adapter trained on and on, held by elastic weights (EWC)", {
    strength: elasticStrength,
  }),
  orthogonalMethod("orthogonal", "merge, each edit orthogonal to all before it (O-LoRA)", orthogonalStrength),
  lastBlocksMethod("last-blocks", "merge into the last blocks alone", numChosenBlocks),
  steepestBlocksMethod("steep-blocks", "merge into the blocks that the edit pulls at hardest", numChosenBlocks),
  mergeMethod(
    "gate",
    "merge what passes STABLE's gate, scaled down by bisection where it must be",
    { gate: stableBudget } as unknown as Json,
    () => ({ gate: stableBudget }),
  ),
  bankMethod,
  sleepMethodOf("sleep", "one adapter rebuilt from the base on all documents, every fifth of the stream", "rebuilt"),
  sleepMethodOf("sleep-routed", "the same, asked only about passages learned; the model answers the rest", "model"),
  jointMethod,
  retrievalMethod,
  oraclePassageMethod,
];

/** Every method by name, in the order of the table. */
export const continualMethods: ReadonlyMap<string, ContinualMethod> = new Map(
  all.map((method) => [method.name, method]),
);

/** The method called `name`. */
export function continualMethodNamed(name: string): ContinualMethod {
  const found = continualMethods.get(name);
  if (found !== undefined) return found;
  throw new SelkieError(
    "unknown-name",
    `continual: expected one of ${[...continualMethods.keys()].join(", ")}, got "${name}"`,
  );
}
