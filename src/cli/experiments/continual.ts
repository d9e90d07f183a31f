/** @file `selkie experiment continual`: streams of passages learned one after another, methods side by side. */

import type { Command } from "commander";
import type {
  CheckItems,
  ContinualMethod,
  ContinualReport,
  ContinualStreams,
  ExamItem,
  MethodRow,
  StreamInterval,
  StreamOutcome,
} from "../../adapt/index.ts";
import type { Cell, ResultTable } from "../../lab/index.ts";
import { countOf, SelkieError } from "../../util/index.ts";
import { parseCount, parseRounds } from "../verb.ts";
import { type DrawnStreams, drawAges, drawAllAges, drawMatrices } from "./continual-pictures.ts";
import type { Experiment, ExperimentOptions, ExperimentRoom } from "./experiment.ts";

interface ContinualOptions extends ExperimentOptions {
  readonly length: number;
  readonly rounds: number;
  readonly passages: number;
  readonly streams: number;
  readonly policies: number;
  readonly methods?: readonly string[];
  readonly every?: number;
  readonly checkEvery?: number;
  readonly wordings: number;
}

/** What the tables are computed from. */
interface ContinualRecord {
  readonly methods: readonly string[];
  readonly wordings: number;
  readonly split: string;
  readonly seed: number;
  /** By policy. */
  readonly parts: readonly ContinualStreams[];
}

/** Different texts of the base for replay: with 400 a training on 20 passages keeps 76 % of its answers, with 2400 93 %. */
const numReplay = 2400;

/** Every step up to 20, then tenths. */
const rowsEvery = ({ every, length }: ContinualOptions): number => every ?? (length <= 20 ? 1 : Math.ceil(length / 10));
/** Quarters of the stream. */
const checksEvery = ({ checkEvery, length }: ContinualOptions): number => checkEvery ?? Math.ceil(length / 4);

/** The continual table. */
export const continualExperiment: Experiment<ContinualOptions> = {
  name: "continual",
  summary: "streams of passages learned one after another: what is acquired, what is left, what else is lost",
  addOptions(command: Command): void {
    command
      .option("--length <n>", "passages of one stream", parseCount, 20)
      .option("--rounds <n>", "of the outer loop behind the model; 0 takes the model as it is", parseRounds, 2)
      .option("--passages <n>", "passages of each of these rounds", parseCount, 50)
      .option("--policies <n>", "outer loops, each with a seed of its own, whose last policies learn", parseCount, 3)
      .option("--streams <n>", "streams of each policy, of other people and in an order of its own", parseCount, 2)
      .option("--methods <names>", "some of the methods, by name, separated by commas (default: all)", (text) =>
        text.split(",").map((name) => name.trim()),
      )
      .option(
        "--every <n>",
        "steps between full rows of the matrix (default: 1, from 21 passages on a tenth)",
        parseCount,
      )
      .option("--check-every <n>", "steps between checks of what the base knew (default: a quarter)", parseCount)
      .option("--wordings <n>", "wordings of each fact that are asked", parseCount, 1);
  },
  resultName: ({ length }) => `continual-${length}`,
  config: (options) => ({
    ...{ rounds: options.rounds, passages: options.passages },
    ...{ length: options.length, policies: options.policies, streams: options.streams, wordings: options.wordings },
    ...{ every: rowsEvery(options), checkEvery: checksEvery(options), replay: numReplay },
    methods: options.methods === undefined ? null : [...options.methods],
  }),
  async run(room) {
    const { continualMethodNamed, continualMethods, defaultSettings } = await import("../../adapt/index.ts");
    const { options, about } = room;
    const names = options.methods ?? [...continualMethods.keys()];
    const methods = names.map(continualMethodNamed);
    const parts: ContinualStreams[] = [];
    const digests: string[] = [];
    const numPolicies = options.rounds === 0 ? 1 : options.policies; // the model as it came is one
    for (let index = 0; index < numPolicies; index++) {
      const { digest, ...part } = await streamsOf(room, methods, index);
      digests.push(digest);
      parts.push({ ...part, outcomes: part.outcomes.map(withoutLogprobs) });
    }
    const record: ContinualRecord = {
      ...{ methods: names, wordings: options.wordings, split: about.split, seed: options.seed, parts },
    };
    return {
      record,
      data: {
        policies: digests,
        innerLoop: defaultSettings.innerLoop,
        settings: Object.fromEntries(methods.map(({ name, settings }) => [name, settings])),
      },
    };
  },
  async tabulate({ methods, wordings, split, seed, parts }: ContinualRecord) {
    const { continualMethodNamed, summariseStreams } = await import("../../adapt/index.ts");
    const report = summariseStreams(methods.map(continualMethodNamed), parts, seed);
    const { length, numStreams, base } = report;
    const rows = report.rows.map(({ name, byAge, matrix, retention }) => ({ name, byAge, matrix, retention }));
    return { tables: tabulateContinual(report, { wordings, split }), drawing: { length, numStreams, base, rows } };
  },
  draw(saved) {
    const report = saved as unknown as DrawnStreams; // its file holds what is drawn beside the tables
    if (!Array.isArray(report.rows))
      throw new SelkieError(
        "bad-file",
        "continual: expected rows with what is left by age, got results without them; make them anew with --recompute",
      );
    const all = drawAllAges(report);
    return { "": drawAges(report), matrix: drawMatrices(report), ...(all !== null && { methods: all }) };
  },
};

