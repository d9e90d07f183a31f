/**
 * @file Many passages learned at once (SEAL, Zweiger et al. 2025, arXiv 2506.10943, continued pretraining): one adapter or one
 * finetuned model for `n` passages, by who wrote the documents, with and without replay of the model's own samples.
 * Deviations: SEAL trains on five completions per passage, here it is one, as for a single passage; SEAL examines one random
 * half of the questions, here all are asked; groups of passages are drawn anew for every seed, so that intervals over seeds hold
 * the luck of the company too.
 */
import { type AdaptEvent, defaultLearnSettings, type LearnInnerLoop } from "../adapt/index.ts";
import { createRng, mean, SelkieError } from "../util/index.ts";
import { scoreUntrained } from "./arms.ts";
import {
  type Documents,
  documentsOf,
  type EditContext,
  type Edits,
  hasOracle,
  rawDocuments,
  type Splitting,
  writeOracleEdits,
} from "./edits.ts";
import { differenceOver, meanOfMeasured, meanOver, type ResultTable, type SeedTable } from "./table.ts";
import { measureTogether } from "./together.ts";

const { innerLoop } = defaultLearnSettings;

/**
 * One adapter for many passages. On two groups of 20 validation people 2e-3 learned more than 1e-3, with or without replay, and
 * with replay kept as much; 4e-3 with half the epochs was unsteady.
 */
export const togetherLora: LearnInnerLoop = { ...innerLoop, learningRate: 2e-3, documentsPerStep: 3 };

/** One finetuned model for many passages; 6e-4 learned a little more on the same people and forgot far more, 1e-4 learned half. */
export const togetherFull: LearnInnerLoop = { ...innerLoop, method: "full", learningRate: 3e-4, documentsPerStep: 3 };

/** Share of replay in the rows that replay. */
export const togetherReplayShare = 0.5;

/** What is trained, and how. */
const ways: Readonly<Record<string, LearnInnerLoop>> = {
  LoRA: togetherLora,
  "LoRA, replay": { ...togetherLora, replayShare: togetherReplayShare },
  "full finetuning": togetherFull,
  "full finetuning, replay": { ...togetherFull, replayShare: togetherReplayShare },
};

/** Inputs of {@link runManyPassages}. */
export interface ManyPassagesArgs {
  readonly base: EditContext;
  /** The policy whose edits are compared; its tasks are replaced by the base's. */
  readonly policy: EditContext;
  /** Edits of the base's tasks, at least one for each seed. */
  readonly edits: { readonly untrained: Edits; readonly trained: Edits };
  /** Passages learned together, one table each. */
  readonly counts: readonly number[];
  /** Trainings of everything, each on edits and groups of its own. */
  readonly numSeeds: number;
  readonly ways?: Readonly<Record<string, LearnInnerLoop>>;
  readonly onEvent?: (event: AdaptEvent) => void;
}

/** One way of learning from one writer. */
export interface ManyPassagesRow {
  /** Passages learned together. */
  readonly count: number;
  readonly writer: string;
  /** `null` where nothing is learned. */
  readonly way: string | null;
  /** Share of right answers to the report questions, by seed and passage. */
  readonly accuracy: SeedTable;
  readonly kept: number | null;
  /** Documents, updates and tokens of one training, on average. */
  readonly numDocuments: number;
  readonly numSteps: number;
  readonly numTokens: number;
}

/** Whose documents are learned by which model. */
interface WriterArm {
  readonly writer: string;
  readonly student: EditContext;
  /** Of one seed, by task. */
  readonly documents: readonly Documents[];
  /** Only these ways. @defaultValue all */
  readonly only?: (innerLoop: LearnInnerLoop) => boolean;
}

const baseWriter = "base, nothing learned";
const policyName = "the policy itself, nothing learned";
const untrainedWriter = "self-edits of the untrained policy";
const policyWriter = "self-edits of the trained policy";

