/** @file The dials of an adaptation, and what they may be for the model at hand: refused before the work, not after it. */
import { type AdaptSettings, defaultSettings, type InnerLoop } from "../adapt/index.ts";
import type { LinearLayer } from "../nn/index.ts";
import { SelkieError } from "../util/index.ts";

/** What most people turn; everything else is in `AdaptSettings`. */
export interface LearnDials {
  /** Self-edits to try for each passage, 1 to 100. @defaultValue 5 */
  readonly numEdits?: number | undefined;
  /** Passes over the documents of an edit, 1 to 1000. @defaultValue 10 while edits are tried, 12 for the last adapter */
  readonly epochs?: number | undefined;
  /** Peak learning rate of the adapter, above 0 and at most 1. @defaultValue 0.001 while edits are tried, 0.002 for the last */
  readonly learningRate?: number | undefined;
  /** Rank of the adapter, from 1 to the smallest dimension of the layers it changes. @defaultValue 16 */
  readonly loraRank?: number | undefined;
}

/** The default settings with these dials turned. */
export function settingsOf({ numEdits, epochs, learningRate, loraRank }: LearnDials): AdaptSettings {
  const adjust = (loop: InnerLoop): InnerLoop => ({
    ...loop,
    lora: loraRank === undefined ? loop.lora : { ...loop.lora, loraRank, loraAlpha: 2 * loraRank },
    epochs: epochs ?? loop.epochs,
    learningRate: learningRate ?? loop.learningRate,
  });
  return {
    ...defaultSettings,
    numEdits: numEdits ?? defaultSettings.numEdits,
    innerLoop: adjust(defaultSettings.innerLoop),
    finalLoop: adjust(defaultSettings.finalLoop),
  };
}

const maxEdits = 100; // their adapters train side by side, so memory grows with them
const maxEpochs = 1000;

function requireRange(name: string, value: number, [low, high]: readonly [number, number], why: string): void {
  if (Number.isInteger(value) && value >= low && value <= high) return;
  throw new SelkieError("bad-option", `${name}: expected a whole number from ${low} to ${high}, got ${value}; ${why}`);
}

/** The default rank, lowered where a small model has a layer narrower than that; what somebody chose stays. */
function fitRank(loop: InnerLoop, usual: InnerLoop, most: number): InnerLoop {
  const { loraRank } = loop.lora;
  if (loraRank !== usual.lora.loraRank || loraRank <= most) return loop;
  return { ...loop, lora: { ...loop.lora, loraRank: most, loraAlpha: (loop.lora.loraAlpha * most) / loraRank } };
}

/**
 * The settings as this model can be trained with them.
 *
 * @throws {@link SelkieError} `"bad-option"` for what it cannot be trained with, or nobody can mean.
 */
export function checkSettings(wanted: AdaptSettings, layers: readonly LinearLayer[]): AdaptSettings {
  const narrowest = layers.reduce((a, b) => (Math.min(b.inSize, b.outSize) < Math.min(a.inSize, a.outSize) ? b : a));
  const most = Math.min(narrowest.inSize, narrowest.outSize);
  const settings = {
    ...wanted,
    innerLoop: fitRank(wanted.innerLoop, defaultSettings.innerLoop, most),
    finalLoop: fitRank(wanted.finalLoop, defaultSettings.finalLoop, most),
  };
  requireRange("edits", settings.numEdits, [1, maxEdits], "each edit of a passage is an adapter in training");
  for (const { epochs, learningRate, lora } of [settings.innerLoop, settings.finalLoop]) {
    requireRange("epochs", epochs, [1, maxEpochs], "an adapter has learned its few documents long before that");
    requireRange(
      "rank",
      lora.loraRank,
      [1, most],
      `a wider adapter than the narrowest layer (${narrowest.name}, ${narrowest.inSize} × ${narrowest.outSize}) can say nothing more`,
    );
    if (!(learningRate > 0 && learningRate <= 1))
      throw new SelkieError(
        "bad-option",
        `learning rate: expected a number above 0 and at most 1, got ${learningRate}; adapters train well near 0.001`,
      );
  }
  return settings;
}
