/** @file Contract cases of sums, casts, moved rows and the optimizer step. */
import type { AdamWSegment } from "../backend.ts";
import type { DType } from "../dtype.ts";
import { type ContractCase, f32Tolerance } from "./trial.ts";

const dtypes: readonly DType[] = ["f32", "bf16"];

const elementwiseCases: readonly ContractCase[] = [
  {
    title: "add with every mixture of dtypes, and in place",
    run(trial) {
      for (const size of [1, 19, 1003])
        for (const a of dtypes)
          for (const b of dtypes)
            for (const y of dtypes) {
              const output = trial.output(`add ${a} + ${b} to ${y}`, [size], y);
              trial.kernels.add({ a: trial.input([size], a), b: trial.input([size], b), y: output });
            }
      for (const dtype of dtypes) {
        const left = trial.output(`add ${dtype} onto a`, [77], dtype, { initial: true });
        trial.kernels.add({ a: left, b: trial.input([77], dtype), y: left });
        const right = trial.output(`add ${dtype} onto b`, [77], dtype, { initial: true });
        trial.kernels.add({ a: trial.input([77], "f32"), b: right, y: right });
      }
    },
  },
  {
    title: "axpby scales, casts, and does not read what beta = 0 overwrites",
    run(trial) {
      for (const size of [1, 19, 1003])
        for (const x of dtypes)
          for (const y of dtypes)
            for (const [alpha, beta] of [
              [1, 0],
              [0, 0],
              [-0.3, 1],
              [2, 0.25],
            ] as const) {
              const output = trial.output(`axpby ${x} to ${y} ${alpha} ${beta}`, [size], y, { initial: beta !== 0 });
              trial.kernels.axpby({ x: trial.input([size], x), alpha, y: output, beta });
            }
    },
  },
  {
    title: "sum and sumSquares in f64, empty runs included",
    run(trial) {
      for (const dtype of dtypes) {
        // the mean of 3 dwarfs f32 rounding of a naive f32 sum
        const x = trial.values(
          trial.normals(100_003).map((value) => value + 3),
          [100_003],
          dtype,
        );
        trial.numbers(`sum ${dtype}`, [trial.kernels.sum({ x })], 1e-9);
        const offsets = Int32Array.of(0, 1, 1, 18, 50_000, 100_003);
        trial.numbers(`sumSquares ${dtype}`, trial.kernels.sumSquares({ x, offsets }), 1e-9);
      }
    },
  },
];

const rowCases: readonly ContractCase[] = [1, 7, 24, 130].map((width) => ({
  title: `gatherRows, scatterAddRows and setRows of width ${width}`,
  run(trial) {
    const repeated = Int32Array.of(4, 0, 4, 4, 11, 0, 7, 4);
    const distinct = Int32Array.of(11, 3, 0, 7);
    for (const x of dtypes)
      for (const y of dtypes) {
        const gathered = trial.output(`gatherRows ${x} to ${y}`, [repeated.length, width], y);
        trial.kernels.gatherRows({ x: trial.input([12, width], x), rows: repeated, y: gathered });
        const set = trial.output(`setRows ${x} to ${y}`, [12, width], y, { initial: true });
        trial.kernels.setRows({ x: trial.input([distinct.length, width], x), rows: distinct, y: set });
      }
    for (const x of dtypes) {
      const sums = trial.output(`scatterAddRows ${x}`, [12, width], "f32", { initial: true });
      trial.kernels.scatterAddRows({ x: trial.input([repeated.length, width], x), rows: repeated, y: sums });
    }
    const none = trial.output("gatherRows of nothing", [0, width]);
    trial.kernels.gatherRows({ x: trial.input([12, width]), rows: new Int32Array(0), y: none });
  },
}));

/** `count` runs of 1 to 9 elements with a gap after each, and settings of their own. */
function manyRuns(count: number): { segments: AdamWSegment[]; size: number } {
  const segments: AdamWSegment[] = [];
  let offset = 2;
  for (let i = 0; i < count; i++) {
    const length = 1 + (i % 9);
    segments.push({
      offset,
      length,
      learningRate: 10 ** -(1 + (i % 4)),
      weightDecay: i % 2 === 0 ? 0.01 : 0,
      gradScale: i % 3 === 0 ? 0.5 : 1,
      step: 1 + (i % 50) ** 2,
    });
    offset += length + (i % 3);
  }
  return { segments, size: offset + 5 };
}

const adamWCases: readonly ContractCase[] = [
  {
    title: "adamW over one long run",
    runs: { segments: [{ ...manyRuns(1).segments[0]!, offset: 1, length: 5003 }], size: 5010 },
  },
  { title: "adamW over 300 short runs with gaps that stay as they are", runs: manyRuns(300) },
  { title: "adamW over no runs", runs: { segments: [], size: 8 } },
].map(({ title, runs: { segments, size } }) => ({
  title,
  run(trial) {
    const initial = { initial: true, tolerance: f32Tolerance } as const;
    const params = trial.output("params", [size], "f32", initial);
    const moment1 = trial.output("moment1", [size], "f32", { ...initial, scale: 0.1 });
    const moment2 = trial.output("moment2", [size], "f32", initial);
    moment2.write(moment2.readSync().map((value) => value * value));
    const grads = trial.input([size]);
    trial.kernels.adamW({ params, grads, moment1, moment2, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, segments });
  },
}));

const uniformCase: ContractCase = {
  title: "uniform numbers of a stream, from any block on",
  run(trial) {
    for (const size of [1, 31, 32, 5000])
      for (const firstBlock of [0, 7, 2 ** 32 - 3]) {
        const blocks = { key: [0xdeadbeef, 12], stream: [3, 0xffffffff], firstBlock } as const;
        trial.kernels.uniform({ y: trial.output(`uniform ${size} from ${firstBlock}`, [size]), bound: 0.3, blocks });
      }
  },
};

export const memoryCases: readonly ContractCase[] = [...elementwiseCases, ...rowCases, ...adamWCases, uniformCase];
