/**
 * @file Two programs on the same machine: they take turns, round after round, in processes of their own; medians, ratio,
 * spread and memory go to a JSON file and a Markdown table. One side is `selkie bench`; the other is PyTorch, or Selkie
 * itself with other options or from another checkout (what a change was worth, what a thread is worth).
 *
 *     npm run bench:peers -- --peer <python> --script <torch_peer.py> [--rounds 5] [--only decode] [--out docs/results/peers]
 *     npm run bench:peers -- --against="--threads 1" --only "train 30m bf16" --out docs/results/threads
 *     npm run bench:peers -- --against-checkout <folder> --only "inner"
 *
 * `--instruction-set avx2` holds both sides to that set.
 */
import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { availableParallelism, cpus, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { type BenchCase, benchCases } from "./cases.ts";
import { type Comparison, medianOf, summarize, toMarkdown } from "./statistics.ts";

type Line = Readonly<Record<string, number | string>>;

/** One of the two programs. */
interface Side {
  readonly name: string;
  readonly measure: (benchCase: BenchCase, common: readonly string[]) => Promise<Line>;
}

interface Settings {
  readonly sides: readonly [selkie: Side, peer: Side];
  readonly rounds: number;
  /** Passed to both programs. */
  readonly common: readonly string[];
}

const root = fileURLToPath(new URL("..", import.meta.url));
const run = promisify(execFile);

/** Runs a program and parses the last line it prints. */
async function measure(program: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Line> {
  const { stdout } = await run(program, args, { maxBuffer: 2 ** 24, env: { ...process.env, ...environment } });
  return JSON.parse(stdout.trim().split("\n").at(-1)!) as Line;
}

const selkieSide = (name: string, checkout: string, more: readonly string[]): Side => ({
  name,
  measure: ({ args }, common) =>
    measure(process.execPath, [
      "--disable-warning=ExperimentalWarning",
      join(checkout, "src/cli/main.ts"),
      "bench",
      ...args,
      ...common,
      "--json",
      ...more, // last, so that it overrides
    ]),
});

/** What holds PyTorch and its libraries to an instruction set. */
const torchEnvironments: Readonly<Record<string, NodeJS.ProcessEnv>> = {
  avx2: { ONEDNN_MAX_CPU_ISA: "AVX2", ATEN_CPU_CAPABILITY: "avx2", MKL_ENABLE_INSTRUCTIONS: "AVX2" },
  avx512: { ONEDNN_MAX_CPU_ISA: "AVX512_CORE", ATEN_CPU_CAPABILITY: "avx512", MKL_ENABLE_INSTRUCTIONS: "AVX512" },
  avx512bf16: { ONEDNN_MAX_CPU_ISA: "AVX512_CORE_BF16", ATEN_CPU_CAPABILITY: "avx512" },
};

const torchSide = (python: string, script: string, instructionSet: string | undefined): Side => ({
  name: "PyTorch",
  measure: ({ args, peerScript }, common) => {
    const file = peerScript === undefined ? script : join(root, "bench/peers", peerScript);
    return measure(python, [file, ...args, ...common], torchEnvironments[instructionSet ?? ""]);
  },
});

/** All rounds of one case. The program that goes first alternates, so that a drift of the machine favours neither. */
async function compare(
  benchCase: BenchCase,
  settings: Settings,
): Promise<{ comparisons: Comparison[]; lines: Line[] }> {
  const [selkieSide, peerSide] = settings.sides;
  const selkieLines: Line[] = [];
  const peerLines: Line[] = [];
  for (let round = 0; round < settings.rounds; round++) {
    const turns = [
      async () => selkieLines.push(await selkieSide.measure(benchCase, settings.common)),
      async () => peerLines.push(await peerSide.measure(benchCase, settings.common)),
    ];
    for (const turn of round % 2 === 0 ? turns : turns.toReversed()) await turn();
    console.error(`${benchCase.name}: round ${round + 1} of ${settings.rounds}`);
  }
  const column = (lines: readonly Line[], field: string) => lines.map((line) => Number(line[field]));
  const comparisons = benchCase.figures.map(({ field, unit, isLessBetter = false }): Comparison => {
    const selkie = summarize(column(selkieLines, field));
    const peer = summarize(column(peerLines, field));
    return {
      name:
        benchCase.figures.length === 1
          ? benchCase.name
          : `${benchCase.name} ${field.replace(/_gflops$|^ms_/, "").replaceAll("_", " ")}`,
      unit,
      selkie,
      peer,
      ratio: medianOf(
        selkie.values.map((value, round) => (isLessBetter ? peer.values[round]! / value : value / peer.values[round]!)),
      ),
      selkiePeakMib: medianOf(column(selkieLines, "peak_mib")),
      peerPeakMib: medianOf(column(peerLines, "peak_mib")),
    };
  });
  return { comparisons, lines: [...selkieLines, ...peerLines] };
}

/** The two sides that the command line asks for; `null` when it does not name the other one. */
function chooseSides(values: {
  readonly peer?: string | undefined;
  readonly script?: string | undefined;
  readonly against?: string | undefined;
  readonly "against-checkout"?: string | undefined;
  readonly "instruction-set"?: string | undefined;
}): Settings["sides"] | null {
  const instructionSet = values["instruction-set"];
  const forced = instructionSet === undefined ? [] : ["--instruction-set", instructionSet];
  const selkie = selkieSide("Selkie", root, forced);
  const checkout = values["against-checkout"];
  if (values.against !== undefined || checkout !== undefined) {
    const options = values.against?.split(" ").filter((word) => word !== "") ?? [];
    const name = checkout === undefined ? `Selkie ${values.against}` : "before";
    return [selkie, selkieSide(name, checkout ?? root, [...forced, ...options])];
  }
  const { peer: python, script } = values;
  return python === undefined || script === undefined ? null : [selkie, torchSide(python, script, instructionSet)];
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      peer: { type: "string" },
      script: { type: "string" },
      against: { type: "string" },
      "against-checkout": { type: "string" },
      "instruction-set": { type: "string" },
      rounds: { type: "string", default: "5" },
      only: { type: "string", default: "" },
      seconds: { type: "string", default: "8" },
      threads: { type: "string", default: String(availableParallelism()) },
      out: { type: "string", default: "docs/results/peers" },
    },
  });
  const sides = chooseSides(values);
  if (sides === null) {
    console.error(
      "compare: expected --peer <python> and --script <torch_peer.py> (the script says how to set PyTorch up), or --against=<options>, or --against-checkout <folder>",
    );
    process.exitCode = 2;
    return;
  }
  const wanted = values.only.split(",");
  const chosen = benchCases.filter(({ name }) => wanted.some((part) => name.includes(part.trim())));
  const common = ["--seconds", values.seconds, "--threads", values.threads];
  const settings = { sides, rounds: Math.max(1, Number(values.rounds)), common };
  const comparisons: Comparison[] = [];
  const lines: Line[] = [];
  for (const benchCase of chosen) {
    const result = await compare(benchCase, settings);
    comparisons.push(...result.comparisons);
    lines.push(...result.lines);
    await save(values.out, settings, comparisons, lines); // after each case, so that an interrupted run keeps what it has
  }
  console.log(toMarkdown(comparisons, sides[1].name));
}

/** Writes `<out>.json` with every measurement, and `<out>.md` with the table. */
async function save(
  out: string,
  settings: Settings,
  comparisons: readonly Comparison[],
  lines: readonly Line[],
): Promise<void> {
  const engines = [
    ...new Set(
      lines.map((line) => [line["engine"] ?? line["peer"], line["instructionSet"]].filter(Boolean).join(", ")),
    ),
  ];
  const machine = {
    processor: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    memoryGib: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    engines,
  };
  const { rounds, common, sides } = settings;
  const versus = sides[1].name === "PyTorch" ? engines.join(" against ") : `${engines[0]} against ${sides[1].name}`;
  const note = `${versus} on ${machine.processor}, ${machine.cores} cores; medians of ${rounds} interleaved rounds (${common.join(" ")}); ratio above 1: Selkie is faster; spread: (largest - smallest) / median; memory: peak of the process.`;
  await mkdir(dirname(out), { recursive: true });
  await writeFile(`${out}.json`, `${JSON.stringify({ machine, rounds, common, comparisons, lines }, null, 1)}\n`);
  await writeFile(`${out}.md`, `${note}\n\n${toMarkdown(comparisons, sides[1].name)}`);
}

await main();
