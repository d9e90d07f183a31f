/** @file What is compared: arguments that both programs understand, and the figures to compare. */

/** One comparison. */
export interface BenchCase {
  readonly name: string;
  readonly args: readonly string[];
  /** File in `bench/peers` that PyTorch runs; by default the script of the command line. */
  readonly peerScript?: string;
  /** Fields of the output lines, with their unit; more is better unless it says otherwise. */
  readonly figures: readonly BenchFigure[];
}

/** One field of an output line. */
export interface BenchFigure {
  readonly field: string;
  readonly unit: string;
  readonly isLessBetter?: boolean;
}

const tokensPerSecond = [{ field: "tokens_per_s", unit: "tokens/s" }];

const modelCase = (what: "train" | "lora", size: string, dtype: string, ...more: string[]): BenchCase => ({
  name: `${what} ${size} ${dtype}`,
  args: [what, "--size", size, "--dtype", dtype, ...more],
  figures: tokensPerSecond,
});

const decodeCase = (size: string, dtype: string, batch: number): BenchCase => ({
  name: `decode ${size} ${dtype} batch ${batch}`,
  args: ["decode", "--size", size, "--dtype", dtype, "--batch", String(batch)],
  figures: tokensPerSecond,
});

const innerCase = (dtype: string, docsPerStep: number): BenchCase => ({
  name: `inner nano ${dtype} docs-per-step ${docsPerStep}`,
  args: ["inner", "--size", "nano", "--dtype", dtype, "--docs-per-step", String(docsPerStep)],
  figures: [{ field: "adapters_per_s", unit: "adapters/s" }],
});

const attentionCase = (dtype: string, ...more: string[]): BenchCase => ({
  name: ["attention", dtype, ...more.slice(1)].join(" "),
  args: ["attention", "--dtype", dtype, "--seq", "2048", ...more],
  peerScript: "attention.py",
  figures: [2048, 4096, 8192, 16384].map((length) => ({ field: `ms_${length}`, unit: "ms/step", isLessBetter: true })),
});

/** All comparisons; a 135M model trains on fewer tokens at once, so that a step fits a small machine. */
export const benchCases: readonly BenchCase[] = [
  {
    name: "gemm",
    args: ["gemm"],
    figures: ["f32", "bf16"].flatMap((dtype) =>
      [256, 512, 1024, 2048].map((size) => ({ field: `${dtype}_${size}_gflops`, unit: "GFLOP/s" })),
    ),
  },
  modelCase("train", "7m", "f32"),
  modelCase("train", "7m", "bf16"),
  modelCase("train", "30m", "f32"),
  modelCase("train", "30m", "bf16"),
  modelCase("train", "135m", "bf16", "--batch", "4"),
  modelCase("lora", "7m", "bf16"),
  modelCase("lora", "30m", "f32"),
  modelCase("lora", "30m", "bf16"),
  modelCase("lora", "135m", "bf16", "--batch", "4"),
  innerCase("bf16", 8),
  innerCase("bf16", 1),
  innerCase("f32", 1),
  attentionCase("bf16"),
  attentionCase("f32"),
  attentionCase("bf16", "--visibility", "sliding:512"),
  attentionCase("f32", "--visibility", "sliding:512"),
  decodeCase("nano", "f32", 16),
  decodeCase("135m", "bf16", 1),
  decodeCase("135m", "bf16", 16),
  decodeCase("135m", "f32", 1),
  decodeCase("135m", "f32", 16),
];