/** Without gold log-probabilities, which no table shows and which would be half of the record. */
const withoutLogprobs = ({ base, records, ...outcome }: StreamOutcome): StreamOutcome => ({
  ...outcome,
  base: { ...base, goldLogprob: [] },
  records: records.map(({ rows, ...record }) => ({
    ...record,
    rows: rows.map((row) => ({ ...row, goldLogprob: [] })),
  })),
});

/** The streams of one policy. */
async function streamsOf(
  room: ExperimentRoom<ContinualOptions>,
  methods: readonly ContinualMethod[],
  index: number,
): Promise<ContinualStreams & { readonly digest: string }> {
  const { checkSizes, defaultSettings, runStreams } = await import("../../adapt/index.ts");
  const { prefixed } = await import("../../lab/index.ts");
  const { options, templates, signal, onEvent, heldOut } = room;
  const { innerLoop } = defaultSettings;
  await using engine = await room.open(await policyOf(room, options.seed + index));
  const policy = `policy-${options.seed + index}`;
  const found = await runStreams({
    ...{ engine, templates, methods, innerLoop, signal, onEvent, numReplay, checkSizes, policy },
    ...{ length: options.length, numStreams: options.streams, wordings: options.wordings, seed: options.seed },
    ...{ every: rowsEvery(options), checkEvery: checksEvery(options), firstStream: index * options.streams },
    ...{ passages: heldOut, store: prefixed(room.store, policy) },
    ...(await checksOf(room)),
  });
  return { ...found, digest: engine.model.digest };
}

/** The model of the streams: the last policy of an outer loop, as in SEAL, or the model as it came. */
async function policyOf({ options, learn }: ExperimentRoom<ContinualOptions>, seed: number): Promise<string> {
  if (options.rounds === 0) return options.model;
  const { defaultLearnSettings } = await import("../../adapt/index.ts");
  const settings = { ...defaultLearnSettings, numRounds: options.rounds, passagesPerRound: options.passages };
  return (await learn(settings, seed)).policies.at(-1)!;
}

/** Canaries for the gates, and what streams are checked with: of the Almanac, or for other passages the other half of the canaries. */
async function checksOf({
  options,
  canaries,
}: ExperimentRoom<ContinualOptions>): Promise<{ canaries: readonly ExamItem[]; checkItems: CheckItems }> {
  const { almanacChecks } = await import("../../adapt/index.ts");
  const { createWorld } = await import("../../tasks/index.ts");
  const { createRng } = await import("../../util/index.ts");
  const { items } = canaries;
  const rng = createRng(options.seed).fork("continual-checks");
  if (options.heldOut === "almanac") return { canaries: items, checkItems: almanacChecks(createWorld(), items, rng) };
  const half = Math.ceil(items.length / 2);
  const nothing = { texts: [], reading: [], writing: [] };
  return { canaries: items.slice(half), checkItems: { known: items.slice(0, half), ...nothing } };
}

