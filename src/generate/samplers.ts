/**
 * @file From logits to a token. The order of the steps, each over what the one before left, renormalised:
 *
 * 1. penalties and biases of single tokens (`token-counts.ts`), which greedy decoding heeds, too;
 * 2. temperature; 0 takes the likeliest token and is done;
 * 3. top-k;
 * 4. top-p, the nucleus (Holtzman et al. 2020, arXiv 1904.09751);
 * 5. min-p (Nguyen et al. 2024, arXiv 2407.01082).
 *
 * That is the order of Hugging Face transformers. vLLM applies min-p before top-k and top-p, so that its nucleus is one of
 * a smaller mass; llama.cpp truncates in our order and applies the temperature last, so that its nucleus is that of
 * temperature 1.
 *
 * Tokens rank by logit, ties by token id, lowest first. Draws go through the kept tokens in the order of their ids. All of
 * it is one kernel call for the whole batch (`SampleRowsArgs` of `tensor`). Native kernels weigh tokens in f32: where a
 * draw or the mass of a nucleus is within about 1e-6 of a boundary between two tokens, it may fall to either.
 */
import type { Backend, LikeliestTokens, Tensor, Truncations } from "../tensor/index.ts";
import { type Rng, SelkieError } from "../util/index.ts";
import { adjustmentsOf, hasPenalties, type Penalties, type TokenCounts } from "./token-counts.ts";

/** How the next token is chosen. */
export interface SamplerConfig extends Penalties {
  /** Divides the logits; 0 is greedy decoding. */
  readonly temperature: number;
  /** Keep this many most probable tokens; 0 keeps all. @defaultValue 0 */
  readonly topK?: number;
  /** Keep the smallest set of most probable tokens whose mass reaches this, in (0, 1]; 1 keeps all. @defaultValue 1 */
  readonly topP?: number;
  /** Keep tokens at least this times as probable as the likeliest, in [0, 1]; 0 keeps all. @defaultValue 0 */
  readonly minP?: number;
}

/** Greedy decoding. */
export const greedySampler: SamplerConfig = { temperature: 0 };

/** A token and its log-probability. */
export interface TokenLogprob {
  readonly tokenId: number;
  /**
   * Nats under the untruncated softmax at the sampling temperature (at 1 for greedy decoding), penalties and biases
   * included; NaN when not asked for.
   */
  readonly logprob: number;
}

/** A chosen token. */
export interface SampledToken extends TokenLogprob {
  /** The likeliest tokens in its place, best first, as many as {@link Draw.topLogprobs} asks for. */
  readonly topLogprobs: readonly TokenLogprob[];
}

/** Most likely tokens that a draw can ask for, as with OpenAI. */
export const maxTopLogprobs = 20;

type SamplerNumber = Exclude<keyof SamplerConfig, "logitBias">;

const finite = (value: number) => Number.isFinite(value);

/** What each number of a sampler must be. */
const ranges: { readonly [Field in SamplerNumber]: readonly [words: string, isIn: (value: number) => boolean] } = {
  temperature: ["a number of at least 0", (value) => finite(value) && value >= 0],
  topK: ["a whole number of at least 0", (value) => Number.isInteger(value) && value >= 0],
  topP: ["a number above 0 and at most 1", (value) => value > 0 && value <= 1],
  minP: ["a number from 0 to 1", (value) => value >= 0 && value <= 1],
  repetitionPenalty: ["a finite number above 0", (value) => finite(value) && value > 0],
  presencePenalty: ["a finite number", finite],
  frequencyPenalty: ["a finite number", finite],
};

/** Throws `"bad-option"` unless every field is in range, and the tokens of `logitBias` are below `vocabSize`. */
export function checkSampler(config: SamplerConfig, vocabSize: number = Number.MAX_SAFE_INTEGER): void {
  const refuse = (field: string, expected: string, got: unknown) => {
    throw new SelkieError("bad-option", `sampler ${field}: expected ${expected}, got ${got}`);
  };
  for (const [field, [words, isIn]] of Object.entries(ranges)) {
    const value = config[field as SamplerNumber];
    if (field === "temperature" ? !isIn(value!) : value !== undefined && !isIn(value)) refuse(field, words, value);
  }
  for (const [tokenId, bias] of Object.entries(config.logitBias ?? {})) {
    if (!/^\d+$/.test(tokenId) || Number(tokenId) >= vocabSize)
      refuse("logitBias", `token ids from 0 to ${vocabSize - 1}`, tokenId);
    if (!finite(bias)) refuse("logitBias", `a finite number for token ${tokenId}`, bias);
  }
}

/**
 * True when tokens are drawn from the whole softmax of the model's own logits, so that recorded log-probabilities are both
 * those of the sampler and those that the model gives when it reads the text.
 */
