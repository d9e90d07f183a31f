/** @file Contract cases of the sampling kernel. */
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

export const sampleCases: readonly ContractCase[] = [
  ...vocabSizes.map((vocabSize) => ({
    title: `sampleRows of ${vocabSize} logits`,
    run: (trial: Trial) => runSampleRows(trial, vocabSize),
  })),
  { title: "sampleRows of rows with infinities, NaN and ties", run: runEdges },
];
