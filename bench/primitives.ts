/**
 * @file How near each primitive comes to the memory bandwidth: time per call, bytes that must move over that time, and the
 * share of the measured peak. Sizes beyond the caches are bound by memory; smaller ones can lie above the peak.
 *
 *     npm run bench:primitives -- [--threads 2] [--seconds 0.2] [--only softmax] [--instruction-set avx2] [--json]
 */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import {
  type Backend,
  createCpuBackend,
  createTensor,
  type DType,
  type Shape,
  type Tensor,
} from "../src/tensor/index.ts";

/** One kernel at one size. */
interface Measurement {
  readonly kernel: string;
  readonly dtype: DType;
  readonly shape: string;
  readonly microseconds: number;
  readonly gigabytesPerSecond: number;
  /** Of the peak of reading memory; above 1 where the operands lie in a cache. */
  readonly shareOfPeak: number;
}

interface Prepared {
  readonly tensors: readonly Tensor[];
  /** Of all operands, each once. */
  readonly numBytes: number;
  run(): void;
}

const dtypes: readonly DType[] = ["f32", "bf16"];
/** Rows and columns: in the first cache, in the second, far beyond. */
const sizes: readonly (readonly [rows: number, columns: number])[] = [
  [16, 256],
  [256, 1024],
  [16384, 1024],
];
const blocks = { key: [1, 2], stream: [3, 4], firstBlock: 0 } as const;

/** Makes operands; small numbers everywhere, so that nothing is denormal or infinite. */
class Operands {
  readonly backend: Backend;
  readonly tensors: Tensor[] = [];

  constructor(backend: Backend) {
    this.backend = backend;
  }

  make(shape: Shape, dtype: DType): Tensor {
    const tensor = createTensor(this.backend, shape, dtype);
    tensor.write(Float32Array.from({ length: tensor.size }, (_, i) => 0.5 + (i % 101) / 64));
    this.tensors.push(tensor);
    return tensor;
  }

  prepared(run: () => void): Prepared {
    return { tensors: this.tensors, numBytes: this.tensors.reduce((total, each) => total + each.numBytes, 0), run };
  }
}

type Case = (operands: Operands, rows: number, columns: number, dtype: DType) => () => void;

const unary = (op: Parameters<Backend["kernels"]["map"]>[0]["op"]): Case => {
  return (operands, rows, columns, dtype) => {
    const [x, y] = [operands.make([rows, columns], dtype), operands.make([rows, columns], dtype)];
    return () => operands.backend.kernels.map({ op, x, y });
  };
};

const binary = (
  op: Parameters<Backend["kernels"]["zip"]>[0]["op"],
  other: "same" | "row" | "column" | "scalar",
): Case => {
  return (operands, rows, columns, dtype) => {
    const shapes = { same: [rows, columns], row: [columns], column: [rows, 1], scalar: [1] };
    const [a, b] = [operands.make([rows, columns], dtype), operands.make(shapes[other], dtype)];
    const y = operands.make([rows, columns], dtype);
    return () => operands.backend.kernels.zip({ op, a, b, y });
  };
};

const reduction = (op: Parameters<Backend["kernels"]["reduce"]>[0]["op"], over: "rows" | "columns"): Case => {
  return (operands, rows, columns, dtype) => {
    const x = operands.make([rows, columns], dtype);
    const y = operands.make([over === "rows" ? columns : rows], "f32");
    const axis =
      over === "rows" ? { outer: 1, length: rows, inner: columns } : { outer: rows, length: columns, inner: 1 };
    return () => operands.backend.kernels.reduce({ op, x, y, axis });
  };
};

const copy = (kind: "slice" | "transpose" | "heads" | "broadcast"): Case => {
  return (operands, rows, columns, dtype) => {
    const half = columns / 2;
    const plans = {
      slice: { x: [rows, columns], y: [rows, half], xStrides: [columns, 1], yStrides: [half, 1], sizes: [rows, half] },
      transpose: {
        x: [rows, columns],
        y: [columns, rows],
        xStrides: [1, columns],
        yStrides: [rows, 1],
        sizes: [columns, rows],
      },
      heads: {
        x: [rows, columns],
        y: [columns / 64, rows, 64],
        xStrides: [64, columns, 1],
        yStrides: [rows * 64, 64, 1],
        sizes: [columns / 64, rows, 64],
      },
      broadcast: { x: [columns], y: [rows, columns], xStrides: [0, 1], yStrides: [columns, 1], sizes: [rows, columns] },
    };
    const { x, y, ...plan } = plans[kind];
    const [source, target] = [operands.make(x, dtype), operands.make(y, dtype)];
    return () => operands.backend.kernels.stridedCopy({ x: source, y: target, ...plan });
  };
};

