/**
 * @file Levers of the inner loop one by one: the same edits, random numbers and questions, one thing changed. Measured on edits
 * of a model, and on edits that tell all facts, so that what a lever does is not what it makes of bad edits.
 */
import type { AdaptEvent, LearnInnerLoop, SelfEdit } from "../adapt/index.ts";
import { digestOf } from "../registry/index.ts";
import { mean } from "../util/index.ts";
import { type ArmScore, measureArm, scoreUntrained } from "./arms.ts";
import {
  type Documents,
  documentsOf,
  type EditContext,
  type Edits,
  hasOracle,
  writeEdits,
  writeOracleEdits,
} from "./edits.ts";
import { levers as allLevers, type Lever, referenceLever, referenceLoop } from "./levers.ts";
import { differenceOver, meanOfMeasured, meanOver, type ResultTable, type SeedTable } from "./table.ts";

/** Inputs of {@link runInnerLoop}. */
export interface InnerLoopArgs {
  readonly context: EditContext;
  /** Edits by who wrote them; see {@link leverWriters}. */
  readonly writers: Readonly<Record<string, Edits>>;
  /** Trainings of every passage, each on edits of its own. */
  readonly numSeeds: number;
  /** First so many passages for levers that are slow. */
  readonly numSlowPassages: number;
  /** @defaultValue all */
  readonly levers?: readonly Lever[];
  readonly onEvent?: (event: AdaptEvent) => void;
}

/** One lever on the edits of one writer. */
export interface LeverRow {
  readonly writer: string;
  readonly lever: string;
  /** Share of right answers to the report questions, by seed and passage. */
  readonly accuracy: SeedTable;
  /** Nats per token of the gold answers. */
  readonly goldLogprob: SeedTable;
  readonly kept: number | null;
  /** Of one passage's training, on average. */
  readonly numDocuments: number;
  readonly numSteps: number;
  readonly numTokens: number;
}

/** The rows, and what a model that has learned nothing answers. */
export interface InnerLoopFigures {
  /** What the first row of each writer was trained with. */
  readonly reference: Pick<LearnInnerLoop, "lora" | "learningRate" | "epochs" | "documentsPerStep">;
  readonly baseAccuracy: readonly number[];
  readonly rows: readonly LeverRow[];
}

/** The all-facts edits leave a gap above them in this kind; in others nearly every answer is right. */
const oracleKind: SelfEdit["kind"] = "implications";

/** Edits by the model itself and, for people of the Almanac, edits that tell all facts; enough for `numSeeds` of every lever. */
export async function leverWriters(context: EditContext, numSeeds: number): Promise<Readonly<Record<string, Edits>>> {
  const count = Math.max(numSeeds, ...allLevers.map(({ numEdits }) => numEdits));
  return {
    "the untrained policy": await writeEdits(context, context, "untrained", count),
    ...(hasOracle(context) && {
      [`the all-facts oracle (${oracleKind})`]: writeOracleEdits(context, oracleKind, count),
    }),
  };
}

/** Measures every lever; finished parts are read from the store. */
export async function runInnerLoop(args: InnerLoopArgs): Promise<InnerLoopFigures> {
  const { context, writers, levers = allLevers } = args;
  const rows: LeverRow[] = [];
  const total = Object.keys(writers).length * (levers.length + 1);
  for (const [writer, edits] of Object.entries(writers))
    for (const lever of [referenceLever, ...levers]) {
      args.onEvent?.({ stage: "levers", done: rows.length, total, note: `${lever.name}, edits of ${writer}` });
      rows.push(await measureLever(args, writer, edits, lever));
    }
  const base = await scoreUntrained(context);
  const { lora, learningRate, epochs, documentsPerStep } = referenceLoop;
  const reference = { lora, learningRate, epochs, documentsPerStep };
  return { reference, baseAccuracy: base.map(({ accuracy }) => accuracy), rows };
}

