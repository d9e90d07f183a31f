/**
 * @file Token-level policy gradient in its smallest setting: a bandit of three arms whose best policy is known. The policy
 * is a language model that answers a prompt of one token with an arm. It is sampled while it is trained: every batch comes
 * from the policy as it then is, and serves several updates, which the clipped ratio of PPO keeps honest.
 *
 * What is wanted is `E[reward] - β · KL(policy ‖ reference)`; its optimum is `reference · exp(reward / β) / Z` (Rafailov et al.
 * 2023, arXiv 2305.18290, eq. 4). Deviation from PPO: no critic, the baseline is the mean of the batch.
 *
 *     npx node recipes/bandit.ts
 */
import { generate, scoreTokens } from "../src/generate/index.ts";
import { createLlama, f32Precision, type LlamaLm, plainLlama } from "../src/models/index.ts";
import { adamW, chain, clipByGlobalNorm, scheduled } from "../src/nn/index.ts";
import { createReferenceBackend } from "../src/tensor/index.ts";
import { clippedRatio, type Datum, type Objective, type Source, train, wholeModel } from "../src/train/index.ts";
import { createRng, type Rng } from "../src/util/index.ts";

const rewards = [1, 0, 2];
const reference = [0.5, 0.3, 0.2];
const beta = 0.5;
const promptIds = [0];

/** Settings of {@link trainBandit}. */
export interface BanditOptions {
  /** @defaultValue `clippedRatio()` */
  readonly objective?: Objective;
  /** Batches sampled. @defaultValue 30 */
  readonly batches?: number;
  /** Updates on each batch; many, so that without clipping the policy would run away from what was sampled. @defaultValue 20 */
  readonly updatesPerBatch?: number;
  /** @defaultValue 0 */
  readonly seed?: number;
  /** Told the policy after each batch's first update. */
  readonly onBatch?: (batch: number, probs: readonly number[]) => void;
}

/** The policy that nothing beats: `reference · exp(reward / β)`, scaled to sum to 1. */
export function optimum(): number[] {
  const weights = reference.map((prob, arm) => prob * Math.exp(rewards[arm]! / beta));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** A Llama whose vocabulary are the arms. */
function createPolicy(rng: Rng): LlamaLm {
  const sizes = { vocabSize: 3, hiddenSize: 8, intermediateSize: 16, numLayers: 1, numHeads: 2, numKvHeads: 2 };
  return createLlama(createReferenceBackend(), { ...plainLlama, ...sizes, headDim: 4, maxSeqLen: 4 }, f32Precision, {
    rng,
  });
}

/** How likely the policy is to choose each arm. */
async function probsOf(lm: LlamaLm): Promise<number[]> {
  const scores = await scoreTokens(
    lm,
    rewards.map((_, arm) => ({ tokenIds: [...promptIds, arm] })),
  );
  return scores.map((logprobs) => Math.exp(logprobs[0]!));
}

/** `count` answers of the policy as it is, each with what it earned above the mean. */
async function sample(lm: LlamaLm, count: number, rng: Rng): Promise<Datum[]> {
  const request = { promptIds, maxNewTokens: 1, sampler: { temperature: 1 } };
  const answers = await generate(lm, new Array(count).fill(request), { rng });
  const earned = answers.map(({ tokenIds: [arm], logprobs: [logprob] }) => {
    return rewards[arm!]! - beta * (logprob! - Math.log(reference[arm!]!));
  });
  const mean = earned.reduce((sum, value) => sum + value, 0) / count;
  return answers.map(({ tokenIds, logprobs }, index) => ({
    tokenIds: promptIds,
    targets: tokenIds,
    weights: [1],
    extras: { samplerLogprobs: logprobs, advantages: [earned[index]! - mean] },
  }));
}

/** Trains a policy and returns how likely it is to choose each arm. */
export async function trainBandit(options: BanditOptions = {}): Promise<number[]> {
  const { objective = clippedRatio(), batches = 30, updatesPerBatch: numUpdates = 20, seed = 0, onBatch } = options;
  const rng = createRng(seed);
  const steps = batches * numUpdates;
  using lm = createPolicy(rng.fork("weights"));
  using trainee = wholeModel(lm);
  const source: Source = async (step) => {
    onBatch?.(step / numUpdates, await probsOf(lm));
    return { data: await sample(lm, 64, rng.fork("batch", step)), numUpdates };
  };
  const learningRate = scheduled(0.02, { kind: "linear" }, steps);
  await train({ trainee, source, objective, steps, transform: chain(clipByGlobalNorm(1), adamW({ learningRate })) });
  return probsOf(lm);
}

if (import.meta.main) {
  const print = (name: string, probs: readonly number[]) =>
    console.log(`${name.padEnd(10)} ${probs.map((prob) => prob.toFixed(3)).join("  ")}`);
  const probs = await trainBandit({ onBatch: (batch, now) => batch % 10 === 0 && print(`batch ${batch}`, now) });
  print("trained", probs);
  print("optimum", optimum());
}
