/** @file Contract cases of LoRA: ranks and widths around every block edge, groups of any size, all mixtures of dtypes. */
import type { ComputeType, DType } from "../dtype.ts";
import { bf16Tolerance, type ContractCase, f32Tolerance, type Trial } from "./trial.ts";

const dtypes: readonly DType[] = ["f32", "bf16"];
const computes: readonly ComputeType[] = ["f32", "bf16"];
const booleans = [false, true] as const;

interface Grouping {
  readonly name: string;
  readonly segments: readonly number[];
}

const groupings: readonly Grouping[] = [
  { name: "one group", segments: [0, 17] },
  { name: "three groups, the middle one empty", segments: [0, 3, 3, 20] },
  { name: "six groups of 1, 0, 63, 2, 0 and 64 rows", segments: [0, 1, 1, 64, 66, 66, 130] },
  { name: "two groups of more rows than a task takes", segments: [0, 150, 700] },
  { name: "no rows at all", segments: [0, 0, 0] },
];

/** `[K, r, P]`. */
const sizes: readonly (readonly [number, number, number])[] = [
  [1, 1, 1],
  [7, 3, 20],
  [64, 16, 96],
  [70, 17, 33],
  [32, 40, 160],
  [200, 8, 130],
];

interface LoraCase {
  readonly trial: Trial;
  readonly label: string;
  readonly size: readonly [k: number, r: number, p: number];
  readonly segments: Int32Array;
  readonly compute: ComputeType;
  /** Of `x` and `lowRank`, of `y` and its gradient, of the gradient of `x`. */
  readonly dtypes: readonly [DType, DType, DType];
  readonly accumulate: boolean;
}

/** Rounding an intermediate result to bf16 may land on the other side. */
const toleranceFor = (compute: ComputeType, ...stored: readonly DType[]): number =>
  compute === "bf16" || stored.includes("bf16") ? bf16Tolerance : f32Tolerance;

function forward({ trial, label, size: [k, r, p], segments, compute, dtypes: [ofX, ofY] }: LoraCase): void {
  const [numRows, numGroups] = [segments.at(-1)!, segments.length - 1];
  trial.kernels.lora({
    x: trial.input([numRows, k], ofX),
    loraA: trial.input([numGroups, r, k], "f32", k ** -0.5),
    loraB: trial.input([numGroups, p, r]),
    scales: Float32Array.from(trial.normals(numGroups)),
    segments,
    lowRank: trial.output(`${label}: lowRank`, [numRows, r], ofX),
    y: trial.output(`${label}: y`, [numRows, p], ofY, { initial: true, tolerance: toleranceFor(compute, ofX, ofY) }),
    compute,
  });
}

function backward(options: LoraCase & { readonly wanted: number }): void {
  const { trial, label, segments, compute, accumulate, wanted } = options;
  const [k, r, p] = options.size;
  const [ofX, ofY, ofGradX] = options.dtypes;
  const [numRows, numGroups] = [segments.at(-1)!, segments.length - 1];
  const tolerance = toleranceFor(compute, ofGradX);
  trial.kernels.loraBackward({
    x: trial.input([numRows, k], ofX),
    loraA: trial.input([numGroups, r, k]),
    loraB: trial.input([numGroups, p, r], "f32", p ** -0.5),
    scales: Float32Array.from(trial.normals(numGroups)),
    segments,
    lowRank: trial.input([numRows, r], ofX),
    gradY: trial.input([numRows, p], ofY),
    gradX: wanted & 1 ? trial.output(`${label}: gradX`, [numRows, k], ofGradX, { initial: true, tolerance }) : null,
    gradA: wanted & 2 ? trial.target(`${label}: gradA`, [numGroups, r, k], "f32", accumulate, { tolerance }) : null,
    gradB: wanted & 4 ? trial.target(`${label}: gradB`, [numGroups, p, r], "f32", accumulate) : null,
    compute,
  });
}

function runAll(trial: Trial, grouping: Grouping): void {
  let variant = 0;
  for (const size of sizes)
    for (const compute of computes)
      for (const accumulate of booleans)
        for (let mixture = 0; mixture < 8; mixture += 1 + (variant++ % 3)) {
          const chosen = [0, 1, 2].map((bit) => dtypes[(mixture >> bit) & 1]!) as [DType, DType, DType];
          const label = `lora of ${size.join(" to ")} in ${compute}, ${chosen.join(" ")}${accumulate ? ", accumulating" : ""}`;
          const segments = Int32Array.from(grouping.segments);
          const common: LoraCase = { trial, label, size, segments, compute, dtypes: chosen, accumulate };
          if (!accumulate) forward(common);
          backward({ ...common, wanted: variant % 2 === 0 ? 7 : 1 + (variant % 7) });
        }
}

export const loraCases: readonly ContractCase[] = groupings.map((grouping) => ({
  title: `lora and its gradients over ${grouping.name}`,
  run: (trial) => runAll(trial, grouping),
}));
