/**
 * @file Streams put together: one row per method, means over streams with 95 % intervals, differences paired by stream.
 * Passages within a stream share their fate, and streams of one policy share a writer: policies are resampled whole, streams
 * within them, and a t-interval over policies stands beside, since a few policies make a percentile interval too narrow.
 */
import { bootstrapNested, type Interval, mean, type Rng, studentInterval } from "../../util/index.ts";
import type { ContinualMethod } from "./method.ts";
import { type ContinualMetrics, continualMetrics } from "./metrics.ts";
import { type BaseRecord, finalAccuracy, matrixOf, type StreamRecord } from "./stream.ts";

/** One stream: the base, and the record of every method in the order of the table. */
export interface StreamOutcome {
  /** Names the policy that wrote and learned; streams of one policy belong together. @defaultValue one policy for all */
  readonly policy?: string;
  readonly base: BaseRecord;
  readonly records: readonly StreamRecord[];
}

/** A figure over streams, its interval clustered by policy. */
export interface StreamInterval extends Interval {
  /** The t-interval of the policies' own means; absent with one policy. */
  readonly overPolicies?: Interval;
}

/** A method over all streams; `null` where it was not examined, or where there was nothing to measure. */
export interface MethodRow {
  readonly name: string;
  readonly summary: string;
  /** On each passage right after its edit. */
  readonly acquisition: StreamInterval | null;
  /** On all passages after the last edit. */
  readonly retention: StreamInterval;
  /** Retention over acquisition. */
  readonly keptShare: StreamInterval | null;
  /** What is left of what edits added to the base. */
  readonly keptGain: StreamInterval | null;
  readonly backwardTransfer: StreamInterval | null;
  /** Share of the base's right answers still right after the last edit. */
  readonly baseKept: StreamInterval | null;
  /** KL(base ‖ last), nats per token. */
  readonly klNats: StreamInterval;
  /** Share of wrong answers about earlier passages that give a fact of the last; mean over rows. */
  readonly intrusions: StreamInterval | null;
  readonly reading: StreamInterval | null;
  readonly validEdits: StreamInterval | null;
  readonly coverage: StreamInterval | null;
  /** Retention less that of the first method of the table, by stream; `null` for that one. */
  readonly overFirst: StreamInterval | null;
  /** Retention less what the base answers of the same passages. */
  readonly overBase: StreamInterval;
  /** The same counted over everything that was asked, what the base knew and the passages; `null` when it knew nothing. */
  readonly overBaseInAll: StreamInterval | null;
  /** `byAge[a]`: accuracy after `a` more edits. */
  readonly byAge: readonly (number | null)[];
  /** Mean matrix, `null` where it was not examined. */
  readonly matrix: readonly (readonly (number | null)[])[];
  /** By passages learned: base answers kept and divergence, means over streams. */
  readonly drift: readonly { readonly learned: number; readonly baseKept: number | null; readonly klNats: number }[];
  readonly tokensPerEdit: number;
  readonly stepsPerEdit: number;
  /** Of one stream, learning and examining. */
  readonly seconds: { readonly learning: number; readonly total: number };
  /** How often each note (a scale, a rejection) was made. */
  readonly notes: Readonly<Record<string, number>>;
}

/** What was asked after the last edit of a stream. */
export interface QuestionCounts {
  /** That the base answers right. */
  readonly known: number;
  /** About the stream's passages; mean over streams. */
  readonly asked: number;
}

/** Everything. */
export interface ContinualReport {
  readonly length: number;
  readonly numStreams: number;
  /** Outer loops whose policies the streams are of. */
  readonly numPolicies: number;
  readonly questions: QuestionCounts;
  /** The base on the passages of the streams, and its skills. */
  readonly base: {
    readonly accuracy: Interval;
    readonly reading: Interval | null;
    readonly validEdits: Interval | null;
    readonly coverage: Interval | null;
  };
  readonly rows: readonly MethodRow[];
  readonly streams: readonly StreamOutcome[];
}

/** Values of streams by policy. */
function byPolicy(values: readonly number[], streams: readonly StreamOutcome[]): number[][] {
  const names = [...new Set(streams.map(({ policy }) => policy))];
  return names.map((name) => values.filter((_, index) => streams[index]!.policy === name));
}

/** Interval over streams; `null` unless every stream has a value. */
function over(values: readonly (number | null)[], streams: readonly StreamOutcome[], rng: Rng): StreamInterval | null {
  const measured = values.filter((value) => value !== null);
  if (measured.length < values.length || values.length === 0) return null;
  const groups = byPolicy(measured, streams);
  const overPolicies = studentInterval(groups.map(mean));
  return { ...bootstrapNested(groups, rng), ...(overPolicies && { overPolicies }) };
}

/** Mean of what there is; `null` for nothing. */
const meanOf = (values: readonly (number | null | undefined)[]): number | null => {
  const measured = values.filter((value) => value !== null && value !== undefined);
  return measured.length === 0 ? null : mean(measured);
};

