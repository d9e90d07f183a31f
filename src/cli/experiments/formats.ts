/**
 * @file The table of weight formats: speed and memory on the shape of SmolLM2-135M, accuracy on the shipped model, side by
 * side. Speeds are measured in processes of their own, so that memory is each format's alone.
 */
import { execFile } from "node:child_process";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import {
  compareFidelity,
  type Fidelity,
  heldOutTexts,
  loadPrompts,
  type Predictions,
  predictTexts,
  type StageStore,
  stage,
} from "../../adapt/index.ts";
import { type EngineArithmetic, openEngine } from "../../engine/index.ts";
import { type Column, type KnowledgeReport, measureKnowledge, type ResultTable } from "../../lab/index.ts";
import { bf16Precision, f32Precision, type Precision } from "../../models/index.ts";
import { createWorld } from "../../tasks/index.ts";
import { countOf, createRng } from "../../util/index.ts";

/** The formats compared; the first is the measure of accuracy. */
const formats: Readonly<Record<string, Precision>> = {
  f32: f32Precision,
  bf16: bf16Precision,
  int8: { ...bf16Precision, weights: "int8" },
  nf4: { ...bf16Precision, weights: "nf4" },
};

/** What is timed, as arguments of `selkie bench`. */
const cases = {
  "decode, batch 1": ["decode", "--batch", "1"],
  "decode, batch 16": ["decode", "--batch", "16"],
  "LoRA, 4 × 256 tokens": ["lora", "--batch", "4"],
} as const;
type CaseName = keyof typeof cases;
const caseNames = Object.keys(cases) as CaseName[];

/** One timed case. */
interface Speed {
  readonly tokensPerSecond: number;
  readonly peakMib: number;
  readonly weightsMib: number;
}

/** One format's accuracy. */
interface Accuracy {
  readonly fidelity: Fidelity;
  readonly knowledge: Pick<KnowledgeReport, "questionedAccuracy" | "toldOnlyAccuracy" | "readingAccuracy">;
}

/** One format. */
export interface FormatRow {
  readonly format: string;
  readonly accuracy: Accuracy;
  readonly speeds: Readonly<Record<CaseName, Speed>>;
}

/** Inputs of {@link measureFormats}. */
export interface QuantisationArgs {
  readonly modelDirectory: string;
  readonly arithmetic: EngineArithmetic;
  readonly numTexts: number;
  /** People of each group in the exam. */
  readonly numPeople: number;
  readonly seed: number;
  /** Of each speed, at least. */
  readonly seconds: number;
  readonly size: string;
  readonly store: StageStore;
  readonly signal: AbortSignal;
  readonly onEvent: (done: number, total: number, what: string) => void;
}

/**
 * Measures every format; finished measurements are read from the store. Speeds come first, while this process is small:
 * a child's peak memory begins at that of the process which starts it.
 */
export async function measureFormats(args: QuantisationArgs): Promise<FormatRow[]> {
  const names = Object.keys(formats);
  const total = 1 + names.length * caseNames.length;
  const speeds: Partial<Record<CaseName, Speed>>[] = [];
  for (const format of names) {
    const row: Partial<Record<CaseName, Speed>> = {};
    for (const name of caseNames) {
      args.signal.throwIfAborted();
      args.onEvent(speeds.length * caseNames.length + Object.keys(row).length, total, `${name}, ${format}`);
      row[name] = await stage(args.store, `${format} ${name}`, () => measureSpeed(args, format, name));
    }
    speeds.push(row);
  }
  args.onEvent(total - 1, total, "accuracy");
  const accuracies = await stage(args.store, "accuracy", () => measureAccuracies(args));
  return names.map((format, index) => ({
    format,
    accuracy: accuracies[index]!,
    speeds: speeds[index] as Record<CaseName, Speed>,
  }));
}

