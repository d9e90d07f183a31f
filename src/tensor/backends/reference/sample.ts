/** @file Sampling kernel: a token from the softmax of a row of logits, whole or truncated, or its largest. */
import type { LikeliestTokens, LogitAdjustments, SampleRowsArgs, Truncations } from "../../backend.ts";
import type { HostArray } from "../../dtype.ts";

type Row = ReturnType<HostArray["slice"]>;

/** Index of the largest value, the lowest such index; values that are NaN are passed over. */
function argmax(values: ArrayLike<number>): number {
  let best = -1;
  for (let i = 0; i < values.length; i++)
    if (values[i]! > (best < 0 ? Number.NEGATIVE_INFINITY : values[best]!)) best = i;
  return best;
}

function adjust(x: Row, { offsets, tokenIds, divisors, addends }: LogitAdjustments, draw: number): void {
  for (let i = offsets[draw]!; i < offsets[draw + 1]!; i++) {
    const logit = x[tokenIds[i]!]!;
    x[tokenIds[i]!] = (logit > 0 ? logit / divisors[i]! : logit * divisors[i]!) + addends[i]!;
  }
}

/** Ids by logit, largest first; equal ones by id. */
const rankingOf = (x: Row): Int32Array => Int32Array.from(x.keys()).sort((a, b) => x[b]! - x[a]! || a - b);

/** The first of `ids` whose weight together reaches `share` of the weight of all of them. */
function nucleus(ids: Int32Array, weights: Float64Array, share: number): Int32Array {
  const wanted = share * ids.reduce((sum, id) => sum + weights[id]!, 0);
  let [size, mass] = [0, 0];
  while (size < ids.length && mass < wanted) mass += weights[ids[size++]!]!;
  return ids.subarray(0, size);
}

/** The weights of what a draw keeps; 0 for the rest. */
function truncate(x: Row, weights: Float64Array, temperature: number, by: Truncations, draw: number): Float64Array {
  const [topK, topP, minP] = [by.topKs[draw]!, by.topPs[draw]!, by.minPs[draw]!];
  if (topK === 0 && topP === 1 && minP === 0) return weights;
  let ids = rankingOf(x);
  const least = x[ids[0]!]! + temperature * Math.log(minP);
  if (topK > 0) ids = ids.subarray(0, topK);
  if (topP < 1) ids = nucleus(ids, weights, topP);
  const kept = new Float64Array(weights.length);
  for (const id of ids) if (x[id]! >= least) kept[id] = weights[id]!;
  return kept;
}

/** The entry at which the running sum of weights passes `threshold`; rounding at the end falls to the last entry that has weight. */
function pick(weights: Float64Array, threshold: number): number {
  let sum = 0;
  let last = -1;
  for (let id = 0; id < weights.length && (last < 0 || sum <= threshold); id++) {
    if (weights[id] === 0) continue;
    sum += weights[id]!;
    last = id;
  }
  return last;
}

/** Writes the likeliest tokens of one draw; `logprobOf` null marks a row that is not sound. */
function writeLikeliest(
  to: LikeliestTokens,
  draw: number,
  x: Row,
  logprobOf: ((tokenId: number) => number) | null,
): void {
  const width = to.tokenIds.length / to.counts.length;
  const ranking = to.counts[draw] === 0 || logprobOf === null ? [] : rankingOf(x).subarray(0, to.counts[draw]);
  for (let place = 0; place < width; place++) {
    const tokenId = ranking[place] ?? -1;
    to.tokenIds[draw * width + place] = tokenId;
    to.logprobs[draw * width + place] = tokenId < 0 ? Number.NaN : logprobOf!(tokenId);
  }
}

const sumOf = (weights: Float64Array): number => weights.reduce((sum, weight) => sum + weight, 0);

export function sampleRows(args: SampleRowsArgs): void {
  const { logits, rows, temperatures, uniforms, tokenIds, logprobs } = args;
  const { adjustments = null, truncations = null, likeliest = null } = args;
  const vocabSize = logits.shape[1]!;
  const values = logits.readSync();
  rows.forEach((row, draw) => {
    const x = values.slice(row * vocabSize, (row + 1) * vocabSize);
    if (adjustments !== null) adjust(x, adjustments, draw);
    const best = argmax(x);
    const largest = x[best] ?? Number.NaN;
    const isGreedy = temperatures[draw] === 0;
    const temperature = isGreedy ? 1 : temperatures[draw]!;
    const weights = Float64Array.from(x, (logit) => Math.exp((logit - largest) / temperature));
    const total = sumOf(weights);
    const wantsTotal = !isGreedy || logprobs !== null || (likeliest?.counts[draw] ?? 0) > 0;
    const isSound = Number.isFinite(largest) && (!Number.isNaN(total) || !wantsTotal);
    const logprobOf = (tokenId: number) => (x[tokenId]! - largest) / temperature - Math.log(total);
    if (likeliest !== null) writeLikeliest(likeliest, draw, x, isSound ? logprobOf : null);
    let tokenId = -1;
    if (isSound && isGreedy) tokenId = best;
    else if (isSound) {
      const kept = truncations === null ? weights : truncate(x, weights, temperature, truncations, draw);
      tokenId = pick(kept, (kept === weights ? total : sumOf(kept)) * uniforms[draw]!);
    }
    tokenIds[draw] = tokenId;
    if (logprobs !== null) logprobs[draw] = tokenId < 0 ? Number.NaN : logprobOf(tokenId);
  });
}