function reportMethod(
  method: ContinualMethod,
  place: number,
  streams: readonly StreamOutcome[],
  { known, asked }: QuestionCounts,
  rng: Rng,
): MethodRow {
  const records = streams.map(({ records: all }) => all[place]!);
  const matrices = streams.map(({ base }, index) => matrixOf(records[index]!, base));
  const metrics = matrices.map((matrix) => (matrix === null ? null : continualMetrics(matrix)));
  const figure = (name: string, of: (index: number) => number | null) =>
    over(
      streams.map((_, index) => of(index)),
      streams,
      rng.fork(name),
    );
  const metric = (name: "acquisition" | "keptShare" | "keptGain" | "backwardTransfer") =>
    figure(name, (index) => metrics[index]?.[name] ?? null);
  const skill = (name: "reading" | "validEdits" | "coverage") => figure(name, (index) => records[index]!.skills[name]);
  const finals = records.map(finalAccuracy);
  const first = streams.map(({ records: all }) => finalAccuracy(all[0]!));
  return {
    name: method.name,
    summary: method.summary,
    acquisition: metric("acquisition"),
    retention: figure("retention", (index) => finals[index]!)!,
    keptShare: metric("keptShare"),
    keptGain: metric("keptGain"),
    backwardTransfer: metric("backwardTransfer"),
    baseKept: figure("baseKept", (index) => records[index]!.checks.at(-1)!.baseKept),
    klNats: figure("klNats", (index) => records[index]!.checks.at(-1)!.klNats)!,
    intrusions: figure("intrusions", (index) => meanOf(records[index]!.rows.map(({ intrusions }) => intrusions))),
    reading: skill("reading"),
    validEdits: skill("validEdits"),
    coverage: skill("coverage"),
    overFirst: place === 0 ? null : figure("overFirst", (index) => finals[index]! - first[index]!),
    overBase: figure("overBase", (index) => finals[index]! - mean(streams[index]!.base.accuracy))!,
    overBaseInAll: figure("overBaseInAll", (index) => {
      const kept = records[index]!.checks.at(-1)!.baseKept;
      const gained = finals[index]! - mean(streams[index]!.base.accuracy);
      return kept === null ? null : (known * (kept - 1) + asked * gained) / (known + asked);
    }),
    byAge: meanAges(metrics),
    matrix: meanMatrix(matrices.map((matrix) => matrix?.after ?? [])),
    drift: driftOf(records),
    ...costOf(records),
  };
}

function meanAges(metrics: readonly (ContinualMetrics | null)[]): (number | null)[] {
  const curves = metrics.filter((value) => value !== null).map(({ byAge }) => byAge);
  return (curves[0] ?? []).map((_, age) => meanOf(curves.map((curve) => curve[age])));
}

function meanMatrix(matrices: readonly (readonly (readonly (number | null)[])[])[]): (number | null)[][] {
  return (matrices[0] ?? []).map((row, step) =>
    row.map((_, passage) => meanOf(matrices.map((matrix) => matrix[step]![passage]))),
  );
}

function driftOf(records: readonly StreamRecord[]): MethodRow["drift"] {
  return records[0]!.checks.map(({ learned }, at) => ({
    learned,
    baseKept: meanOf(records.map(({ checks }) => checks[at]!.baseKept)),
    klNats: mean(records.map(({ checks }) => checks[at]!.klNats)),
  }));
}

function costOf(
  records: readonly StreamRecord[],
): Pick<MethodRow, "tokensPerEdit" | "stepsPerEdit" | "seconds" | "notes"> {
  const steps = records.flatMap((record) => record.steps);
  const notes = Object.groupBy(
    steps.filter(({ note }) => note !== undefined),
    ({ note }) => note!,
  );
  return {
    tokensPerEdit: mean(steps.map(({ numTokens }) => numTokens)),
    stepsPerEdit: mean(steps.map(({ numSteps }) => numSteps)),
    seconds: {
      learning: mean(records.map(({ seconds }) => seconds.learning)),
      total: mean(records.map(({ seconds }) => seconds.total)),
    },
    notes: Object.fromEntries(Object.entries(notes).map(([note, list]) => [note, list!.length])),
  };
}

/** Puts the streams together. */
export function reportContinual(
  methods: readonly ContinualMethod[],
  streams: readonly StreamOutcome[],
  questions: QuestionCounts,
  rng: Rng,
): ContinualReport {
  const ofBase = rng.fork("base");
  const skill = (name: "reading" | "validEdits" | "coverage") =>
    over(
      streams.map(({ base }) => base.skills[name]),
      streams,
      ofBase.fork(name),
    );
  return {
    length: streams[0]?.base.accuracy.length ?? 0,
    numStreams: streams.length,
    numPolicies: new Set(streams.map(({ policy }) => policy)).size,
    questions,
    base: {
      accuracy: over(
        streams.map(({ base }) => mean(base.accuracy)),
        streams,
        ofBase.fork("accuracy"),
      )!,
      reading: skill("reading"),
      validEdits: skill("validEdits"),
      coverage: skill("coverage"),
    },
    rows: methods.map((method, place) =>
      reportMethod(method, place, streams, questions, rng.fork("method", method.name)),
    ),
    streams,
  };
}
