/**
 * @file Penalties on tokens that occurred, and biases: what they make of single logits, kept up to date token by token.
 * Nothing here is as long as the vocabulary; a sampled token costs one update, whatever came before.
 *
 * The logit of token `t`, which occurs `c` times in the completion, becomes `penalised(logit) + bias - presence · [c > 0]
 * - frequency · c`, where `penalised` divides a logit above 0 by the repetition penalty and multiplies one below 0, once,
 * for tokens that occur in the prompt or the completion (Keskar et al. 2019, CTRL, arXiv 1909.05858, with the sign heeded
 * as all implementations do). vLLM adds the bias before the repetition penalty, which then scales it, too; here a bias
 * moves the logit by just its size.
 */
import type { LogitAdjustments } from "../tensor/index.ts";
import { SelkieError } from "../util/index.ts";

/** What changes the logits of single tokens before everything else. */
export interface Penalties {
  /**
   * Divides logits above 0 and multiplies those below 0 of all tokens in prompt and completion, however often they occur;
   * above 0, and above 1 to discourage them. @defaultValue 1, which changes nothing
   */
  readonly repetitionPenalty?: number;
  /**
   * Subtracted from the logit of a token that occurs in the completion; negative encourages it. The prompt does not count,
   * as with OpenAI and vLLM (llama.cpp counts its last tokens, too). @defaultValue 0
   */
  readonly presencePenalty?: number;
  /** Subtracted from the logit of a token once per time that it occurs in the completion. @defaultValue 0 */
  readonly frequencyPenalty?: number;
  /** Added to the logits of these token ids; -100 practically bans a token, 100 forces it. @defaultValue none */
  readonly logitBias?: Readonly<Record<number, number>>;
}

const isCounting = ({ repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0 }: Penalties): boolean =>
  repetitionPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0;

/** True when a sampler with these penalties needs {@link TokenCounts}. */
export function hasPenalties(penalties: Penalties): boolean {
  return isCounting(penalties) || Object.keys(penalties.logitBias ?? {}).length > 0;
}

/** Counts the tokens of one sequence for the penalties of its sampler. */
export class TokenCounts {
  readonly #penalties: Required<Penalties>;
  readonly #isCounting: boolean;
  /** Place of a token in the lists. */
  readonly #places = new Map<number, number>();
  #tokenIds = new Int32Array(16);
  #divisors = new Float64Array(16);
  #addends = new Float64Array(16);
  /** Times that the token at a place was sampled. */
  #counts = new Int32Array(16);

  /** @throws {@link SelkieError} `"bad-input"` for an id of the prompt or the biases that is not below `vocabSize`. */
  constructor(penalties: Penalties, promptIds: ArrayLike<number>, vocabSize: number) {
    const { repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0, logitBias = {} } = penalties;
    this.#penalties = { repetitionPenalty, presencePenalty, frequencyPenalty, logitBias };
    this.#isCounting = isCounting(penalties);
    const place = (tokenId: number): number => {
      if (Number.isInteger(tokenId) && tokenId >= 0 && tokenId < vocabSize) return this.#placeOf(tokenId);
      throw new SelkieError("bad-input", `token counts: expected token ids from 0 to ${vocabSize - 1}, got ${tokenId}`);
    };
    for (const [tokenId, bias] of Object.entries(logitBias)) this.#addends[place(Number(tokenId))] = bias;
    if (repetitionPenalty === 1) return;
    for (let i = 0; i < promptIds.length; i++) this.#divisors[place(promptIds[i]!)] = repetitionPenalty;
  }

  /** Tokens whose logits change. */
  get size(): number {
    return this.#places.size;
  }

  /** Counts a token that was sampled. */
  add(tokenId: number): void {
    if (!this.#isCounting) return;
    const { repetitionPenalty, presencePenalty, frequencyPenalty, logitBias } = this.#penalties;
    const place = this.#placeOf(tokenId);
    const count = ++this.#counts[place]!;
    this.#divisors[place] = repetitionPenalty;
    this.#addends[place] = (logitBias[tokenId] ?? 0) - presencePenalty - frequencyPenalty * count;
  }

  /** Writes the {@link size} adjustments of this sequence from entry `offset` on. */
  writeTo(adjustments: LogitAdjustments, offset: number): void {
    adjustments.tokenIds.set(this.#tokenIds.subarray(0, this.size), offset);
    adjustments.divisors.set(this.#divisors.subarray(0, this.size), offset);
    adjustments.addends.set(this.#addends.subarray(0, this.size), offset);
  }

  #placeOf(tokenId: number): number {
    const known = this.#places.get(tokenId);
    if (known !== undefined) return known;
    const place = this.#places.size;
    if (place === this.#tokenIds.length) this.#grow();
    this.#places.set(tokenId, place);
    this.#tokenIds[place] = tokenId;
    this.#divisors[place] = 1;
    return place;
  }

  #grow(): void {
    const length = 2 * this.#tokenIds.length;
    const grown = <T extends Int32Array | Float64Array>(to: T, from: T): T => {
      to.set(from);
      return to;
    };
    this.#tokenIds = grown(new Int32Array(length), this.#tokenIds);
    this.#divisors = grown(new Float64Array(length), this.#divisors);
    this.#addends = grown(new Float64Array(length), this.#addends);
    this.#counts = grown(new Int32Array(length), this.#counts);
  }
}

/** The adjustments of many draws in one list; `null` when no logit changes. */
export function adjustmentsOf(counts: readonly (TokenCounts | null)[]): LogitAdjustments | null {
  const offsets = new Int32Array(counts.length + 1);
  counts.forEach((each, draw) => {
    offsets[draw + 1] = offsets[draw]! + (each?.size ?? 0);
  });
  const size = offsets[counts.length]!;
  if (size === 0) return null;
  const adjustments: LogitAdjustments = {
    offsets,
    tokenIds: new Int32Array(size),
    divisors: new Float64Array(size),
    addends: new Float64Array(size),
  };
  counts.forEach((each, draw) => {
    each?.writeTo(adjustments, offsets[draw]!);
  });
  return adjustments;
}
