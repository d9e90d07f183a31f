/** @file `selkie bench`: speed on this machine; with `--json`, the fields of the PyTorch script it is compared with. */
import { availableParallelism } from "node:os";
import { Argument, type Command, Option } from "commander";
import type { Peaks, Profiler } from "../../tensor/index.ts";
import { SelkieError } from "../../util/index.ts";
import { describeFigures } from "../bench/figures.ts";
import { reportProfile } from "../bench/profile-report.ts";
import type { BenchName, BenchOptions } from "../bench/setup.ts";
import { parseVisibility } from "../bench/visibility.ts";
import { describeExamples, type Example } from "../examples.ts";
import { packageVersion } from "../paths.ts";
import { type CommonOptions, parseCount, parsePositive, runVerb, weightsOption, withCommonOptions } from "../verb.ts";

const examples: readonly Example[] = [
  ["selkie bench gemm", "matrix products, GFLOP/s"],
  ["selkie bench train --size 30m --dtype bf16", "full training, tokens per second"],
  ["selkie bench inner --size nano --candidates 20", "adapters per second, as SEAL's inner loop needs them"],
  ["selkie bench decode --size 135m --batch 16 --dtype bf16", "generated tokens per second"],
  ["selkie bench train --size 30m --profile", "where the time of a training step goes"],
  ["selkie bench attention --seq 2048", "forward and backward of 2048 to 16384 tokens, ms and GFLOP/s"],
  ["selkie bench attention --seq 2048 --visibility sliding:512", "the same where a query sees 512 tokens"],
];

type Options = Omit<BenchOptions, "threads"> &
  CommonOptions & { readonly profile?: boolean; readonly picture?: string; readonly instructionSet?: string };

/** Adds the verb. */
export function registerBench(program: Command): void {
  const command = program
    .command("bench")
    .summary("measure speed on this machine")
    .description("Measures speed on random weights; --json prints one line for programs.")
    .addArgument(
      new Argument("<what>", "what to measure").choices(["gemm", "train", "lora", "inner", "decode", "attention"]),
    )
    .addOption(new Option("--size <name>", "model shape").choices(["nano", "7m", "30m", "135m"]).default("7m"))
    .addOption(new Option("--dtype <name>", "number format").choices(["f32", "bf16"]).default("bf16"))
    .addOption(weightsOption())
    .option("--batch <n>", "sequences of one step", parseCount, 16)
    .option("--seq <n>", "tokens of a training sequence", parseCount, 256)
    .option(
      "--visibility <rule>",
      "what attention sees: causal, full, sliding:512, block:32 or prefix:1024",
      parseVisibility,
      { kind: "causal", size: 0 },
    )
    .option("--candidates <n>", "adapters that inner trains", parseCount, 20)
    .option("--docs <n>", "documents of one candidate", parseCount, 8)
    .option("--doc-tokens <n>", "tokens of a document", parseCount, 16)
    .option("--docs-per-step <n>", "documents of one update", parseCount, 8)
    .option("--epochs <n>", "passes over a candidate's documents", parseCount, 10)
    .option("--rank <n>", "LoRA rank", parseCount, 16)
    .option("--seconds <n>", "measure at least this long", parsePositive, 8)
    .option("--instruction-set <name>", "force one of the processor's instruction sets (default: the best)")
    .option("--profile", "show time, rate and share of this processor's peak by kernel and shape")
    .option("--picture <file>", "with --profile: draw the roofline as SVG");
  withCommonOptions(command)
    .addHelpText("after", () => describeExamples(examples))
    .action((what: BenchName, options: Options) =>
      runVerb(options, async ({ output, signal }) => {
        output.progress(`measuring ${what}; this takes about ${what === "gemm" ? 5 : options.seconds} s`);
        const { line, table } = await measure(what, options, signal, output.note);
        output.result(line, [...(table === "" ? [] : [table]), describeFigures(line)].join("\n\n"));
      }),
    );
}

async function measure(
  what: BenchName,
  options: Options,
  signal: AbortSignal,
  warn: (message: string) => void,
): Promise<{ line: object; table: string }> {
  const { openBackend, profileBackend } = await import("../../tensor/index.ts");
  const { benchmarks } = await import("../bench/runs.ts");
  const { size, dtype, weights, threads = availableParallelism(), instructionSet } = options;
  const plain = openBackend({ threads, warn, ...(instructionSet !== undefined && { instructionSet }) });
  const profiler = options.profile === true ? profileBackend(plain) : null;
  const backend = profiler?.backend ?? plain;
  const start = performance.now();
  const figures = await benchmarks[what]({ backend, options: { ...options, threads }, signal });
  const seconds = (performance.now() - start) / 1000;
  const peakMib = Math.round(process.resourceUsage().maxRSS / 1024); // maxRSS is in KiB; the peaks below need memory too
  const peaks = profiler === null ? null : plain.measurePeaks();
  const report = profiler === null ? null : reportProfile(profiler.entries(), peaks, seconds);
  if (options.picture !== undefined) await savePicture(options.picture, what, options, { profiler, peaks, seconds });
  const line = {
    engine: `selkie ${packageVersion()}`,
    what,
    ...(what === "gemm" ? {} : what === "attention" ? { dtype } : { size, dtype }),
    ...(weights !== undefined && { weights }),
    threads: backend.numThreads,
    instructionSet: backend.instructionSet,
    ...figures,
    peak_mib: peakMib,
    ...(report !== null && { profile: report.json }),
  };
  return { line, table: report?.table ?? "" };
}

async function savePicture(
  file: string,
  what: BenchName,
  { size, dtype }: Options,
  measured: { profiler: Profiler | null; peaks: Peaks | null; seconds: number },
): Promise<void> {
  const { drawRoofline } = await import("../bench/roofline.ts");
  const { writeFileAtomic } = await import("../../registry/index.ts");
  const { profiler, peaks, seconds } = measured;
  if (profiler === null || peaks === null)
    throw new SelkieError(
      "bad-option",
      "--picture: expected a profile of native kernels; add --profile, and build the kernels with: npm run build:native",
    );
  const title = what === "gemm" ? "matrix products" : `${what} ${size} ${dtype}`;
  writeFileAtomic(file, drawRoofline(title, profiler.entries(), peaks, seconds));
}