async function measureLever(args: InnerLoopArgs, writer: string, edits: Edits, lever: Lever): Promise<LeverRow> {
  const { numSeeds, numSlowPassages } = args;
  const { onEvent: _, ...context } = args.context; // levers are told one by one, not their seeds
  const tasks = lever.isSlow ? context.tasks.slice(0, numSlowPassages) : context.tasks;
  const bySeed: ArmScore[][] = [];
  for (let seed = 0; seed < numSeeds; seed++) {
    const own = { ...context, tasks, seed: `${context.seed}-${seed}` };
    const documents = leverDocuments(own, edits, lever, seed);
    const { innerLoop } = lever;
    const content = digestOf(JSON.stringify([innerLoop, documents])).slice(0, 12); // other settings are another stage
    bySeed.push(await measureArm(own, { name: `${writer}/${lever.name}/${content}`, innerLoop, documents }));
  }
  const all = bySeed.flat();
  return {
    ...{ writer, lever: lever.name },
    accuracy: bySeed.map((scores) => scores.map(({ accuracy }) => accuracy)),
    goldLogprob: bySeed.map((scores) => scores.map(({ goldLogprob }) => goldLogprob)),
    kept: meanOfMeasured(all.map(({ kept }) => kept)),
    numDocuments: mean(all.map(({ numDocuments }) => numDocuments)),
    numSteps: mean(all.map(({ numSteps }) => numSteps)),
    numTokens: mean(all.map(({ numTokens }) => numTokens)),
  };
}

/** Documents of one seed: its own edit and, in a union, those that come after it, the first again after the last. */
export function leverDocuments(
  context: EditContext,
  edits: Edits,
  { numEdits, splitting }: Lever,
  seed: number,
): Documents {
  const chosen = context.tasks.map((_, passage) => {
    const list = edits[passage]!;
    return Array.from({ length: numEdits }, (_, offset) => list[(seed + offset) % list.length]!);
  });
  return documentsOf(context, chosen, splitting);
}

/** One table per writer. */
export function tabulateInnerLoop({ rows, ...about }: InnerLoopFigures): ResultTable[] {
  return [...new Set(rows.map(({ writer }) => writer))].map((writer) =>
    tabulate(
      rows.filter((row) => row.writer === writer),
      about,
    ),
  );
}

/** The same passages as in `part`, of a table with as many or more. */
const firstOf = (table: SeedTable, part: SeedTable): SeedTable => table.map((row) => row.slice(0, part[0]!.length));

function tabulate(
  rows: readonly LeverRow[],
  { baseAccuracy, reference: loop }: Omit<InnerLoopFigures, "rows">,
): ResultTable {
  const reference = rows.find(({ lever }) => lever === referenceLever.name)!;
  const { accuracy, writer } = reference;
  const shorter = rows.filter((row) => row.accuracy[0]!.length < accuracy[0]!.length);
  const { lora, learningRate, epochs, documentsPerStep } = loop;
  return {
    title: `Levers of the inner loop, edits of ${writer}`,
    caption: `One thing changed at a time: ${accuracy[0]!.length} passages, ${accuracy.length} seeds with one edit each, the same edits and random numbers in all rows; closed book, where the model that has learned nothing answers ${(100 * mean(baseAccuracy)).toFixed(1)} % right. 95 % bootstrap intervals over seeds and passages, differences paired. Old answers are the canaries that the base answers right.`,
    columns: [
      { name: "new answers right", unit: "percent" },
      { name: "over the reference", unit: "points" },
      { name: "gold answers over the reference, nats per token", unit: "number", digits: 2 },
      { name: "old answers kept", unit: "percent" },
      { name: "documents", unit: "number", digits: 1 },
      { name: "updates", unit: "number" },
      { name: "tokens", unit: "number" },
    ],
    rows: rows.map((row) => {
      const isReference = row === reference;
      const over = (figure: "accuracy" | "goldLogprob") =>
        isReference ? null : differenceOver(row[figure], firstOf(reference[figure], row[figure]), row.lever);
      return {
        name: row.lever,
        cells: [
          meanOver(row.accuracy, row.lever),
          over("accuracy"),
          over("goldLogprob"),
          row.kept,
          row.numDocuments,
          row.numSteps,
          row.numTokens,
        ],
      };
    }),
    drawn: "new answers right",
    notes: [
      `The reference is LoRA of rank ${lora.loraRank} on ${lora.targets === "all" ? "all linear layers" : lora.targets.join(", ")}, learning rate ${learningRate}, ${epochs} epochs, ${documentsPerStep} document an update. Ranks keep alpha over rank.`,
      ...shorter.map(
        (row) =>
          `${row.lever}: the first ${row.accuracy[0]!.length} passages, compared with the reference on the same.`,
      ),
    ],
  };
}