/** The tables of a report. */
export const tabulateContinual = (
  report: ContinualReport,
  options: Pick<ContinualRecord, "wordings" | "split">,
): ResultTable[] => [retentionTable(report, options), ageTable(report), sideTable(report), costTable(report)];

const streamsText = ({ numStreams, numPolicies, length }: ContinualReport): string =>
  `${countOf(numStreams, "stream")} of ${countOf(length, "passage")} by ${numPolicies === 1 ? "one policy" : `the policies of ${numPolicies} outer loops`}`;

const intervalsText = ({ numPolicies }: ContinualReport): string =>
  numPolicies === 1
    ? "95 % bootstrap intervals over streams, which say nothing of other policies"
    : "95 % bootstrap intervals over policies and streams within them (policies resampled whole); “t over policies” is the 95 % t-interval of the policies' own means";

/** The t-interval over policies as a figure of its own. */
const overPolicies = (figure: StreamInterval | null): Cell =>
  figure?.overPolicies === undefined ? null : { ...figure.overPolicies };

function retentionTable(
  report: ContinualReport,
  { wordings, split }: Pick<ContinualRecord, "wordings" | "split">,
): ResultTable {
  const { base, rows } = report;
  const notes = rows.map(({ name, summary }) => `- **${name}**: ${summary}`).join("\n");
  return {
    title: "What is left after the last edit",
    caption: `${streamsText(report)} (${split} split), closed book, ${wordings} held-out ${wordings === 1 ? "wording" : "wordings"} of each fact; ${intervalsText(report)}, differences paired by stream. Streams are about different people as long as there are enough. Right after: each passage after its own edit; at the end: all passages after the last. The base answers ${(100 * base.accuracy.mean).toFixed(1)} % of the same questions.`,
    columns: [
      { name: "right after", unit: "percent" },
      { name: "at the end", unit: "percent" },
      { name: "at the end, t over policies", unit: "percent" },
      { name: "kept of what was acquired", unit: "percent" },
      { name: "kept of it, t over policies", unit: "percent" },
      { name: "backward transfer", unit: "points" },
      { name: `over ${rows[0]!.name}`, unit: "points" },
      { name: "over the base", unit: "points" },
      { name: "over the base in all", unit: "points" },
      { name: "base answers kept", unit: "percent" },
    ],
    rows: rows.map((row) => ({
      name: row.name,
      cells: [
        ...[row.acquisition, row.retention, overPolicies(row.retention)],
        ...[row.keptShare, overPolicies(row.keptShare), row.backwardTransfer],
        ...[row.overFirst, row.overBase, row.overBaseInAll, row.baseKept],
      ],
    })),
    drawn: "at the end",
    notes: [notes, describeTargets(report)],
  };
}

/** What is asked of the best method: shares of what was acquired (less is asked of long streams) and of base answers. */
const targets = { kept: 0.9, keptOfLong: 0.8, longFrom: 50, baseKept: 0.95 } as const;

/** Which methods reach the targets, and where the first one, blind merging, ends. */
export function describeTargets({
  rows,
  length,
  questions,
}: Pick<ContinualReport, "rows" | "length" | "questions">): string {
  const wanted = length >= targets.longFrom ? targets.keptOfLong : targets.kept;
  const reaching = rows.filter(
    ({ keptShare, baseKept }) =>
      keptShare !== null && keptShare.mean >= wanted && baseKept !== null && baseKept.mean >= targets.baseKept,
  );
  const best = reaching.toSorted((a, b) => b.retention.mean - a.retention.mean).map(({ name }) => name);
  const percent = (share: number) => (100 * share).toFixed(1);
  const first = rows[0]!;
  const side = (value: number) => `${percent(Math.abs(value))} points ${value < 0 ? "below" : "above"} the base`;
  const keeps = first.baseKept === null ? "" : ` and keeps ${percent(first.baseKept.mean)} % of its other answers`;
  const { known, asked } = questions;
  const inAll =
    first.overBaseInAll === null
      ? ""
      : `; over everything asked, ${countOf(known, "answer")} of the base and ${countOf(Math.round(asked), "question")} about the passages, it ends ${side(first.overBaseInAll.mean)}`;
  const ends = `${first.name} ends ${side(first.overBase.mean)} on the same passages${keeps}${inAll}`;
  return `Methods that keep at least ${percent(wanted)} % of what they acquired and ${percent(targets.baseKept)} % of the base's answers, most left first: ${best.length === 0 ? "none" : best.join(", ")}. ${ends}.`;
}

