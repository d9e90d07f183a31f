/**
 * @file The methods of `selkie experiment continual`, side by side, with their settings. Settings were chosen on streams of
 * eight of the Almanac's validation people (`docs/log.md`), never on test people.
 */
import type { Json } from "../../registry/index.ts";
import { SelkieError } from "../../util/index.ts";
import { bankMethod } from "./bank.ts";
import { jointLoop, jointMethod, jointReplay, oraclePassageMethod, retrievalMethod } from "./bounds.ts";
import { lastBlocksMethod, steepestBlocksMethod } from "./chosen-blocks.ts";
import { elasticMethod } from "./ewc.ts";
import { mergeMethod } from "./merged.ts";
import type { ContinualMethod } from "./method.ts";
import { orthogonalMethod } from "./orthogonal.ts";
import type { ReplayMix } from "./replay.ts";
import { stableBudget } from "./rescale.ts";
import { type SleepOptions, sleepMethod } from "./sleep.ts";

/** Samples of the base, as much as the edit itself: the upper end of the 25 to 50 % that the literature advises. */
export const selfReplay: ReplayMix = { share: 0.5, earlierShare: 0, anchor: null };
/** The same samples, learned as the base's own expectations; 20 tokens do as well as all in published comparisons. */
export const klAnchor: ReplayMix = { ...selfReplay, anchor: { topK: 20 } };
/** Half of the old text is earlier edits, which the model wrote as well. */
export const rehearsal: ReplayMix = { share: 2 / 3, earlierShare: 0.5, anchor: null };

/** Springs of EWC. */
export const elasticStrength = 100;
/** λ of O-LoRA: the released code's 0.5. */
export const orthogonalStrength = 0.5;
/** Trained as the joint bound is, every five edits. */
export const sleeping: SleepOptions = { period: 5, loop: { ...jointLoop, documentsPerStep: 1 }, replay: jointReplay };

function replayMethod(name: string, summary: string, replay: ReplayMix): ContinualMethod {
  return mergeMethod(name, summary, { replay } as unknown as Json, () => ({ replay }));
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
  replayMethod("rehearse", "merge, with samples of the base and earlier edits beside each edit", rehearsal),
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
  sleepMethod("sleep", "one adapter rebuilt from the base on all documents, every few edits", sleeping),
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
