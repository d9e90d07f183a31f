/**
 * @file From logits to a token: greedy, temperature, top-k, top-p (Holtzman et al. 2020, arXiv 1904.09751).
 * Order of the steps: temperature, then top-k, then top-p over what top-k left, renormalised.
 * Ties rank by token id, lowest first. Draws go through the kept tokens in the order of their ids.
 * Draws without truncation are one kernel call for the whole batch; truncation is done here, row by row.
 */
import type { Backend, Tensor } from "../tensor/index.ts";
import { type Rng, SelkieError } from "../util/index.ts";
import { expOfNonPositive } from "./exp.ts";

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

/** One token to choose from a row of logits. */
export interface Draw {
  readonly row: number;
  readonly config: SamplerConfig;
  /** Gives exactly one number unless decoding is greedy, which needs none. */
  readonly rng: Rng | null;
}

const isTruncated = ({ temperature, topK = 0, topP = 1 }: SamplerConfig): boolean =>
  temperature > 0 && (topK > 0 || topP < 1);

/** Chooses tokens; keeps working memory for one vocabulary between calls. */
export class TokenSampler {
  readonly #backend: Backend;
  readonly #wantLogprobs: boolean;
  /** `exp((logit - max) / temperature)` of the current row. */
  readonly #weights: Float64Array;
  /** Working memory of truncation. */
  readonly #ranked: Float64Array;
  readonly #ids: Int32Array;

  /** `wantLogprobs` false leaves those of greedy draws out, which saves a pass over the vocabulary. */
  constructor(backend: Backend, vocabSize: number, wantLogprobs = true) {
    this.#backend = backend;
    this.#wantLogprobs = wantLogprobs;
    this.#weights = new Float64Array(vocabSize);
    this.#ranked = new Float64Array(vocabSize);
    this.#ids = new Int32Array(vocabSize);
  }

  /**
   * One token per draw.
   *
   * @param logits - `[N, V]`.
   * A row that holds NaN or no finite value gives token -1.
   */
  sample(logits: Tensor<"N V">, draws: readonly Draw[]): SampledToken[] {
    const uniforms = draws.map(({ config, rng }) => {
      if (config.temperature === 0) return 0;
      if (rng === null)
        throw new SelkieError("bad-option", "sampler: temperature above 0 needs a random stream; pass rng");
      return rng.uniform();
    });
    const tokens = this.#sampleWhole(logits, draws, uniforms);
    draws.forEach(({ row, config }, index) => {
      if (isTruncated(config)) tokens[index] = this.#sampleTruncated(rowOf(logits, row), config, uniforms[index]!);
    });
    return tokens;
  }

  /** Greedy draws and those from the whole softmax, all at once; the others come out as anything. */
  #sampleWhole(logits: Tensor, draws: readonly Draw[], uniforms: readonly number[]): SampledToken[] {
    const isWhole = draws.some(({ config }) => !isTruncated(config));
    const tokenIds = new Int32Array(draws.length);
    const needsLogprobs = this.#wantLogprobs || draws.some(({ config }) => config.temperature > 0);
    const logprobs = needsLogprobs ? new Float64Array(draws.length) : null;
    if (isWhole)
      this.#backend.kernels.sampleRows({
        logits,
        rows: Int32Array.from(draws, ({ row }) => row),
        temperatures: Float64Array.from(draws, ({ config }) => config.temperature),
        uniforms: Float64Array.from(uniforms),
        tokenIds,
        logprobs,
      });
    return draws.map((_, index) => ({ tokenId: tokenIds[index]!, logprob: logprobs?.[index] ?? Number.NaN }));
  }

  #sampleTruncated(logits: ArrayLike<number>, config: SamplerConfig, uniform: number): SampledToken {
    const { temperature, topK = 0, topP = 1 } = config;
    const max = logits[argmax(logits)]!;
    const total = this.#computeWeights(logits, max, temperature);
    const cut = findCut(this.#weights, this.#ranked, total, topK, topP);
    const tokenId = pick(this.#weights, selectIds(this.#weights, this.#ids, cut), cut.mass * uniform);
    return { tokenId, logprob: (logits[tokenId]! - max) / temperature - Math.log(total) };
  }

  #computeWeights(logits: ArrayLike<number>, max: number, temperature: number): number {
    const weights = this.#weights;
    let total = 0;
    for (let id = 0; id < weights.length; id++) {
      const weight = expOfNonPositive((logits[id]! - max) / temperature);
      weights[id] = weight;
      total += weight;
    }
    if (Number.isNaN(total)) throw notFinite();
    return total;
  }
}

