/** @file Contract cases of the fused output layer: vocabularies of one token up to several chunks, skipped rows, missing targets. */
import type { ComputeType, DType } from "../dtype.ts";
import { bf16Tolerance, type ContractCase, type OutputOptions, type Trial, toleranceOf } from "./trial.ts";

interface Size {
  readonly numRows: number;
  readonly vocabSize: number;
  readonly width: number;
}

const sizes: readonly Size[] = [
  { numRows: 1, vocabSize: 1, width: 3 },
  { numRows: 3, vocabSize: 37, width: 7 },
  { numRows: 17, vocabSize: 5000, width: 24 },
  { numRows: 130, vocabSize: 300, width: 64 },
];

interface Variant {
  readonly hidden: DType;
  readonly weight: DType;
  readonly compute: ComputeType;
  readonly gradHidden: DType | null;
  readonly gradWeight: DType | null;
  readonly accumulate: boolean;
}

const variants: readonly Variant[] = [
  { hidden: "f32", weight: "f32", compute: "f32", gradHidden: "f32", gradWeight: "f32", accumulate: false },
  { hidden: "f32", weight: "f32", compute: "f32", gradHidden: "f32", gradWeight: "f32", accumulate: true },
  { hidden: "f32", weight: "f32", compute: "bf16", gradHidden: "f32", gradWeight: "f32", accumulate: true },
  { hidden: "bf16", weight: "bf16", compute: "bf16", gradHidden: "bf16", gradWeight: "f32", accumulate: false },
  { hidden: "bf16", weight: "bf16", compute: "f32", gradHidden: "f32", gradWeight: "f32", accumulate: false },
  { hidden: "f32", weight: "bf16", compute: "bf16", gradHidden: "f32", gradWeight: null, accumulate: false },
  { hidden: "bf16", weight: "f32", compute: "f32", gradHidden: null, gradWeight: "f32", accumulate: true },
];

/** Every third row skipped. */
const someTargets = ({ numRows, vocabSize }: Size): Int32Array =>
  Int32Array.from({ length: numRows }, (_, row) => (row % 3 === 1 ? -1 : (row * 7919 + vocabSize - 1) % vocabSize));

function run(trial: Trial, size: Size, targets: Int32Array, variant: Variant, spread = 1): void {
  const { numRows, vocabSize, width } = size;
  const { compute, accumulate } = variant;
  const label = `${variant.hidden} x ${variant.weight} in ${compute}`;
  const hidden = trial.input([numRows, width], variant.hidden, spread);
  const weight = trial.input([vocabSize, width], variant.weight, width ** -0.5);
  const logprobs = (): ReturnType<Trial["output"]> => trial.output(`logprobs ${label}`, [numRows]);
  trial.kernels.linearCrossEntropy({
    hidden,
    weight,
    targets,
    logprobs: logprobs(),
    gradLogprobs: null,
    gradHidden: null,
    gradWeight: null,
    compute,
  });
  // the gradient of the logits is a factor of two products, so bf16 rounds it
  const gradOptions = (dtype: DType): OutputOptions => ({
    tolerance: compute === "bf16" ? bf16Tolerance : toleranceOf(dtype),
  });
  const { gradHidden, gradWeight } = variant;
  trial.kernels.linearCrossEntropy({
    hidden,
    weight,
    targets,
    logprobs: logprobs(),
    gradLogprobs: trial.input([numRows]),
    gradHidden:
      gradHidden && trial.target(`gradHidden ${label}`, hidden.shape, gradHidden, accumulate, gradOptions(gradHidden)),
    gradWeight:
      gradWeight && trial.target(`gradWeight ${label}`, weight.shape, gradWeight, accumulate, gradOptions(gradWeight)),
    compute,
  });
}

export const crossEntropyCases: readonly ContractCase[] = [
  ...sizes.map((size) => ({
    title: `linearCrossEntropy of ${size.numRows} rows over ${size.vocabSize} tokens of width ${size.width}`,
    run(trial: Trial) {
      for (const variant of variants) run(trial, size, someTargets(size), variant);
    },
  })),
  {
    // logits of magnitude up to 300 in some rows: far beyond the range of e^x in f32, and not alike along a row
    title: "linearCrossEntropy of logits that overflow when not shifted",
    run(trial) {
      for (const variant of variants.slice(0, 4)) {
        const size = { numRows: 21, vocabSize: 300, width: 5 };
        run(trial, size, someTargets(size), variant, 60);
      }
    },
  },
  {
    title: "linearCrossEntropy of more rows than one block of a large vocabulary holds",
    run(trial) {
      const size = { numRows: 900, vocabSize: 30_000, width: 1 };
      run(trial, size, someTargets(size).map(Math.abs), variants[1]!);
    },
  },
  {
    title: "linearCrossEntropy of skipped rows alone",
    run(trial) {
      for (const variant of variants.slice(0, 2)) run(trial, sizes[1]!, new Int32Array(3).fill(-1), variant);
    },
  },
];
