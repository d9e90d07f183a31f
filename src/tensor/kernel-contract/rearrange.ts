/** @file Contract cases of strided copies and dropout. */
import type { DType } from "../dtype.ts";
import { numElements, type Shape } from "../shape.ts";
import { broadcastStrides, contiguousStrides } from "../strides.ts";
import type { ContractCase, Trial } from "./trial.ts";

const dtypes: readonly DType[] = ["f32", "bf16"];

/** A copy of `sizes` from a tensor of shape `x` to one of shape `y`. */
interface Plan {
  readonly title: string;
  readonly x: Shape;
  readonly y: Shape;
  readonly sizes: Shape;
  readonly xOffset?: number;
  readonly xStrides: readonly number[];
  readonly yOffset?: number;
  readonly yStrides: readonly number[];
}

/** Axis `i` of the result is axis `order[i]` of a tensor of shape `x`. */
function permutation(x: Shape, order: readonly number[]): Plan {
  const y = order.map((axis) => x[axis]!);
  const strides = contiguousStrides(x);
  const xStrides = order.map((axis) => strides[axis]!);
  return { title: `[${x}] to axes ${order}`, x, y, sizes: y, xStrides, yStrides: contiguousStrides(y) };
}

/** The same the other way: the output is walked over in a foreign order. */
function inverse({ title, x, y, sizes, xStrides, yStrides }: Plan): Plan {
  return { title: `${title}, back`, x: y, y: x, sizes, xStrides: yStrides, yStrides: xStrides };
}

function repetition(x: Shape, y: Shape): Plan {
  const xStrides = broadcastStrides(x, y);
  return { title: `[${x}] broadcast to [${y}]`, x, y, sizes: y, xStrides, yStrides: contiguousStrides(y) };
}

/** The part of `sizes` that starts at index `start`, taken out of `x` or put into it. */
function part(x: Shape, sizes: Shape, start: readonly number[], way: "out" | "in"): Plan {
  const [own, outer] = [contiguousStrides(sizes), contiguousStrides(x)];
  const offset = start.reduce((total, index, axis) => total + index * outer[axis]!, 0);
  const title = `[${sizes}] ${way === "out" ? "out of" : "into"} [${x}] at ${start}`;
  return way === "out"
    ? { title, x, y: sizes, sizes, xOffset: offset, xStrides: outer, yStrides: own }
    : { title, x: sizes, y: x, sizes, xStrides: own, yOffset: offset, yStrides: outer };
}

const permutations = [
  permutation([1, 1], [1, 0]),
  permutation([5, 7], [1, 0]),
  permutation([130, 70], [1, 0]),
  permutation([33, 1003], [1, 0]),
  permutation([3, 5, 40], [1, 0, 2]),
  permutation([3, 33, 40], [0, 2, 1]),
  permutation([7, 34, 35], [2, 1, 0]),
  permutation([6, 7, 8], [1, 2, 0]),
  permutation([2, 9, 4, 33], [0, 2, 1, 3]),
  permutation([3, 9, 4, 10], [3, 1, 2, 0]),
  permutation([3, 9, 4, 10], [1, 3, 0, 2]),
  permutation([0, 4], [1, 0]),
];

const plans: readonly Plan[] = [
  ...permutations,
  ...permutations.map(inverse),
  repetition([1], [1003]),
  repetition([70], [130, 70]),
  repetition([130, 1], [130, 70]),
  repetition([3, 1, 5], [3, 300, 5]),
  repetition([1, 5, 1, 3], [2, 5, 4, 3]),
  part([40_000], [30_001], [9999], "out"),
  part([130, 70], [130, 13], [0, 57], "out"),
  part([130, 70], [13, 70], [100, 0], "out"),
  part([5, 6, 7, 8], [2, 3, 4, 5], [1, 2, 3, 3], "out"),
  part([130, 70], [130, 13], [0, 57], "in"),
  part([5, 6, 7, 8], [2, 3, 4, 5], [1, 2, 3, 3], "in"),
  part([4, 5], [4, 0], [0, 5], "in"),
];

const copyCases: readonly ContractCase[] = plans.map(({ title, x, y, ...plan }) => ({
  title: `stridedCopy of ${title}`,
  run(trial) {
    const isPart = numElements(plan.sizes) < numElements(y);
    for (const from of dtypes)
      for (const to of dtypes)
        for (const [scale, accumulate] of [
          [1, false],
          [1, true],
          [-0.5, false],
          [2, true],
        ] as const) {
          // a part leaves the rest of the output as it is
          const output = trial.output(`${from} to ${to} ${scale} ${accumulate}`, y, to, {
            initial: accumulate || isPart,
          });
          trial.kernels.stridedCopy({ ...plan, x: trial.input(x, from), y: output, scale, accumulate });
        }
  },
}));

const dropoutCase: ContractCase = {
  title: "dropout by the words of a stream, from any block on",
  run(trial: Trial) {
    for (const size of [0, 1, 63, 64, 515, 5003])
      for (const p of [0, 0.1, 0.5, 0.999])
        for (const dtype of dtypes)
          for (const accumulate of [false, true]) {
            const firstBlock = accumulate ? 2 ** 32 - 3 : size;
            const blocks = { key: [0xdeadbeef, 12], stream: [3, 0xffffffff], firstBlock } as const;
            const label = `dropout ${p} of ${size} ${dtype} ${accumulate}`;
            const y = trial.output(label, [size], accumulate ? "f32" : dtype, { initial: accumulate });
            trial.kernels.dropout({ x: trial.input([size], dtype), y, p, blocks, accumulate });
          }
    const special = [Infinity, -Infinity, Number.NaN, 3e38, 0, 1, 2, 3];
    const values = Array.from({ length: 80 }, (_, i) => special[i % special.length]!);
    const blocks = { key: [1, 2], stream: [3, 4], firstBlock: 0 } as const;
    const y = trial.output("dropped infinities and NaN are 0", [80], "f32", { initial: true, ulps: 1 });
    trial.kernels.dropout({ x: trial.values(values, [80]), y, p: 0.5, blocks });
  },
};

export const rearrangeCases: readonly ContractCase[] = [...copyCases, dropoutCase];