/** Values of one row, where they lie. */
function rowOf(logits: Tensor, row: number): ArrayLike<number> {
  const vocabSize = logits.shape[1]!;
  return logits.data.subarray(row * vocabSize, (row + 1) * vocabSize);
}

/** What is wrong with a row of logits from which no token can be chosen. */
export const notFinite = (): SelkieError =>
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
function pick(weights: Float64Array, ids: Int32Array, threshold: number): number {
  let sum = 0;
  let last = -1;
  for (const id of ids) {
    const weight = weights[id]!;
    if (weight === 0) continue;
    sum += weight;
    last = id;
    if (sum > threshold) break;
  }
  return last;
}

/** How many of the largest weights survive truncation, and the least of them. */
interface Cut {
  readonly count: number;
  readonly leastWeight: number;
  /** Weight of the survivors together. */
  readonly mass: number;
}

/** Applies top-k, then top-p, to the weights alone; `ranked` is working memory. */
function findCut(weights: Float64Array, ranked: Float64Array, total: number, topK: number, topP: number): Cut {
  const isTopK = topK > 0 && topK < weights.length;
  // without top-k, tokens below this have less than 1 - topP of the mass together, so none of them is in the nucleus
  const floor = isTopK ? nthLargest(weights, topK) : ((1 - topP) * total) / weights.length;
  let size = 0;
  for (let id = 0; id < weights.length; id++) {
    const weight = weights[id]!;
    if (weight > 0 && weight >= floor) ranked[size++] = weight;
  }
  const ascending = ranked.subarray(0, size).sort();
  const first = isTopK ? Math.max(0, size - topK) : 0;
  let mass = 0;
  for (let i = size - 1; i >= first; i--) mass += ascending[i]!;
  if (topP === 1) return { count: size - first, leastWeight: ascending[first]!, mass };
  const wanted = (isTopK ? mass : total) * topP;
  let last = size;
  for (mass = 0; last > first && mass < wanted; ) mass += ascending[--last]!; // the token that reaches `wanted` is kept
  return { count: size - last, leastWeight: ascending[last]!, mass };
}

/** The ids above the cut in ascending order, and of those at its edge as many as it has room for, lowest first. */
function selectIds(weights: Float64Array, ids: Int32Array, { count, leastWeight }: Cut): Int32Array {
  let numAbove = 0;
  for (let id = 0; id < weights.length; id++) if (weights[id]! > leastWeight) numAbove++;
  let roomAtEdge = count - numAbove;
  let size = 0;
  for (let id = 0; id < weights.length; id++) {
    const weight = weights[id]!;
    if (weight > leastWeight || (weight === leastWeight && roomAtEdge-- > 0)) ids[size++] = id;
  }
  return ids.subarray(0, size);
}

/** The `n`-th largest value: a heap of the `n` largest so far, its smallest on top. */
function nthLargest(values: Float64Array, n: number): number {
  const heap = values.slice(0, n).sort();
  for (let i = n; i < values.length; i++) {
    const value = values[i]!;
    if (value <= heap[0]!) continue;
    let hole = 0;
    for (let child = 1; child < n; child = 2 * hole + 1) {
      if (child + 1 < n && heap[child + 1]! < heap[child]!) child++;
      if (heap[child]! >= value) break;
      heap[hole] = heap[child]!;
      hole = child;
    }
    heap[hole] = value;
  }
  return heap[0]!;
}
