/** @file Contract cases of the sampling kernel. */
import type { LikeliestTokens, LogitAdjustments, Truncations } from "../backend.ts";
import type { Tensor } from "../tensor.ts";
import type { ContractCase, Trial } from "./trial.ts";

const vocabSizes: readonly number[] = [1, 7, 16, 255, 256, 257, 2700, 5003];

/** Every mixture of greedy and drawn tokens, with and without log-probabilities; several draws share a row. */
function runSampleRows(trial: Trial, vocabSize: number): void {
  const logits = trial.input([3, vocabSize], "f32", 3);
  const numDraws = 24;
  const draws = Array.from({ length: numDraws }, (_, index) => index);
  const temperatures = Float64Array.from(draws, (index) => [0, 1, 0.5, 2][index % 4]!);
  const uniforms = Float64Array.from(draws, (index) => (index * 0.6180339887) % 1);
  for (const withLogprobs of [false, true]) {
    const tokenIds = new Int32Array(numDraws);
    const logprobs = withLogprobs ? new Float64Array(numDraws) : null;
    const rows = Int32Array.from(draws, (index) => index % 3);
    trial.kernels.sampleRows({ logits, rows, temperatures, uniforms, tokenIds, logprobs });
    trial.numbers(`tokens of ${vocabSize}`, tokenIds, 0);
    if (logprobs !== null) trial.numbers(`logprobs of ${vocabSize}`, logprobs, 1e-6);
  }
}

/** Infinities, NaN, ties, and draws at the very ends of the unit interval. */
function runEdges(trial: Trial): void {
  const [none, hole] = [Number.NEGATIVE_INFINITY, Number.NaN];
  const rows = [
    [none, 0, none, 0, none],
    [3, 3, 3, 3, 3],
    [0, hole, 1, 0, 0],
    [0, Number.POSITIVE_INFINITY, 0, 0, 0],
    [none, none, none, none, none],
    [-1e30, 1e30, 0, 0, 0],
  ];
  const logits = trial.values(rows.flat(), [rows.length, 5]);
  for (const uniform of [0, 0.5, 1 - 2 ** -53])
    for (const temperature of [0, 1, 0.01]) {
      const tokenIds = new Int32Array(rows.length);
      trial.kernels.sampleRows({
        logits,
        rows: Int32Array.from(rows.keys()),
        temperatures: new Float64Array(rows.length).fill(temperature),
        uniforms: new Float64Array(rows.length).fill(uniform),
        tokenIds,
        logprobs: null,
      });
      trial.numbers(`tokens at ${uniform} and temperature ${temperature}`, tokenIds, 0);
    }
}

/** Top-k, top-p and min-p of one draw. */
type Kept = readonly [topK: number, topP: number, minP: number];

const truncationsOf = (draws: readonly Kept[]): Truncations => ({
  topKs: Int32Array.from(draws, ([topK]) => topK),
  topPs: Float64Array.from(draws, ([, topP]) => topP),
  minPs: Float64Array.from(draws, ([, , minP]) => minP),
});

interface Options {
  readonly temperatures?: readonly number[];
  readonly adjustments?: LogitAdjustments;
  readonly likeliest?: LikeliestTokens;
}

/** Draws from one row in every way of `kept`, at uniform numbers all over the interval, and reports the tokens. */
function draw(trial: Trial, label: string, logits: Tensor, kept: readonly Kept[], options: Options = {}): void {
  const { temperatures = [1], ...others } = options;
  const tokenIds = new Int32Array(kept.length);
  const logprobs = new Float64Array(kept.length);
  trial.kernels.sampleRows({
    logits,
    rows: Int32Array.from(kept, (_, index) => index % logits.shape[0]!),
    temperatures: Float64Array.from(kept, (_, index) => temperatures[index % temperatures.length]!),
    uniforms: Float64Array.from(kept, (_, index) => (index * 0.6180339887) % 1),
    truncations: truncationsOf(kept),
    tokenIds,
    logprobs,
    ...others,
  });
  trial.numbers(`tokens of ${label}`, tokenIds, 0);
  trial.numbers(`logprobs of ${label}`, withoutNan(logprobs), 1e-6);
}

const waysToTruncate: readonly Kept[] = [
  [1, 1, 0],
  [2, 1, 0],
  [40, 1, 0],
  [300, 1, 0],
  [1000000, 1, 0],
  [0, 0.5, 0],
  [0, 0.9, 0],
  [0, 0.999, 0],
  [0, 1e-9, 0],
  [0, 1, 0.05],
  [0, 1, 1e-30],
  [0, 1, 1],
  [300, 0.9, 0],
  [300, 0.9, 0.3],
  [0, 0.9, 0.2],
  [50, 1, 0.01],
  [0, 1, 0],
];

const repeated = (ways: readonly Kept[], times: number): readonly Kept[] =>
  Array.from({ length: times }, () => ways).flat();

/** Peaked and flat rows, so that few and nearly all tokens are candidates. */
function runTruncations(trial: Trial, vocabSize: number, times: number): void {
  for (const scale of [3, 0.1]) {
    const logits = trial.input([2, vocabSize], "f32", scale);
    const label = `${vocabSize} logits of scale ${scale}`;
    draw(trial, label, logits, repeated(waysToTruncate, times), { temperatures: [1, 0.3, 0, 2, 1.5] });
  }
}