async function measureAccuracies(args: QuantisationArgs): Promise<Accuracy[]> {
  const { arithmetic, modelDirectory, numPeople, seed } = args;
  const texts = heldOutTexts(createRng(seed).fork("held-out text"), args.numTexts);
  const templates = await loadPrompts(modelDirectory);
  const measured: { readonly predictions: Predictions; readonly report: KnowledgeReport }[] = [];
  for (const precision of Object.values(formats)) {
    args.signal.throwIfAborted();
    const { numThreads: threads, instructionSet } = arithmetic;
    await using engine = await openEngine(modelDirectory, { threads, instructionSet, precision });
    const predictions = await predictTexts(engine, texts);
    const rng = createRng(seed).fork("knowledge");
    measured.push({
      predictions,
      report: await measureKnowledge({ engine, templates }, createWorld(), rng, numPeople),
    });
  }
  return measured.map(({ predictions, report }) => {
    const { questionedAccuracy, toldOnlyAccuracy, readingAccuracy } = report;
    const fidelity = compareFidelity(measured[0]!.predictions, predictions);
    return { fidelity, knowledge: { questionedAccuracy, toldOnlyAccuracy, readingAccuracy } };
  });
}

/** Runs `selkie bench` in a process of its own. */
async function measureSpeed(args: QuantisationArgs, format: string, name: CaseName): Promise<Speed> {
  const { weights, compute } = formats[format]!;
  const options = ["--size", args.size, "--dtype", compute, "--seconds", `${args.seconds}`, "--json"];
  const { numThreads, instructionSet } = args.arithmetic;
  const where = ["--threads", `${numThreads}`, "--instruction-set", instructionSet];
  const quantised = weights === undefined ? [] : ["--weights", weights];
  const main = fileURLToPath(new URL(`../main${extname(import.meta.url)}`, import.meta.url)); // .ts, or .js when compiled
  const command = [main, "bench", ...cases[name], ...options, ...where, ...quantised];
  const { stdout } = await promisify(execFile)(process.execPath, [...process.execArgv, ...command], {
    signal: args.signal,
  });
  const line = JSON.parse(stdout) as { tokens_per_s: number; peak_mib: number; weights_mib: number };
  return { tokensPerSecond: line.tokens_per_s, peakMib: line.peak_mib, weightsMib: line.weights_mib };
}

const speedTable = (rows: readonly FormatRow[], size: string, machine: string): ResultTable => ({
  title: "Speed and memory",
  caption: `The ${size} shape with random weights (${machine}); f32 multiplies in f32, all others in bf16. int8 and nf4 are what \`--weights\` takes; peak memory is that of the process.`,
  columns: [
    { name: "weights, MiB", unit: "number" },
    ...caseNames.flatMap((name): Column[] => [
      { name: `${name}, tokens/s`, unit: "number" },
      { name: "peak, MiB", unit: "number" },
    ]),
  ],
  rows: rows.map(({ format, speeds }) => ({
    name: format,
    cells: [
      speeds["decode, batch 1"].weightsMib,
      ...caseNames.flatMap((name) => [speeds[name].tokensPerSecond, speeds[name].peakMib]),
    ],
  })),
  drawn: null,
});

const accuracyTable = (rows: readonly FormatRow[]): ResultTable => ({
  title: "Accuracy",
  caption: `On the shipped model: log-probability of ${countOf(rows[0]!.accuracy.fidelity.numTokens, "token")} of text that it was not trained on, against f32, and exams.`,
  columns: [
    { name: "mean difference, nats/token", unit: "number", digits: 5 },
    { name: "mean absolute difference", unit: "number", digits: 5 },
    { name: "same likeliest token", unit: "percent" },
    { name: "known people, asked about", unit: "percent" },
    { name: "known people, only read about", unit: "percent" },
    { name: "reading a passage", unit: "percent" },
  ],
  rows: rows.map(({ format, accuracy: { fidelity, knowledge } }) => ({
    name: format,
    cells: [
      fidelity.meanDifferenceNats,
      fidelity.meanAbsoluteDifferenceNats,
      fidelity.top1Agreement,
      knowledge.questionedAccuracy,
      knowledge.toldOnlyAccuracy,
      knowledge.readingAccuracy,
    ],
  })),
  drawn: null,
});

/** The tables of the formats. */
export const tabulateFormats = (rows: readonly FormatRow[], size: string, machine: string): ResultTable[] => [
  speedTable(rows, size, machine),
  accuracyTable(rows),
];