/** Softmax and dropout with their gradients, selection, argmax. */
const others: { readonly [name: string]: Case } = {
  "map backward, sigmoid": (operands, rows, columns, dtype) => {
    const [x, gradY, grad] = [0, 1, 2].map(() => operands.make([rows, columns], dtype)) as [Tensor, Tensor, Tensor];
    return () => operands.backend.kernels.mapBackward({ op: "sigmoid", x, gradY, gradX: { grad, accumulate: false } });
  },
  "zip backward, mul": (operands, rows, columns, dtype) => {
    const tensors = [0, 1, 2, 3, 4].map(() => operands.make([rows, columns], dtype));
    const [a, b, gradY, gradA, gradB] = tensors as [Tensor, Tensor, Tensor, Tensor, Tensor];
    const [intoA, intoB] = [gradA, gradB].map((grad) => ({ grad, accumulate: false }));
    return () => operands.backend.kernels.zipBackward({ op: "mul", a, b, gradY, gradA: intoA!, gradB: intoB! });
  },
  select: (operands, rows, columns, dtype) => {
    const [condition, a, b, y] = [0, 1, 2, 3].map(() => operands.make([rows, columns], dtype)) as [
      Tensor,
      Tensor,
      Tensor,
      Tensor,
    ];
    return () => operands.backend.kernels.select({ condition, a, b, y });
  },
  "argmax of rows": (operands, rows, columns, dtype) => {
    const x = operands.make([rows, columns], dtype);
    const [indices, axis] = [new Int32Array(rows), { outer: rows, length: columns, inner: 1 }];
    return () => operands.backend.kernels.argmax({ x, indices, axis });
  },
  softmax: (operands, rows, columns, dtype) => {
    const [x, y] = [operands.make([rows, columns], dtype), operands.make([rows, columns], dtype)];
    const axis = { outer: rows, length: columns, inner: 1 };
    return () => operands.backend.kernels.softmax({ x, y, axis, log: false });
  },
  "softmax backward": (operands, rows, columns, dtype) => {
    const [y, gradY, grad] = [0, 1, 2].map(() => operands.make([rows, columns], dtype)) as [Tensor, Tensor, Tensor];
    const axis = { outer: rows, length: columns, inner: 1 };
    return () =>
      operands.backend.kernels.softmaxBackward({ y, gradY, gradX: { grad, accumulate: false }, axis, log: false });
  },
  dropout: (operands, rows, columns, dtype) => {
    const [x, y] = [operands.make([rows, columns], dtype), operands.make([rows, columns], dtype)];
    return () => operands.backend.kernels.dropout({ x, y, p: 0.1, blocks });
  },
};

const cases: { readonly [name: string]: Case } = {
  "map, neg": unary("neg"),
  "map, exp": unary("exp"),
  "map, log": unary("log"),
  "map, sigmoid": unary("sigmoid"),
  "map, tanh": unary("tanh"),
  "map, softplus": unary("softplus"),
  "map, rsqrt": unary("rsqrt"),
  "zip, mul": binary("mul", "same"),
  "zip, mul by a row": binary("mul", "row"),
  "zip, mul by a column": binary("mul", "column"),
  "zip, mul by a scalar": binary("mul", "scalar"),
  "zip, div": binary("div", "same"),
  "zip, maximum": binary("maximum", "same"),
  "sum of rows": reduction("sum", "columns"),
  "sum of columns": reduction("sum", "rows"),
  "max of rows": reduction("max", "columns"),
  "max of columns": reduction("max", "rows"),
  "logSumExp of rows": reduction("logSumExp", "columns"),
  "copy, slice": copy("slice"),
  "copy, transpose": copy("transpose"),
  "copy, heads to the front": copy("heads"),
  "copy, broadcast": copy("broadcast"),
  ...others,
};

/** Median seconds of a call: batches of at least a millisecond, for `seconds` in all and at least five batches. */
function medianSeconds(run: () => void, seconds: number): number {
  run();
  const start = performance.now();
  run();
  const once = (performance.now() - start) / 1000;
  const batch = Math.max(1, Math.ceil(0.001 / Math.max(once, 1e-7)));
  const times: number[] = [];
  const end = performance.now() + 1000 * seconds;
  while (times.length < 5 || performance.now() < end) {
    const begin = performance.now();
    for (let i = 0; i < batch; i++) run();
    times.push((performance.now() - begin) / 1000 / batch);
  }
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)]!;
}

const { values } = parseArgs({
  options: {
    threads: { type: "string", default: "2" },
    seconds: { type: "string", default: "0.2" },
    only: { type: "string", default: "" },
    "instruction-set": { type: "string" },
    json: { type: "boolean", default: false },
  },
});
const chosen = values["instruction-set"];
const backend = createCpuBackend({
  threads: Number(values.threads),
  ...(chosen === undefined ? {} : { instructionSet: chosen }),
});
const peakBytesPerSecond = backend.measurePeaks()!.bytesPerSecond;
const measurements: Measurement[] = [];
for (const [kernel, prepare] of Object.entries(cases)) {
  if (!kernel.includes(values.only)) continue;
  for (const dtype of dtypes)
    for (const [rows, columns] of sizes) {
      const operands = new Operands(backend);
      const { tensors, numBytes, run } = operands.prepared(prepare(operands, rows, columns, dtype));
      const seconds = medianSeconds(run, Number(values.seconds));
      const bytesPerSecond = numBytes / seconds;
      measurements.push({
        kernel,
        dtype,
        shape: `${rows}×${columns}`,
        microseconds: 1e6 * seconds,
        gigabytesPerSecond: bytesPerSecond / 1e9,
        shareOfPeak: bytesPerSecond / peakBytesPerSecond,
      });
      for (const tensor of tensors) tensor[Symbol.dispose]();
    }
}
const { instructionSet, numThreads } = backend;
const machine = cpus()[0]?.model ?? "unknown";
if (values.json) {
  console.log(JSON.stringify({ machine, instructionSet, numThreads, peakBytesPerSecond, measurements }));
} else {
  console.log(
    `${machine}, ${instructionSet}, ${numThreads} threads; peak ${(peakBytesPerSecond / 1e9).toFixed(1)} GB/s\n`,
  );
  console.log("| kernel | dtype | shape | µs | GB/s | of peak |\n| --- | --- | --- | ---: | ---: | ---: |");
  for (const { kernel, dtype, shape, microseconds, gigabytesPerSecond, shareOfPeak } of measurements)
    console.log(
      `| ${kernel} | ${dtype} | ${shape} | ${microseconds.toFixed(1)} | ${gigabytesPerSecond.toFixed(1)} | ${(100 * shareOfPeak).toFixed(0)} % |`,
    );
}