/** Logits of few values, so that most rankings are cut within equal ones, also across blocks. */
function runTies(trial: Trial): void {
  for (const numValues of [1, 2, 5]) {
    const values = Array.from({ length: 1400 }, (_, id) => ((id * 7) % numValues) / 4);
    const logits = trial.values(values, [2, 700]);
    draw(trial, `ties among ${numValues} values`, logits, repeated(waysToTruncate, 5));
  }
  const zeros = trial.values([-0, 0, -0, 0, -1, 0, -0], [1, 7]);
  const fewest: readonly Kept[] = [1, 2, 3, 4, 5].map((topK) => [topK, 1, 0]);
  draw(trial, "zeros of either sign", zeros, repeated(fewest, 8));
}

/** Truncation of rows with infinities, NaN, weights of zero, and one token that has all the weight. */
function runTruncatedEdges(trial: Trial): void {
  const [none, hole] = [Number.NEGATIVE_INFINITY, Number.NaN];
  const rows = [
    [none, 0, none, 0, none],
    [0, hole, 1, 0, 0],
    [0, Number.POSITIVE_INFINITY, 0, 0, 0],
    [none, none, none, none, none],
    [-1e30, 1e30, 0, 0, 0],
    [-200, 0, -201, -300, -202],
    [-3.4e38, 3.4e38, -3.4e38, 3.4e38, 0],
  ];
  const logits = trial.values(rows.flat(), [rows.length, 5]);
  for (const way of waysToTruncate)
    for (const temperature of [1, 0.01])
      draw(trial, `edges ${way} at ${temperature}`, logits, Array(rows.length).fill(way), {
        temperatures: [temperature],
      });
}

/** Adjustments of none, some and all tokens of a row, that change its largest logit, tie logits, and meet those of no sign. */
function runAdjustments(trial: Trial, vocabSize: number): void {
  const logits = trial.input([2, vocabSize], "f32", 2);
  const ways = repeated(waysToTruncate, 2);
  const owners = ways.flatMap((_, index) => Array(index % 3 === 0 ? 0 : Math.min(vocabSize, 3 * index)).fill(index));
  const starts = ways.map((_, index) => owners.indexOf(index));
  const adjustments: LogitAdjustments = {
    offsets: Int32Array.from([...ways.keys(), ways.length], (index) => owners.filter((owner) => owner < index).length),
    tokenIds: Int32Array.from(owners, (owner, entry) => (entry - starts[owner]!) % vocabSize),
    divisors: Float64Array.from(owners, (_, entry) => [1, 1.3, 2, 0.7][entry % 4]!),
    addends: Float64Array.from(owners, (_, entry) => [0, -1.5, 3, -100, 100][entry % 5]!),
  };
  draw(trial, `${vocabSize} adjusted logits`, logits, ways, { adjustments, temperatures: [1, 0, 0.5] });
}

/** Rankings of no, some and more than all tokens, for greedy and drawn tokens. */
function runLikeliest(trial: Trial, vocabSize: number): void {
  const width = 20;
  for (const numValues of [2, 1000]) {
    const values = trial.normals(3 * vocabSize, 2).map((value) => Math.round(value * numValues) / numValues);
    values[2 * vocabSize] = Number.NaN;
    const logits = trial.values(values, [3, vocabSize]);
    const ways = repeated([[5, 1, 0]], 12);
    const likeliest: LikeliestTokens = {
      counts: Int32Array.from(ways, (_, index) => [20, 0, 1, 7][index % 4]!),
      tokenIds: new Int32Array(width * ways.length).fill(7),
      logprobs: new Float64Array(width * ways.length),
    };
    draw(trial, `${vocabSize} ranked logits`, logits, ways, { likeliest, temperatures: [1, 0.5, 0] });
    trial.numbers(`likeliest of ${vocabSize}`, likeliest.tokenIds, 0);
    trial.numbers(`their logprobs of ${vocabSize}`, withoutNan(likeliest.logprobs), 1e-6);
  }
}

/** NaN as a number that no log-probability has, for comparisons. */
const withoutNan = (values: Float64Array): Float64Array => values.map((value) => (Number.isNaN(value) ? 1 : value));

export const sampleCases: readonly ContractCase[] = [
  ...vocabSizes.map((vocabSize) => ({
    title: `sampleRows of ${vocabSize} logits`,
    run: (trial: Trial) => runSampleRows(trial, vocabSize),
  })),
  { title: "sampleRows of rows with infinities, NaN and ties", run: runEdges },
  ...[...vocabSizes, 30011].map((vocabSize) => ({
    title: `sampleRows, truncated, of ${vocabSize} logits`,
    run: (trial: Trial) => runTruncations(trial, vocabSize, vocabSize < 1000 ? 7 : 1),
  })),
  { title: "sampleRows, truncated, of 150000 logits", run: (trial) => runTruncations(trial, 150000, 1) },
  { title: "sampleRows, truncated, of equal logits", run: runTies },
  { title: "sampleRows, truncated, of rows with infinities and NaN", run: runTruncatedEdges },
  ...vocabSizes.flatMap((vocabSize) => [
    { title: `sampleRows of ${vocabSize} adjusted logits`, run: (trial: Trial) => runAdjustments(trial, vocabSize) },
    { title: `likeliest tokens of ${vocabSize} logits`, run: (trial: Trial) => runLikeliest(trial, vocabSize) },
  ]),
];