export function isFullSoftmax(config: SamplerConfig): boolean {
  return config.temperature > 0 && !isTruncated(config) && !hasPenalties(config);
}

const isTruncated = ({ temperature, topK = 0, topP = 1, minP = 0 }: SamplerConfig): boolean =>
  temperature > 0 && (topK > 0 || topP < 1 || minP > 0);

/** One token to choose from a row of logits. */
export interface Draw {
  readonly row: number;
  readonly config: SamplerConfig;
  /** Gives exactly one number unless decoding is greedy, which needs none. */
  readonly rng: Rng | null;
  /** Of the sequence so far; needed by a config with penalties or biases. @defaultValue null */
  readonly counts?: TokenCounts | null;
  /** Likeliest tokens to return, at most {@link maxTopLogprobs}. @defaultValue 0 */
  readonly topLogprobs?: number;
}

function uniformOf({ config, rng }: Draw): number {
  if (config.temperature === 0) return 0;
  if (rng === null) throw new SelkieError("bad-option", "sampler: temperature above 0 needs a random stream; pass rng");
  return rng.uniform();
}

function countsOf({ config, counts = null }: Draw): TokenCounts | null {
  if (!hasPenalties(config)) return null;
  if (counts === null)
    throw new SelkieError("bad-option", "sampler: penalties and logitBias need the tokens so far; pass counts");
  return counts;
}

function truncationsOf(draws: readonly Draw[]): Truncations | null {
  if (!draws.some(({ config }) => isTruncated(config))) return null;
  return {
    topKs: Int32Array.from(draws, ({ config }) => Math.min(config.topK ?? 0, 2 ** 31 - 1)),
    topPs: Float64Array.from(draws, ({ config }) => config.topP ?? 1),
    minPs: Float64Array.from(draws, ({ config }) => config.minP ?? 0),
  };
}

/** Room for the likeliest tokens of each draw; `null` when none asks for any. */
function likeliestOf(draws: readonly Draw[]): LikeliestTokens | null {
  const counts = Int32Array.from(draws, ({ topLogprobs = 0 }) => Math.min(topLogprobs, maxTopLogprobs));
  const size = Math.max(...counts) * draws.length;
  return size > 0 ? { counts, tokenIds: new Int32Array(size), logprobs: new Float64Array(size) } : null;
}

function topLogprobsOf(likeliest: LikeliestTokens | null, draw: number): TokenLogprob[] {
  if (likeliest === null) return [];
  const first = draw * (likeliest.tokenIds.length / likeliest.counts.length);
  const tokenIds = likeliest.tokenIds.subarray(first, first + likeliest.counts[draw]!);
  return Array.from(tokenIds, (tokenId, place) => ({ tokenId, logprob: likeliest.logprobs[first + place]! })).filter(
    ({ tokenId }) => tokenId >= 0, // a vocabulary of fewer tokens
  );
}

/** What is wrong with a row of logits from which no token can be chosen. */
export const notFinite = (): SelkieError =>
  new SelkieError(
    "not-finite",
    "sampler: expected finite logits, got NaN or infinity; the weights may be damaged or training may have diverged",
  );

/** Chooses tokens. */
export class TokenSampler {
  readonly #backend: Backend;
  readonly #wantLogprobs: boolean;

  /** `wantLogprobs` false leaves those of greedy draws out, which saves a pass over the vocabulary. */
  constructor(backend: Backend, wantLogprobs = true) {
    this.#backend = backend;
    this.#wantLogprobs = wantLogprobs;
  }

  /**
   * One token per draw.
   *
   * @param logits - `[N, V]`.
   * A row that holds NaN or no finite value gives token -1: {@link notFinite} says what is wrong with it.
   *
   * @throws {@link SelkieError} `"bad-option"` when a draw lacks the random stream or the counts that its config needs.
   */
  sample(logits: Tensor<"N V">, draws: readonly Draw[]): SampledToken[] {
    if (draws.length === 0) return [];
    const tokenIds = new Int32Array(draws.length);
    const needsLogprobs = this.#wantLogprobs || draws.some(({ config }) => config.temperature > 0);
    const logprobs = needsLogprobs ? new Float64Array(draws.length) : null;
    const likeliest = likeliestOf(draws);
    this.#backend.kernels.sampleRows({
      logits,
      rows: Int32Array.from(draws, ({ row }) => row),
      adjustments: adjustmentsOf(draws.map(countsOf)),
      temperatures: Float64Array.from(draws, ({ config }) => config.temperature),
      truncations: truncationsOf(draws),
      uniforms: Float64Array.from(draws, uniformOf),
      tokenIds,
      logprobs,
      likeliest,
    });
    return Array.from(tokenIds, (tokenId, draw) => ({
      tokenId,
      logprob: logprobs?.[draw] ?? Number.NaN,
      topLogprobs: topLogprobsOf(likeliest, draw),
    }));
  }
}