/** Measures everything; finished arms are read from the store. */
export async function runManyPassages(args: ManyPassagesArgs): Promise<ManyPassagesRow[]> {
  const { base, counts, onEvent } = args;
  const policy = { ...args.policy, tasks: base.tasks, forbidden: base.forbidden, canaries: base.canaries };
  const tooMany = counts.find((count) => count > base.tasks.length);
  if (tooMany !== undefined)
    throw new SelkieError("bad-option", `counts: expected at most ${base.tasks.length} passages, got ${tooMany}`);
  const arms = writerArms(args, policy);
  const idle = [
    { writer: baseWriter, scores: await scoreUntrained(base) },
    { writer: policyName, scores: await scoreUntrained(policy) },
  ];
  const trained = arms.flatMap((arm) =>
    Object.entries(args.ways ?? ways)
      .filter(([_, loop]) => arm.only?.(loop) ?? true)
      .map(([way, loop]) => ({ arm, way, loop })),
  );
  const rows: ManyPassagesRow[] = [];
  for (const count of counts) {
    const groups = drawGroups(args, count);
    const members = groups[0]!.flat().toSorted((a, b) => a - b);
    for (const { writer, scores } of idle) {
      const accuracy = groups.map(() => members.map((member) => scores[member]!.accuracy));
      rows.push({ count, writer, way: null, accuracy, kept: null, numDocuments: 0, numSteps: 0, numTokens: 0 });
    }
    for (const [done, { arm, way, loop }] of trained.entries()) {
      onEvent?.({ stage: `${count} passages`, done, total: trained.length, note: `${arm.writer}, ${way}` });
      rows.push(await measureRow({ ...arm, innerLoop: loop, way, count, groups, members }));
    }
  }
  return rows;
}

/** The documents of every writer, one set per seed. */
function writerArms({ base, numSeeds, edits }: ManyPassagesArgs, policy: EditContext): WriterArm[] {
  const { untrained, trained } = edits;
  const bySeed = (from: Edits, splitting?: Splitting): Documents[] =>
    Array.from({ length: numSeeds }, (_, seed) =>
      documentsOf(
        base,
        from.map((list) => [list[seed]!]),
        splitting,
      ),
    );
  const withoutReplay = ({ replayShare }: LearnInnerLoop) => replayShare === 0;
  const whole = { student: base, only: withoutReplay };
  const raw = Array.from({ length: numSeeds }, () => rawDocuments(base));
  return [
    { writer: "raw passages", student: base, documents: raw },
    { writer: untrainedWriter, student: base, documents: bySeed(untrained) },
    { writer: `${untrainedWriter}, one document each`, ...whole, documents: bySeed(untrained, "whole") },
    { writer: policyWriter, student: base, documents: bySeed(trained) },
    { writer: `${policyWriter}, one document each`, ...whole, documents: bySeed(trained, "whole") },
    { writer: `${policyWriter}, learned by the policy itself`, student: policy, documents: bySeed(trained) },
    ...(hasOracle(base)
      ? [
          {
            writer: "all-facts oracle (self-qa)",
            student: base,
            documents: bySeed(writeOracleEdits(base, "self-qa", numSeeds)),
          },
        ]
      : []),
  ];
}

/** Disjoint groups of `count` tasks, drawn for each seed, `[seeds][groups][members]`; tasks left over take no part in any. */
function drawGroups({ base, numSeeds }: ManyPassagesArgs, count: number): number[][][] {
  const numGroups = Math.floor(base.tasks.length / count);
  const tasks = Array.from({ length: numGroups * count }, (_, index) => index);
  return Array.from({ length: numSeeds }, (_, seed) => {
    const drawn = createRng(base.seed).fork("groups", count, seed).shuffle(tasks);
    return Array.from({ length: numGroups }, (_, group) => drawn.slice(group * count, (group + 1) * count));
  });
}