/** Ages shown: 0, 1, 2, then about doubling, and the last. */
function shownAges(rows: readonly MethodRow[]): number[] {
  const measured = new Set(rows.flatMap(({ byAge }) => [...byAge.keys()].filter((age) => byAge[age] !== null)));
  const shown: number[] = [];
  for (const age of [...measured].toSorted((a, b) => a - b))
    if (age <= 1 || age >= 1.6 * shown.at(-1)! || age === Math.max(...measured)) shown.push(age);
  return shown;
}

function ageTable(report: ContinualReport): ResultTable {
  const rows = report.rows.filter(({ byAge }) => byAge.length > 0);
  const ages = shownAges(rows);
  return {
    title: "By age",
    caption:
      "Right answers about a passage when so many further edits have been made; the last columns are of few passages.",
    columns: ages.map((age) => ({ name: `${age} later`, unit: "percent" })),
    rows: rows.map(({ name, byAge }) => ({ name, cells: ages.map((age) => byAge[age] ?? null) })),
    drawn: null,
  };
}

function sideTable({ base, rows }: ContinualReport): ResultTable {
  return {
    title: "What else changes",
    caption:
      "After the last edit. Divergence: KL(base ‖ model) on right answers and plain texts about known people. Intrusions: wrong answers about earlier passages that give a fact of the latest one, over all rows of the matrix. Reading: questions answered from a stranger's passage. Edits: sampled about strangers; valid ones name their kind and give documents, coverage is the share of the passage's facts they say.",
    columns: [
      { name: "divergence, nats per token", unit: "number", digits: 3 },
      { name: "intrusions", unit: "percent" },
      { name: "reading", unit: "percent" },
      { name: "valid edits", unit: "percent" },
      { name: "coverage of edits", unit: "percent" },
    ],
    rows: [
      { name: "base", cells: [0, null, base.reading, base.validEdits, base.coverage] },
      ...rows.map((row) => ({
        name: row.name,
        cells: [row.klNats, row.intrusions, row.reading, row.validEdits, row.coverage],
      })),
    ],
    drawn: null,
  };
}

function costTable({ rows }: ContinualReport): ResultTable {
  return {
    title: "What it costs",
    caption:
      "Tokens and updates per passage, replay included; seconds of one stream, for learning alone and with examining.",
    columns: [
      { name: "tokens", unit: "number" },
      { name: "updates", unit: "number", digits: 1 },
      { name: "learning, s", unit: "number", digits: 1 },
      { name: "in all, s", unit: "number", digits: 1 },
      { name: "decisions", unit: "number" },
    ],
    rows: rows.map(({ name, tokensPerEdit, stepsPerEdit, seconds, notes }) => ({
      name,
      cells: [tokensPerEdit, stepsPerEdit, seconds.learning, seconds.total, describeNotes(notes)],
    })),
    drawn: null,
  };
}

/** Scales together, other notes by themselves. */
function describeNotes(notes: MethodRow["notes"]): string {
  const counts = new Map<string, number>();
  for (const [note, count] of Object.entries(notes)) {
    const name = note.startsWith("scale ") ? "scaled down" : note;
    counts.set(name, (counts.get(name) ?? 0) + count);
  }
  return [...counts].map(([name, count]) => `${count} ${name}`).join(", ");
}
