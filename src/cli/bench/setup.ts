/** @file What the benchmarks share: model shapes, random weights and texts, a clock. The shapes are those of the peer script. */
import {
  bf16Precision,
  bf16TrainPrecision,
  createLlama,
  f32Precision,
  type LlamaLm,
  type Precision,
  plainLlama,
} from "../../models/index.ts";
import {
  type Backend,
  createTensor,
  type QuantisedFormat,
  type QuantisedMatrix,
  quantiseRows,
} from "../../tensor/index.ts";
import { createRng, type Rng, SelkieError } from "../../util/index.ts";
import type { VisibilityChoice } from "./visibility.ts";

/** What `selkie bench` can measure. */
export const benchNames = ["gemm", "train", "lora", "inner", "decode", "attention"] as const;
/** One of {@link benchNames}. */
export type BenchName = (typeof benchNames)[number];

/** Shapes by name: `nano` is the shipped model's, `135m` that of SmolLM2-135M. */
export const benchSizes = {
  nano: { hiddenSize: 192, numLayers: 4, numHeads: 4, numKvHeads: 4, intermediateSize: 512, vocabSize: 2048 },
  "7m": { hiddenSize: 256, numLayers: 6, numHeads: 4, numKvHeads: 4, intermediateSize: 704, vocabSize: 4096 },
  "30m": { hiddenSize: 512, numLayers: 8, numHeads: 8, numKvHeads: 8, intermediateSize: 1408, vocabSize: 4096 },
  "135m": { hiddenSize: 576, numLayers: 30, numHeads: 9, numKvHeads: 3, intermediateSize: 1536, vocabSize: 49152 },
} as const;
/** One of the names of {@link benchSizes}. */
export type BenchSize = keyof typeof benchSizes;

/** Everything that can be chosen; names and defaults are those of the peer script. */
export interface BenchOptions {
  readonly size: BenchSize;
  readonly dtype: "f32" | "bf16";
  /** Quantises the matrices of the frozen model. */
  readonly weights?: QuantisedFormat;
  /** Sequences of one step. */
  readonly batch: number;
  /** Tokens of a training sequence; the shortest of those that `attention` takes. */
  readonly seq: number;
  /** What a query of `attention` sees. */
  readonly visibility: VisibilityChoice;
  /** Adapters that `inner` trains. */
  readonly candidates: number;
  /** Documents of one candidate. */
  readonly docs: number;
  readonly docTokens: number;
  readonly docsPerStep: number;
  readonly epochs: number;
  readonly rank: number;
  /** Measured time, at least. */
  readonly seconds: number;
  readonly threads: number;
}

/** What one benchmark adds to the line of output. */
export type BenchFigures = Readonly<Record<string, number>>;

/** Arguments of every benchmark. */
export interface BenchRun {
  readonly backend: Backend;
  readonly options: BenchOptions;
  readonly signal: AbortSignal;
}

/** A model of the given shape with random weights; only time and memory mean anything. `isTrained` keeps f32 weights. */
export function createBenchModel({ backend, options }: BenchRun, isTrained: boolean): LlamaLm {
  const shape = benchSizes[options.size];
  const config = {
    ...plainLlama,
    ...shape,
    headDim: shape.hiddenSize / shape.numHeads,
    maxSeqLen: 2048,
    rmsNormEps: 1e-6,
  } as const;
  if (isTrained && options.weights !== undefined)
    throw new SelkieError(
      "bad-option",
      `--weights: expected none for training, got ${options.weights}; only decode, lora and inner run on quantised weights`,
    );
  const lm = createLlama(backend, config, {
    ...precisionFor(options.dtype, isTrained),
    ...(options.weights !== undefined && { weights: options.weights }),
  });
  fillWeights(lm);
  return lm;
}

/** Norms of 1, and one block of random numbers over and over elsewhere: drawing 135 million would take a minute. */
function fillWeights({ backend, parameters }: LlamaLm): void {
  const rng = createRng("bench weights");
  const blockSize = 65521; // prime, so that rows of a matrix are not copies of each other
  using block = createTensor(backend, [blockSize], parameters.flat.dtype);
  const values = Float32Array.from({ length: blockSize }, () => 0.02 * rng.normal());
  block.write(values);
  const { data } = parameters.flat;
  for (let start = 0; start < data.length; start += blockSize)
    data.set(block.data.subarray(0, data.length - start), start);
  for (const { name, shape } of parameters.specs) {
    const { quantised } = parameters.get(name);
    if (quantised !== null) fillQuantised(quantised, values);
    else if (shape.length === 1) parameters.get(name).write(new Float32Array(shape[0]!).fill(1));
  }
}

/** The rows that `values` fill, over and over. */
function fillQuantised(matrix: QuantisedMatrix, values: Float32Array): void {
  const { numRows, numColumns } = matrix;
  const most = Math.floor(values.length / numColumns);
  for (let row = 0; row < numRows; row += most)
    quantiseRows(matrix, row, values.subarray(0, Math.min(most, numRows - row) * numColumns));
}

const precisionFor = (dtype: "f32" | "bf16", isTrained: boolean): Precision => {
  if (dtype === "f32") return f32Precision;
  return isTrained ? bf16TrainPrecision : bf16Precision;
};

/** `count` sequences of `length` random ids. */
export function randomSequences(rng: Rng, vocabSize: number, count: number, length: number): Int32Array[] {
  return Array.from({ length: count }, () => Int32Array.from({ length }, () => rng.integer(vocabSize)));
}

/** Seconds of one call after a first call that does not count, over at least `seconds` and two calls. */
export async function timeCalls(call: () => void | Promise<void>, seconds: number): Promise<number> {
  await call();
  const start = performance.now();
  for (let calls = 1; ; calls++) {
    await call();
    const elapsed = (performance.now() - start) / 1000;
    if (elapsed >= seconds && calls >= 2) return elapsed / calls;
  }
}

/** Measures the steps of a loop that reports each of them: the first does not count, `isEnough` ends the loop. */
export class StepClock {
  readonly #seconds: number;
  #start: number | null = null;
  #steps = 0;
  #elapsed = 0;

  constructor(seconds: number) {
    this.#seconds = seconds;
  }

  /** Call at the end of each step. */
  tick(): void {
    const now = performance.now();
    if (this.#start === null) this.#start = now;
    else {
      this.#steps++;
      this.#elapsed = (now - this.#start) / 1000;
    }
  }

  get isEnough(): boolean {
    return this.#steps >= 2 && this.#elapsed >= this.#seconds;
  }

  get secondsPerStep(): number {
    return this.#elapsed / this.#steps;
  }
}