interface RowArgs extends WriterArm {
  readonly innerLoop: LearnInnerLoop;
  readonly way: string;
  readonly count: number;
  readonly groups: readonly (readonly (readonly number[])[])[];
  /** Documents that take part, in the order of the row's columns. */
  readonly members: readonly number[];
}

async function measureRow(args: RowArgs): Promise<ManyPassagesRow> {
  const { writer, way, count, innerLoop, student, documents, groups, members } = args;
  const passageGroups = groups.flatMap((list, seed) =>
    list.map((group) => ({ seed: `${student.seed}-${seed}`, members: group, documents: documents[seed]! })),
  );
  const scores = await measureTogether(student, { name: `${writer}/${way}/${count}`, innerLoop, passageGroups });
  const perSeed = groups[0]!.length;
  const accuracy = groups.map((_, seed) => {
    const found = new Map<number, number>();
    for (let index = seed * perSeed; index < (seed + 1) * perSeed; index++)
      passageGroups[index]!.members.forEach((member, place) => {
        found.set(member, scores[index]![place]!.accuracy);
      });
    return members.map((member) => found.get(member)!);
  });
  const first = scores.map(([score]) => score!);
  return {
    ...{ count, writer, way, accuracy },
    kept: meanOfMeasured(first.map(({ kept }) => kept)),
    numDocuments: mean(first.map(({ numDocuments }) => numDocuments)),
    numSteps: mean(first.map(({ numSteps }) => numSteps)),
    numTokens: mean(first.map(({ numTokens }) => numTokens)),
  };
}

/** One table per number of passages. */
export function tabulateManyPassages(rows: readonly ManyPassagesRow[]): ResultTable[] {
  return [...new Set(rows.map(({ count }) => count))].map((count) =>
    tabulate(
      count,
      rows.filter((row) => row.count === count),
    ),
  );
}

function tabulate(count: number, rows: readonly ManyPassagesRow[]): ResultTable {
  const { accuracy } = rows[0]!;
  const untrained = new Map(
    rows.filter(({ writer }) => writer === untrainedWriter).map((row) => [row.way, row.accuracy]),
  );
  return {
    title: `${count} passages learned at once`,
    caption: `${accuracy[0]!.length} passages in ${accuracy[0]!.length / count} disjoint groups of ${count}, one adapter or one finetuned model for each group; ${accuracy.length} seeds, each with edits and groups of its own; closed book. 95 % bootstrap intervals over seeds and passages, differences paired. Old answers are the canaries that the base answers right. Documents, updates and tokens are those of one group.`,
    columns: [
      { name: "new answers right", unit: "percent" },
      { name: "over the untrained policy's edits", unit: "points" },
      { name: "old answers kept", unit: "percent" },
      { name: "documents", unit: "number" },
      { name: "updates", unit: "number" },
      { name: "tokens", unit: "number" },
    ],
    rows: rows.map((row) => {
      const name = row.way === null ? row.writer : `${row.writer}: ${row.way}`;
      const reference = row.way !== null && row.writer !== untrainedWriter ? untrained.get(row.way) : undefined;
      return {
        name,
        cells: [
          meanOver(row.accuracy, name),
          reference === undefined ? null : differenceOver(row.accuracy, reference, name),
          row.kept,
          row.numDocuments,
          row.numSteps,
          row.numTokens,
        ],
      };
    }),
    drawn: "new answers right",
    notes: [
      `LoRA of rank ${togetherLora.lora.loraRank} on all linear layers, learning rate ${togetherLora.learningRate}, ${togetherLora.epochs} epochs, ${togetherLora.documentsPerStep} documents an update; full finetuning ${togetherFull.learningRate}, ${togetherFull.epochs} epochs, ${togetherFull.documentsPerStep} documents; both found on validation people. Replay: ${100 * togetherReplayShare} % of the documents seen are samples of the model itself. "${policyWriter}" are learned by the base model, so that the rows differ in the edits alone; SEAL trains the policy itself on its edits, which is a row of its own.`,
    ],
  };
}
