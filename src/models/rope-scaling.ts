/**
 * @file Rotary frequencies: `θ^(-2j/E)`, and the ways checkpoints stretch them to longer contexts.
 * Sources: Chen et al. 2023 (linear, arXiv 2306.15595); Peng et al. 2023 (YaRN, arXiv 2309.00071);
 * the Llama 3.1 release for `llama3`. Agrees with transformers 5.18, which computes in f32; "dynamic" is refused,
 * because there the angles of past positions change as the text grows.
 */
import { type Backend, type DType, type RopeTable, tensorOf } from "../tensor/index.ts";

/** How the frequencies are stretched; see the header for sources. */
export type RopeScaling =
  | { readonly kind: "default" }
  | { readonly kind: "linear"; readonly factor: number }
  | {
      readonly kind: "llama3";
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalMaxSeqLen: number;
    }
  | {
      readonly kind: "yarn";
      readonly factor: number;
      readonly originalMaxSeqLen: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      /** Rounds the ramp's ends to whole dimensions. */
      readonly truncate: boolean;
      /** Factor on cosines and sines. */
      readonly attentionFactor: number;
    };

/** Frequencies in radians per position, `[E/2]`, and the factor on cosines and sines. */
export interface RopeFrequencies {
  readonly frequencies: Float64Array;
  readonly attentionFactor: number;
}

/** Frequencies of heads of even width `headDim` under `scaling`. */
export function computeRopeFrequencies(headDim: number, ropeTheta: number, scaling: RopeScaling): RopeFrequencies {
  const plain = Float64Array.from({ length: headDim / 2 }, (_, j) => ropeTheta ** ((-2 * j) / headDim));
  switch (scaling.kind) {
    case "default":
      return { frequencies: plain, attentionFactor: 1 };
    case "linear":
      return { frequencies: plain.map((frequency) => frequency / scaling.factor), attentionFactor: 1 };
    case "llama3":
      return { frequencies: plain.map((frequency) => stretchLlama3(frequency, scaling)), attentionFactor: 1 };
    case "yarn":
      return { frequencies: stretchYarn(plain, headDim, ropeTheta, scaling), attentionFactor: scaling.attentionFactor };
    default:
      return scaling satisfies never;
  }
}

/** Keeps short wavelengths, divides long ones by `factor`, blends between. */
function stretchLlama3(frequency: number, scaling: Extract<RopeScaling, { kind: "llama3" }>): number {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxSeqLen } = scaling;
  const wavelength = (2 * Math.PI) / frequency;
  if (wavelength > originalMaxSeqLen / lowFreqFactor) return frequency / factor;
  if (wavelength < originalMaxSeqLen / highFreqFactor) return frequency;
  const kept = (originalMaxSeqLen / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
  return ((1 - kept) * frequency) / factor + kept * frequency;
}

/** Dimensions that turn more than `betaFast` times within the original context are kept, below `betaSlow` divided, a ramp between. */
function stretchYarn(
  plain: Float64Array,
  headDim: number,
  ropeTheta: number,
  scaling: Extract<RopeScaling, { kind: "yarn" }>,
): Float64Array {
  const dimensionOf = (turns: number): number =>
    (headDim * Math.log(scaling.originalMaxSeqLen / (turns * 2 * Math.PI))) / (2 * Math.log(ropeTheta));
  const [fast, slow] = [dimensionOf(scaling.betaFast), dimensionOf(scaling.betaSlow)];
  const low = Math.max(scaling.truncate ? Math.floor(fast) : fast, 0);
  const last = Math.min(scaling.truncate ? Math.ceil(slow) : slow, headDim - 1);
  const high = last === low ? last + 0.001 : last; // no division by zero
  return plain.map((frequency, j) => {
    const divided = Math.min(Math.max((j - low) / (high - low), 0), 1);
    return (frequency / scaling.factor) * divided + frequency * (1 - divided);
  });
}

/** YaRN's factor on cosines and sines where the file gives none: `0.1 · mscale · ln factor + 1`, or a ratio of two. */
export function yarnAttentionFactor(factor: number, mscale?: number, mscaleAllDim?: number): number {
  const of = (m: number): number => (factor <= 1 ? 1 : 0.1 * m * Math.log(factor) + 1);
  return mscale && mscaleAllDim ? of(mscale) / of(mscaleAllDim) : of(1);
}

/**
 * Cosines and sines of positions `0 .. maxSeqLen - 1`. Frequencies and angles are rounded to f32 as in transformers:
 * checkpoints were trained with that rounding, and at position 10 000 it moves the angle by up to 5e-4.
 */
export function createRopeTable(
  backend: Backend,
  maxSeqLen: number,
  { frequencies, attentionFactor }: RopeFrequencies,
  dtype: Extract<DType, "f32" | "f64">,
): RopeTable & Disposable {
  const half = frequencies.length;
  const rounded = Float32Array.from(frequencies);
  const [cos, sin] = [new Float64Array(maxSeqLen * half), new Float64Array(maxSeqLen * half)];
  for (let position = 0; position < maxSeqLen; position++) {
    for (let j = 0; j < half; j++) {
      const angle = Math.fround(position * rounded[j]!);
      cos[position * half + j] = Math.cos(angle) * attentionFactor;
      sin[position * half + j] = Math.sin(angle) * attentionFactor;
    }
  }
  const shape = [maxSeqLen, half];
  const table = { cos: tensorOf(backend, cos, shape, dtype), sin: tensorOf(backend, sin, shape, dtype) };
  return {
    ...table,
    [Symbol.dispose]: () => {
      table.cos[Symbol.dispose]();
      table.sin[Symbol.dispose]();
    },
  };
}

const leastPositions = 256; // most texts are shorter

/**
 * The table of a model, as long as its use needs and never longer than `maxSeqLen`: config.json may claim millions of
 * positions. It doubles when it must; a tape may still hold the shorter ones, so they stay until the end.
 */
export class GrowingRopeTable implements Disposable {
  readonly #tables: { readonly numPositions: number; readonly table: RopeTable & Disposable }[] = [];
  readonly #create: (numPositions: number) => RopeTable & Disposable;
  readonly #maxSeqLen: number;

  constructor(backend: Backend, maxSeqLen: number, frequencies: RopeFrequencies, dtype: Extract<DType, "f32" | "f64">) {
    this.#create = (numPositions) => createRopeTable(backend, numPositions, frequencies, dtype);
    this.#maxSeqLen = maxSeqLen;
    this.#grow(leastPositions);
  }

  /** A table that has every position of `positionIds`, which are below `maxSeqLen`. */
  covering(positionIds: Int32Array): RopeTable {
    const needed = positionIds.reduce((most, position) => Math.max(most, position + 1), 1);
    const last = this.#tables.at(-1);
    if (last !== undefined && last.numPositions >= needed) return last.table;
    return this.#grow(2 ** Math.ceil(Math.log2(needed)));
  }

  #grow(wish: number): RopeTable {
    const numPositions = Math.min(this.#maxSeqLen, wish);
    const table = this.#create(numPositions);
    this.#tables.push({ numPositions, table });
    return table;
  }

  [Symbol.dispose](): void {
    for (const { table } of this.#tables.splice(0)) table[Symbol.dispose]();
  }
}
