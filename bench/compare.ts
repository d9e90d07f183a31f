/**
 * @file Selkie against PyTorch on the same machine: `selkie bench` and the peer script take turns, round after round, in
 * processes of their own; medians, ratio, spread and memory go to a JSON file and a Markdown table.
 *
 *     npm run bench:peers -- --peer <python> --script <torch_peer.py> [--rounds 5] [--only decode] [--out docs/results/peers]
 */
import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { availableParallelism, cpus, totalmem } from "node:os";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { type BenchCase, benchCases } from "./cases.ts";
import { type Comparison, medianOf, summarize, toMarkdown } from "./statistics.ts";

type Line = Readonly<Record<string, number | string>>;

interface Settings {
  readonly python: string;
  readonly script: string;
  readonly rounds: number;
  /** Passed to both programs. */
  readonly common: readonly string[];
}

const selkieMain = fileURLToPath(new URL("../src/cli/main.ts", import.meta.url));
const run = promisify(execFile);

/** Runs a program and parses the last line it prints. */
async function measure(program: string, args: readonly string[]): Promise<Line> {
  const { stdout } = await run(program, args, { maxBuffer: 2 ** 24 });
  return JSON.parse(stdout.trim().split("\n").at(-1)!) as Line;
}

const measureSelkie = (args: readonly string[]) =>
  measure(process.execPath, ["--disable-warning=ExperimentalWarning", selkieMain, "bench", ...args]);

/** All rounds of one case. The program that goes first alternates, so that a drift of the machine favours neither. */
async function compare(
  benchCase: BenchCase,
  settings: Settings,
): Promise<{ comparisons: Comparison[]; lines: Line[] }> {
  const args = [...benchCase.args, ...settings.common];
  const selkieLines: Line[] = [];
  const peerLines: Line[] = [];
  for (let round = 0; round < settings.rounds; round++) {
    const turns = [
      async () => selkieLines.push(await measureSelkie(args)),
      async () => peerLines.push(await measure(settings.python, [settings.script, ...args])),
    ];
    for (const turn of round % 2 === 0 ? turns : turns.toReversed()) await turn();
    console.error(`${benchCase.name}: round ${round + 1} of ${settings.rounds}`);
  }
  const column = (lines: readonly Line[], field: string) => lines.map((line) => Number(line[field]));
  const comparisons = benchCase.figures.map(({ field, unit }): Comparison => {
    const selkie = summarize(column(selkieLines, field));
    const peer = summarize(column(peerLines, field));
    return {
      name:
        benchCase.figures.length === 1
          ? benchCase.name
          : `${benchCase.name} ${field.replace(/_gflops$/, "").replaceAll("_", " ")}`,
      unit,
      selkie,
      peer,
      ratio: medianOf(selkie.values.map((value, round) => value / peer.values[round]!)),
      selkiePeakMib: medianOf(column(selkieLines, "peak_mib")),
      peerPeakMib: medianOf(column(peerLines, "peak_mib")),
    };
  });
  return { comparisons, lines: [...selkieLines, ...peerLines] };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      peer: { type: "string" },
      script: { type: "string" },
      rounds: { type: "string", default: "5" },
      only: { type: "string", default: "" },
      seconds: { type: "string", default: "8" },
      threads: { type: "string", default: String(availableParallelism()) },
      out: { type: "string", default: "docs/results/peers" },
    },
  });
  const { peer: python, script } = values;
  if (python === undefined || script === undefined) {
    console.error(
      "compare: expected --peer <python> and --script <torch_peer.py>; the script says how to set PyTorch up",
    );
    process.exitCode = 2;
    return;
  }
  const chosen = benchCases.filter(({ name }) => name.includes(values.only));
  const common = ["--seconds", values.seconds, "--threads", values.threads];
  const settings = { python, script, rounds: Math.max(1, Number(values.rounds)), common };
  const comparisons: Comparison[] = [];
  const lines: Line[] = [];
  for (const benchCase of chosen) {
    const result = await compare(benchCase, settings);
    comparisons.push(...result.comparisons);
    lines.push(...result.lines);
    await save(values.out, settings, comparisons, lines); // after each case, so that an interrupted run keeps what it has
  }
  console.log(toMarkdown(comparisons));
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
  const { rounds, common } = settings;
  const note = `${engines.join(" against ")} on ${machine.processor}, ${machine.cores} cores; medians of ${rounds} interleaved rounds (${common.join(" ")}); ratio above 1: Selkie is faster; spread: (largest - smallest) / median; memory: peak of the process.`;
  await mkdir(dirname(out), { recursive: true });
  await writeFile(`${out}.json`, `${JSON.stringify({ machine, rounds, common, comparisons, lines }, null, 1)}\n`);
  await writeFile(`${out}.md`, `${note}\n\n${toMarkdown(comparisons)}`);
}

await main();
