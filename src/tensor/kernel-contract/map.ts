/** @file Contract cases of elementwise functions: accuracy in units of the last place, special values, every kind of broadcast. */
import type { DType } from "../dtype.ts";
import type { BinaryOp, CurvedBinaryOp, UnaryOp } from "../primitive-kernels.ts";
import { numElements, type Shape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import type { ContractCase, Trial } from "./trial.ts";

const dtypes: readonly DType[] = ["f32", "bf16"];
const booleans = [false, true] as const;

/** What a function of f32 may be off by, against f64 rounded to f32; bf16 is rounded once more, perhaps to the other side. */
const ulps = (dtype: DType): number => (dtype === "bf16" ? 1 : 4);

/** Where each function is tried beside normal numbers: what it is defined on, and how large. */
const unaryOps: { readonly [Op in UnaryOp]: "anywhere" | "above 0" } = {
  neg: "anywhere",
  exp: "anywhere",
  log: "above 0",
  sigmoid: "anywhere",
  tanh: "anywhere",
  softplus: "anywhere",
  square: "anywhere",
  sqrt: "above 0",
  rsqrt: "above 0",
  reciprocal: "anywhere",
  abs: "anywhere",
  relu: "anywhere",
  silu: "anywhere",
};
const unaryNames = Object.keys(unaryOps) as UnaryOp[];

/** Slopes that vanish somewhere, where two factors cancel: no digits are promised there. */
const cancels: ReadonlySet<UnaryOp> = new Set(["silu"]);

/** Zeros, infinities, NaN, the ends of the range of f32, and where exponentials overflow or vanish. */
const specialValues: readonly number[] = [
  0,
  -0,
  1,
  -1,
  Infinity,
  -Infinity,
  Number.NaN,
  3e38,
  -3e38,
  2 ** -126,
  -(2 ** -126),
  2 ** -140,
  88.5,
  89,
  -87,
  -89,
  -103,
  -104,
  200,
  -200,
  1e30,
  -1e30,
  1e-30,
  2 ** -24,
  16,
  17,
  -17,
];

function runUnary(trial: Trial, size: number): void {
  for (const dtype of dtypes)
    for (const op of unaryNames) {
      const numbers = trial.normals(size, 3);
      const x = trial.values(unaryOps[op] === "above 0" ? numbers.map(Math.abs) : numbers, [size], dtype);
      trial.kernels.map({ op, x, y: trial.output(`${op} ${dtype}`, [size], dtype, { ulps: ulps(dtype) }) });
      const gradY = trial.input([size], dtype);
      for (const [grad, accumulate] of [
        [dtype, false],
        ["f32", true],
        ["bf16", true],
      ] as const) {
        const isExact = !accumulate && !cancels.has(op);
        const label = `${op} ${dtype} gradX ${grad}`;
        const gradX = trial.target(label, [size], grad, accumulate, isExact ? { ulps: 2 * ulps(grad) } : {});
        trial.kernels.mapBackward({ op, x, gradY, gradX });
      }
    }
}

/** Many magnitudes, both signs: 2^-40 to 2^40 and the digits between. */
const sweep: readonly number[] = Array.from({ length: 4001 }, (_, i) => {
  const exponent = -40 + (80 * Math.floor(i / 2)) / 2000;
  return (i % 2 === 0 ? 1 : -1) * 2 ** exponent;
});

const unaryCases: readonly ContractCase[] = [
  ...[0, 1, 19, 1003, 5000].map((size) => ({
    title: `functions of ${size} elements and their gradients`,
    run: (trial: Trial) => runUnary(trial, size),
  })),
  {
    title: "functions of special values, of every magnitude and near 1, to the last places",
    run(trial) {
      const values = [...specialValues, ...sweep, ...trial.normals(500, 1e-3).map((value) => 1 + value)];
      for (const dtype of dtypes)
        for (const op of unaryNames) {
          const x = trial.values(values, [values.length], dtype);
          const y = trial.output(`${op} ${dtype}`, [values.length], dtype, { ulps: ulps(dtype), initial: true });
          trial.kernels.map({ op, x, y });
        }
    },
  },
];

/** Shapes of `a`, `b` and what they broadcast to. */
const broadcasts: readonly (readonly [Shape, Shape, Shape])[] = [
  [[0, 5], [5], [0, 5]],
  [[1], [1], [1]],
  [
    [7, 19],
    [7, 19],
    [7, 19],
  ],
  [[40, 70], [70], [40, 70]],
  [
    [130, 70],
    [1, 70],
    [130, 70],
  ],
  [
    [130, 70],
    [130, 1],
    [130, 70],
  ],
  [[5, 1003], [1003], [5, 1003]],
  [
    [5, 1003],
    [5, 1],
    [5, 1003],
  ],
  [[5003], [1], [5003]],
  [[5003], [], [5003]],
  [[3], [300, 3], [300, 3]],
  [
    [9, 1],
    [1, 300],
    [9, 300],
  ],
  [
    [3, 5, 33],
    [3, 1, 33],
    [3, 5, 33],
  ],
  [
    [3, 5, 33],
    [5, 1],
    [3, 5, 33],
  ],
  [
    [2, 3, 4, 300],
    [3, 1, 300],
    [2, 3, 4, 300],
  ],
  [
    [2, 3, 4, 5],
    [2, 1, 4, 1],
    [2, 3, 4, 5],
  ],
  [
    [1, 3, 1, 5],
    [2, 1, 4, 1],
    [2, 3, 4, 5],
  ],
];

const binaryNames: readonly BinaryOp[] = [
  "add",
  "sub",
  "mul",
  "div",
  "maximum",
  "minimum",
  "less",
  "lessEqual",
  "equal",
];
const curvedNames: readonly CurvedBinaryOp[] = ["mul", "div", "maximum", "minimum"];

/** Numbers away from 0, so that quotients stay in the size of their neighbours, in steps that make equals common. */
function stepped(trial: Trial, shape: Shape, dtype: DType): Tensor {
  const values = trial
    .normals(numElements(shape))
    .map((value) => Math.sign(value) * (0.5 + Math.round(4 * Math.abs(value)) / 4));
  return trial.values(values, shape, dtype);
}

function runBinary(trial: Trial, [a, b, y]: readonly [Shape, Shape, Shape]): void {
  for (const first of dtypes)
    for (const second of dtypes) {
      const [left, right] = [stepped(trial, a, first), stepped(trial, b, second)];
      for (const op of binaryNames) {
        const label = `${op} ${first} ${second}`;
        trial.kernels.zip({ op, a: left, b: right, y: trial.output(label, y, first, { ulps: 1 }) });
      }
      const gradY = trial.input(y, first);
      for (const op of curvedNames)
        for (const accumulate of booleans) {
          const label = `${op} ${first} ${second}`;
          trial.kernels.zipBackward({
            op,
            a: left,
            b: right,
            gradY,
            gradA: trial.target(`${label} gradA`, y, first, accumulate),
            gradB: accumulate ? null : trial.target(`${label} gradB`, y, "f32", accumulate),
          });
        }
    }
}

/** Every pair of special values. */
const pairs = specialValues.flatMap((a) => specialValues.map((b) => [a, b] as const));

const binaryCases: readonly ContractCase[] = [
  ...broadcasts.map((shapes) => ({
    title: `functions of [${shapes[0]}] and [${shapes[1]}] and their gradients`,
    run: (trial: Trial) => runBinary(trial, shapes),
  })),
  {
    title: "functions of two special values: NaN comes through, and is neither less nor equal",
    run(trial) {
      const a = trial.values(
        pairs.map(([left]) => left),
        [pairs.length],
      );
      const b = trial.values(
        pairs.map(([, right]) => right),
        [pairs.length],
      );
      for (const op of binaryNames) {
        const y = trial.output(op, [pairs.length], "f32", { ulps: 1, initial: true });
        trial.kernels.zip({ op, a, b, y });
      }
      for (const op of ["mul", "maximum", "minimum"] as const) {
        const target = (name: string) => trial.target(`${op} ${name}`, [pairs.length], "f32", false, { ulps: 1 });
        const gradY = trial.input([pairs.length]);
        trial.kernels.zipBackward({ op, a, b, gradY, gradA: target("gradA"), gradB: target("gradB") });
      }
    },
  },
  {
    title: "functions of two tensors write over either of them",
    run(trial) {
      for (const dtype of dtypes) {
        const left = trial.output(`${dtype} onto a`, [3, 333], dtype, { initial: true });
        trial.kernels.zip({ op: "mul", a: left, b: trial.input([333], dtype), y: left });
        const right = trial.output(`${dtype} onto b`, [3, 333], dtype, { initial: true });
        trial.kernels.zip({ op: "sub", a: trial.input([3, 1]), b: right, y: right });
      }
    },
  },
];

/** Shapes of the condition, `a`, `b` and what they broadcast to. */
const selections: readonly (readonly [Shape, Shape, Shape, Shape])[] = [
  [[0], [0], [1], [0]],
  [[1003], [1003], [1003], [1003]],
  [[130, 70], [130, 70], [1], [130, 70]],
  [[130, 1], [70], [130, 70], [130, 70]],
  [[300], [9, 1], [1, 300], [9, 300]],
  [
    [3, 1, 5],
    [1, 4, 5],
    [3, 4, 1],
    [3, 4, 5],
  ],
];

const selectCases: readonly ContractCase[] = selections.map(([condition, a, b, y]) => ({
  title: `select by [${condition}] between [${a}] and [${b}]`,
  run(trial) {
    for (const dtype of dtypes)
      for (const accumulate of booleans) {
        const chooses = trial.normals(numElements(condition)).map((value, i) => [0, -0, Number.NaN, value][i % 4]!);
        trial.kernels.select({
          condition: trial.values(chooses, condition, accumulate ? "f32" : dtype),
          a: trial.input(a, dtype),
          b: trial.input(b, accumulate ? "bf16" : dtype),
          y: trial.output(`select ${dtype} ${accumulate}`, y, dtype, { initial: accumulate }),
          accumulate,
        });
      }
  },
}));

export const mapCases: readonly ContractCase[] = [...unaryCases, ...binaryCases, ...selectCases];
