/**
 * @file Native matrix products (`native/kernels/{gemm,quantised,lora,cross-entropy}.h`): checks the sizes, since native code
 * trusts them, and flattens the arguments of the contract into numbers and typed arrays.
 */
import { SelkieError, ShapeError } from "../../../util/index.ts";
import type { GemmArgs, Kernels, LinearCrossEntropyArgs, LoraArgs, LoraBackwardArgs } from "../../backend.ts";
import { describeShape } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import type { FrozenFactors } from "./frozen.ts";
import type { NativeContext } from "./native.ts";
import { viewsOf } from "./quantised.ts";
import { requireF32 } from "./require-f32.ts";

/** The part of the kernel table that this file gives. */
export type ProductKernels = Pick<Kernels, "gemm" | "lora" | "loraBackward" | "linearCrossEntropy">;

/** Products and the fused output layer. */
export function productKernels(context: NativeContext, frozen: FrozenFactors): ProductKernels {
  return {
    gemm: (args) => gemm(context, frozen, args),
    lora: (args) => lora(context, args),
    loraBackward: (args) => loraBackward(context, args),
    linearCrossEntropy: (args) => linearCrossEntropy(context, frozen, args),
  };
}

/** Sizes of the last two axes; leading axes of a product's factor have been flattened by the op. */
function matrixSize(tensor: Tensor): readonly [rows: number, columns: number] {
  const columns = tensor.shape.at(-1) ?? 1;
  return [columns === 0 ? (tensor.shape.at(-2) ?? 1) : tensor.size / columns, columns];
}

function expectSize(where: string, tensor: Tensor, size: number, meaning: string): void {
  if (tensor.size !== size) throw new ShapeError(where, `${size} elements (${meaning})`, describeShape(tensor.shape));
}

function gemm(context: NativeContext, frozen: FrozenFactors, args: GemmArgs): void {
  const {
    a,
    b,
    c,
    transposeA = false,
    transposeB = false,
    alpha = 1,
    accumulate = false,
    bias = null,
    addend = null,
  } = args;
  const [rowsA, columnsA] = matrixSize(a);
  const [rowsB, columnsB] = matrixSize(b);
  const [m, k] = transposeA ? [columnsA, rowsA] : [rowsA, columnsA];
  const [n, innerB] = transposeB ? [rowsB, columnsB] : [columnsB, rowsB];
  if (k !== innerB) throw new ShapeError("gemm", `factors with one inner size`, `${k} and ${innerB}`);
  expectSize("gemm: c", c, m * n, `${m} × ${n}`);
  if (bias !== null) expectSize("gemm: bias", bias, n, "one per column");
  if (addend !== null) expectSize("gemm: addend", addend, m * n, `${m} × ${n}`);
  const numbers = [
    m,
    n,
    k,
    Number(transposeA),
    Number(transposeB),
    alpha,
    Number(accumulate),
    Number(args.compute === "bf16"),
  ];
  const added = [bias?.data ?? null, addend?.data ?? null] as const;
  if (b.quantised !== null) context.run("quantisedGemm", numbers, a.data, ...viewsOf(b.quantised), c.data, ...added);
  else {
    const packed = frozen.packed(b.data, { n, k, transposeB, compute: args.compute });
    context.run("gemm", numbers, a.data, b.data, c.data, added[0], packed, added[1]);
  }
}

/** Checks the segment list against the rows that it divides. */
function checkSegments(where: string, segments: Int32Array, alpha: Float32Array, numRows: number): number {
  const numGroups = segments.length - 1;
  if (alpha.length !== numGroups) throw new ShapeError(where, `${numGroups} factors`, `${alpha.length}`);
  let last = 0;
  for (const start of segments) {
    if (start < last) throw new ShapeError(where, "ascending segments from 0 on", `${start} after ${last}`);
    last = start;
  }
  if (segments[0] !== 0 || last !== numRows)
    throw new ShapeError(where, `segments from 0 to ${numRows}`, `${segments[0]} to ${last}`);
  return numGroups;
}

