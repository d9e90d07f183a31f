/**
 * @file From logits to a token: greedy, temperature, top-k, top-p (Holtzman et al. 2020, arXiv 1904.09751).
 * Order of the steps: temperature, then top-k, then top-p over what top-k left, renormalised.
 * Ties rank by token id, lowest first, so a choice never depends on a sort's internals.
 */
import { type Rng, SelkieError } from "../util/index.ts";

/** How the next token is chosen. */
export interface SamplerConfig {
  /** Divides the logits; 0 is greedy decoding. */
  readonly temperature: number;
  /** Keep this many most probable tokens; 0 keeps all. @defaultValue 0 */
  readonly topK?: number;
  /** Keep the smallest set of most probable tokens whose mass reaches this, in (0, 1]; 1 keeps all. @defaultValue 1 */
  readonly topP?: number;
}

/** Greedy decoding. */
export const greedySampler: SamplerConfig = { temperature: 0 };

/** A chosen token. */
export interface SampledToken {
  readonly tokenId: number;
  /** Nats under the untruncated softmax at the sampling temperature (at 1 for greedy decoding); NaN when not asked for. */
  readonly logprob: number;
}

/** Throws `"bad-option"` unless every field is in range. */
export function checkSampler(config: SamplerConfig): void {
  const { temperature, topK = 0, topP = 1 } = config;
  const refuse = (field: string, expected: string, got: number) => {
    throw new SelkieError("bad-option", `sampler ${field}: expected ${expected}, got ${got}`);
  };
  if (!Number.isFinite(temperature) || temperature < 0) refuse("temperature", "a number of at least 0", temperature);
  if (!Number.isInteger(topK) || topK < 0) refuse("topK", "a whole number of at least 0", topK);
  if (!(topP > 0 && topP <= 1)) refuse("topP", "a number above 0 and at most 1", topP);
}

/** True when tokens are drawn from the whole softmax, so that recorded log-probabilities are those of the sampler. */
export function isFullSoftmax(config: SamplerConfig): boolean {
  return config.temperature > 0 && (config.topK ?? 0) === 0 && (config.topP ?? 1) === 1;
}

/** Chooses tokens row by row; keeps working memory for one vocabulary between calls. */
export class TokenSampler {
  /** `exp((logit - max) / temperature)` of the current row. */
  readonly #weights: Float64Array;
  /** Working memory of the ranking: token ids arranged as a heap. */
  readonly #heap: Int32Array;

  constructor(vocabSize: number) {
    this.#weights = new Float64Array(vocabSize);
    this.#heap = new Int32Array(vocabSize);
  }

  /**
   * One token of `logits [V]`. Draws exactly one number from `rng` unless decoding is greedy.
   *
   * @throws {@link SelkieError} `"not-finite"` when the logits hold NaN or no finite value.
   */
  next(logits: ArrayLike<number>, config: SamplerConfig, rng: Rng | null, wantLogprob = true): SampledToken {
    const best = argmax(logits);
    const isGreedy = config.temperature === 0;
    if (isGreedy && !wantLogprob) return { tokenId: best, logprob: Number.NaN };
    const total = this.#computeWeights(logits, logits[best]!, isGreedy ? 1 : config.temperature);
    if (isGreedy) return { tokenId: best, logprob: -Math.log(total) }; // its own weight is exp(0) = 1
    if (rng === null)
      throw new SelkieError("bad-option", "sampler: temperature above 0 needs a random stream; pass rng");
    const tokenId = this.#draw(config, total, rng.uniform());
    const logprob = (logits[tokenId]! - logits[best]!) / config.temperature - Math.log(total);
    return { tokenId, logprob };
  }

  #computeWeights(logits: ArrayLike<number>, max: number, temperature: number): number {
    const weights = this.#weights;
    let total = 0;
    for (let id = 0; id < weights.length; id++) {
      const weight = Math.exp((logits[id]! - max) / temperature);
      weights[id] = weight;
      total += weight;
    }
    if (Number.isNaN(total)) throw notFinite();
    return total;
  }

  #draw(config: SamplerConfig, total: number, uniform: number): number {
    if (isFullSoftmax(config)) return pick(this.#weights, null, total * uniform);
    const kept = keepMostProbable(this.#weights, this.#heap, total, config.topK ?? 0, config.topP ?? 1);
    return pick(this.#weights, kept.ids, kept.mass * uniform);
  }
}

const notFinite = (): SelkieError =>
  new SelkieError(
    "not-finite",
    "sampler: expected finite logits, got NaN or infinity; the weights may be damaged or training may have diverged",
  );

/** Index of the largest value, the lowest such index; values that are NaN are passed over. */
function argmax(values: ArrayLike<number>): number {
  let best = -1;
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value > max) {
      max = value;
      best = i;
    }
  }
  if (best < 0 || max === Number.POSITIVE_INFINITY) throw notFinite();
  return best;
}

