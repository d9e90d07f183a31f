/**
 * @file No native kernel may be slower than the plain TypeScript that defines it, at any shape that the models use. Runs
 * small benchmarks on both backends under the profiler and compares the time per call, kernel by kernel and shape by
 * shape; exits with 1 when one is slower.
 *
 *     npm run bench:reference -- [--out docs/results/reference]
 */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { benchmarks } from "../src/cli/bench/runs.ts";
import type { BenchName, BenchOptions } from "../src/cli/bench/setup.ts";
import { createCpuBackend, createReferenceBackend, type KernelProfile, profileBackend } from "../src/tensor/index.ts";

const smallest: BenchOptions = {
  size: "nano",
  dtype: "bf16",
  batch: 1,
  seq: 16,
  visibility: { kind: "causal", size: 0 },
  candidates: 1,
  docs: 1,
  docTokens: 8,
  docsPerStep: 1,
  epochs: 3,
  rank: 16,
  seconds: 0.1,
  threads: 2,
};

/** The smallest work of each kind, where calling a native kernel costs most in proportion. */
const workloads: readonly { readonly what: BenchName; readonly options: Partial<BenchOptions> }[] = [
  { what: "decode", options: {} },
  { what: "decode", options: { dtype: "f32" } },
  { what: "decode", options: { batch: 4 } },
  { what: "train", options: { seq: 8 } },
  { what: "train", options: { dtype: "f32" } },
  { what: "lora", options: { seq: 8 } },
  { what: "inner", options: {} },
  { what: "inner", options: { candidates: 4, docs: 2, dtype: "f32" } },
];

interface Row {
  readonly kernel: string;
  readonly shape: string;
  readonly calls: number;
  readonly nativeMicroseconds: number;
  readonly referenceMicroseconds: number;
  /** Above 1: native is faster. */
  readonly ratio: number;
}

async function profileOn(kind: "cpu" | "reference"): Promise<KernelProfile[]> {
  const profiler = profileBackend(kind === "cpu" ? createCpuBackend({ threads: 2 }) : createReferenceBackend());
  const { signal } = new AbortController();
  for (const { what, options } of workloads)
    await benchmarks[what]({ backend: profiler.backend, options: { ...smallest, ...options }, signal });
  return profiler.entries();
}

const microseconds = ({ seconds, calls }: KernelProfile): number => (1e6 * seconds) / calls;

function join(native: readonly KernelProfile[], reference: readonly KernelProfile[]): Row[] {
  const keyOf = ({ kernel, shape, compute }: KernelProfile) => `${kernel} ${shape} ${compute}`;
  const known = new Map(reference.map((entry) => [keyOf(entry), entry]));
  return native
    .flatMap((entry): Row[] => {
      const other = known.get(keyOf(entry));
      if (other === undefined) return [];
      const [nativeMicroseconds, referenceMicroseconds] = [microseconds(entry), microseconds(other)];
      const { kernel, shape, calls } = entry;
      const ratio = referenceMicroseconds / nativeMicroseconds;
      return [{ kernel, shape, calls, nativeMicroseconds, referenceMicroseconds, ratio }];
    })
    .toSorted((a, b) => a.ratio - b.ratio);
}

const { values } = parseArgs({ options: { out: { type: "string", default: "docs/results/reference" } } });
for (const kind of ["cpu", "reference"] as const) await profileOn(kind); // warms the compiler of JavaScript and the threads
const rows = join(await profileOn("cpu"), await profileOn("reference"));
const table = [
  "| kernel | shape | native µs | reference µs | ratio |",
  "| --- | --- | ---: | ---: | ---: |",
  ...rows
    .slice(0, 15)
    .map(
      ({ kernel, shape, nativeMicroseconds, referenceMicroseconds, ratio }) =>
        `| ${kernel} | ${shape} | ${nativeMicroseconds.toFixed(1)} | ${referenceMicroseconds.toFixed(1)} | ${ratio.toFixed(1)} |`,
    ),
].join("\n");
await mkdir(dirname(values.out), { recursive: true });
await writeFile(`${values.out}.json`, `${JSON.stringify({ command: "npm run bench:reference", rows }, null, 1)}\n`);
await writeFile(
  `${values.out}.md`,
  `The ${Math.min(15, rows.length)} least ratios of ${rows.length} pairs of kernel and shape.\n\n${table}\n`,
);
console.log(table);
if (rows.some(({ ratio }) => ratio < 1)) process.exitCode = 1;