/** Sizes that both LoRA kernels take first. */
function loraSizes(where: string, args: Omit<LoraArgs, "y">, outSize: number): number[] {
  const { x, loraA, loraB, scales, segments, lowRank } = args;
  const [numRows, inSize] = matrixSize(x);
  const [numRowsOfLowRank, rank] = matrixSize(lowRank);
  const numGroups = checkSegments(where, segments, scales, numRows);
  if (numRowsOfLowRank !== numRows) throw new ShapeError(`${where}: lowRank`, `${numRows} rows`, `${numRowsOfLowRank}`);
  expectSize(`${where}: loraA`, loraA, numGroups * rank * inSize, `${numGroups} adapters of ${rank} × ${inSize}`);
  expectSize(`${where}: loraB`, loraB, numGroups * outSize * rank, `${numGroups} adapters of ${outSize} × ${rank}`);
  requireF32(`${where}: loraA`, loraA);
  requireF32(`${where}: loraB`, loraB);
  return [numGroups, inSize, outSize, rank, Number(args.compute === "bf16")];
}

function lora(context: NativeContext, args: LoraArgs): void {
  const { x, loraA, loraB, scales, segments, lowRank, y } = args;
  const [numRows, outSize] = matrixSize(y);
  const sizes = loraSizes("lora", args, outSize);
  if (numRows !== x.shape[0]) throw new ShapeError("lora: y", `${x.shape[0]} rows`, `${numRows}`);
  context.run("lora", sizes, loraA.data, loraB.data, scales, segments, x.data, lowRank.data, y.data);
}

function loraBackward(context: NativeContext, args: LoraBackwardArgs): void {
  const { x, loraA, loraB, scales, segments, lowRank, gradY, gradX, gradA, gradB } = args;
  const where = "loraBackward";
  const [numRows, outSize] = matrixSize(gradY);
  const sizes = loraSizes(where, args, outSize);
  if (numRows !== x.shape[0]) throw new ShapeError(`${where}: gradY`, `${x.shape[0]} rows`, `${numRows}`);
  if (gradX !== null) expectSize(`${where}: gradX`, gradX, x.size, "as x");
  for (const [target, factor] of [[gradA, loraA] as const, [gradB, loraB] as const]) {
    if (target === null) continue;
    expectSize(`${where}: gradient`, target.grad, factor.size, "as its factor");
    requireF32(`${where}: gradient`, target.grad);
  }
  context.run(
    where,
    [...sizes, Number(gradA?.accumulate ?? false), Number(gradB?.accumulate ?? false)],
    loraA.data,
    loraB.data,
    scales,
    segments,
    x.data,
    lowRank.data,
    gradY.data,
    gradX?.data ?? null,
    gradA?.grad.data ?? null,
    gradB?.grad.data ?? null,
  );
}

function linearCrossEntropy(context: NativeContext, frozen: FrozenFactors, args: LinearCrossEntropyArgs): void {
  const { hidden, weight, targets, logprobs, gradLogprobs, gradHidden, gradWeight } = args;
  const where = "linearCrossEntropy";
  const [numRows, width] = matrixSize(hidden);
  const [vocabSize, widthOfWeight] = matrixSize(weight);
  if (width !== widthOfWeight) throw new ShapeError(where, `weight of width ${width}`, `${widthOfWeight}`);
  if (targets.length !== numRows) throw new ShapeError(where, `${numRows} targets`, `${targets.length}`);
  for (const target of targets)
    if (target >= vocabSize) throw new ShapeError(where, `targets below ${vocabSize}`, `${target}`);
  expectSize(`${where}: logprobs`, logprobs, numRows, "one per row");
  if (gradLogprobs !== null) expectSize(`${where}: gradLogprobs`, gradLogprobs, numRows, "one per row");
  if (gradHidden !== null) expectSize(`${where}: gradHidden`, gradHidden.grad, numRows * width, "as hidden");
  if (gradWeight !== null) expectSize(`${where}: gradWeight`, gradWeight.grad, vocabSize * width, "as weight");
  const { compute } = args;
  const { quantised } = weight;
  if (gradWeight !== null && quantised !== null)
    throw new SelkieError("quantised", `internal: ${where}: a quantised weight has no gradient`);
  const [codes, ...scales] = quantised === null ? [] : viewsOf(quantised);
  const packed = (n: number, k: number, transposeB: boolean) =>
    quantised === null ? frozen.packed(weight.data, { n, k, transposeB, compute }) : null;
  context.run(
    "linearCrossEntropy",
    [
      numRows,
      width,
      vocabSize,
      Number(gradHidden?.accumulate ?? false),
      Number(gradWeight?.accumulate ?? false),
      Number(compute === "bf16"),
    ],
    hidden.data,
    codes ?? weight.data,
    targets,
    logprobs.data,
    gradLogprobs?.data ?? null,
    gradHidden?.grad.data ?? null,
    gradWeight?.grad.data ?? null,
    packed(vocabSize, width, true),
    gradHidden && packed(width, vocabSize, false),
    ...scales,
  );
}