/** The entry at which the running sum of weights passes `threshold`; rounding at the end falls to the last entry that has weight. */
function pick(weights: Float64Array, ids: readonly number[] | null, threshold: number): number {
  const count = ids?.length ?? weights.length;
  let sum = 0;
  let last = -1;
  for (let i = 0; i < count; i++) {
    const id = ids === null ? i : ids[i]!;
    const weight = weights[id]!;
    if (weight === 0) continue;
    sum += weight;
    last = id;
    if (sum > threshold) break;
  }
  return last;
}

/** Tokens that survived truncation, most probable first, and their summed weight. */
interface KeptTokens {
  readonly ids: readonly number[];
  readonly mass: number;
}

/** Applies top-k, then top-p. Ranks lazily with a heap in `heap`: linear in V, plus log V for each token that is kept. */
function keepMostProbable(
  weights: Float64Array,
  heap: Int32Array,
  total: number,
  topK: number,
  topP: number,
): KeptTokens {
  const isTopK = topK > 0 && topK < weights.length;
  // without top-k, tokens below this have less than 1 - topP of the mass together, so none of them is in the nucleus
  const floor = isTopK ? 0 : ((1 - topP) * total) / weights.length;
  let size = 0;
  for (let id = 0; id < weights.length; id++) if (weights[id]! > 0 && weights[id]! >= floor) heap[size++] = id;
  for (let parent = (size >> 1) - 1; parent >= 0; parent--) siftDown(weights, heap, parent, size);
  if (!isTopK) return rankWhile(weights, heap, size, size, total * topP);
  const top = rankWhile(weights, heap, size, topK, Number.POSITIVE_INFINITY);
  return topP === 1 ? top : cutAtMass(weights, top.ids, top.mass * topP);
}

/** Pops ids until there are `maxCount` of them or their mass reaches `minMass`; the one that reaches it is kept. */
function rankWhile(
  weights: Float64Array,
  heap: Int32Array,
  heapSize: number,
  maxCount: number,
  minMass: number,
): KeptTokens {
  const ids: number[] = [];
  let mass = 0;
  for (let size = heapSize; size > 0 && ids.length < maxCount && mass < minMass; size--) {
    const id = popMax(weights, heap, size);
    ids.push(id);
    mass += weights[id]!;
  }
  return { ids, mass };
}

/** The shortest beginning of `ranked` whose mass reaches `minMass`. */
function cutAtMass(weights: Float64Array, ranked: readonly number[], minMass: number): KeptTokens {
  let count = 0;
  let mass = 0;
  while (count < ranked.length && mass < minMass) mass += weights[ranked[count++]!]!;
  return { ids: ranked.slice(0, count), mass };
}

/** Takes the root off a heap of `size` ids. */
function popMax(weights: Float64Array, ids: Int32Array, size: number): number {
  const top = ids[0]!;
  ids[0] = ids[size - 1]!;
  siftDown(weights, ids, 0, size - 1);
  return top;
}

/** Restores the heap order (larger weight first, then lower id) below `parent`. */
function siftDown(weights: Float64Array, ids: Int32Array, parent: number, size: number): void {
  const moving = ids[parent]!;
  const weight = weights[moving]!;
  let hole = parent;
  for (let child = 2 * hole + 1; child < size; child = 2 * hole + 1) {
    const right = child + 1;
    if (right < size && isBefore(weights, ids[right]!, ids[child]!)) child = right;
    const candidate = ids[child]!;
    if (weights[candidate]! < weight || (weights[candidate] === weight && candidate > moving)) break;
    ids[hole] = candidate;
    hole = child;
  }
  ids[hole] = moving;
}

const isBefore = (weights: Float64Array, a: number, b: number): boolean =>
  weights[a]! > weights[b]! || (weights[a] === weights[b] && a < b);
