/** @file A training that samples the policy it trains, with everything that has state switched on: for tests of resuming. */
import { generate } from "../../src/generate/index.ts";
import { chain, clipByGlobalNorm, ema, type GradientTransform, lion, scheduled } from "../../src/nn/index.ts";
import { clippedRatio, type Datum, oneAdapter, type TrainOptions, train } from "../../src/train/index.ts";
import { createTinyLm } from "../../src/train/tiny-model.ts";
import { createRng } from "../../src/util/index.ts";

export const steps = 12;

/** A link of one's own with a number that matters: halves the updates after every third. */
const tiring: GradientTransform = {
  name: "tiring",
  init: () => ({ tensors: {}, numbers: { seen: 0 } }),
  update(updates, { numbers }) {
    updates.multiply(0, 0.5 ** Math.floor(numbers!["seen"]!++ / 3));
  },
};

/**
 * Twelve updates of an adapter, two per batch, on completions of the policy as it then is; the reward is for even tokens.
 * Returns the adapter's weights, and of this call where it began and the tokens it sampled.
 */
export async function sampledRun(
  directory: string | null,
  options: Partial<TrainOptions> = {},
): Promise<{ weights: number[]; resumedFrom: number; sampled: number[][] }> {
  using lm = createTinyLm();
  const rng = createRng("sampled run");
  using trainee = oneAdapter(lm, { loraRank: 2, loraAlpha: 4, targets: "all" }, rng.fork("adapter"));
  const sampled: number[][] = [];
  const promptIds = [1, 7];
  const source = async (step: number) => {
    const request = { promptIds, maxNewTokens: 3, sampler: { temperature: 1 }, adapterIndex: 0 };
    const answers = await generate(lm, [request, request, request, request], {
      bank: trainee.bank,
      rng: rng.fork("batch", step),
    });
    sampled.push(...answers.map(({ tokenIds }) => [...tokenIds]));
    const data = answers.map(
      ({ tokenIds, logprobs }): Datum => ({
        tokenIds: [...promptIds, ...tokenIds.slice(0, -1)],
        targets: [-1, ...tokenIds],
        weights: [0, ...tokenIds.map(() => 1)],
        extras: {
          samplerLogprobs: [0, ...logprobs],
          advantages: [0, ...tokenIds.map((id) => (id % 2 === 0 ? 1 : -1))],
        },
      }),
    );
    return { data, numUpdates: 2 };
  };
  const learningRate = scheduled(2e-3, { kind: "cosine", warmupSteps: 2 }, steps);
  const { resumedFrom } = await train({
    trainee,
    source,
    steps,
    objective: clippedRatio(),
    transform: chain(clipByGlobalNorm(0.5), tiring, lion({ learningRate, weightDecay: 0.1 }), ema(0.6)),
    ...(directory !== null && { checkpoint: { directory, everySteps: 2, everySeconds: 0 } }),
    ...options,
  });
  return { weights: [...trainee.store.flat.readSync()], resumedFrom, sampled };
}
