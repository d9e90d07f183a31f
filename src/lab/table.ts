/** @file A table of results as data: experiments fill it, the command line writes it as Markdown and draws it. */
import { bootstrapCrossed, createRng, type Interval, mean, ShapeError, studentInterval } from "../util/index.ts";

/** How a column's numbers are written: shares as per cent, differences of shares as signed points, or as they are. */
export type Unit = "percent" | "points" | "number";

/** A column after the first, which names the row. */
export interface Column {
  readonly name: string;
  readonly unit: Unit;
  /** Decimals. @defaultValue 1 for shares, 0 for numbers */
  readonly digits?: number;
}

/** A figure, with its interval where it has one; `null` where there is none. */
export type Cell = Interval | number | string | null;

/** One row. */
export interface TableRow {
  readonly name: string;
  readonly cells: readonly Cell[];
}

/** A table with all that a reader needs to understand it. */
export interface ResultTable {
  readonly title: string;
  /** What was measured, on how many, and what the intervals are over. */
  readonly caption: string;
  readonly columns: readonly Column[];
  readonly rows: readonly TableRow[];
  /** Name of the column of shares that is drawn as bars; `null` draws nothing. */
  readonly drawn: string | null;
  /** What a reader must know to read the rows right. */
  readonly notes?: readonly string[];
}

/** One figure per seed and passage, `[seeds][passages]`. */
export type SeedTable = readonly (readonly number[])[];

/** Mean over seeds and passages with the interval for both (`bootstrapCrossed`); `label` names the random stream. */
export const meanOver = (scores: SeedTable, label: string): Interval =>
  bootstrapCrossed(scores, createRng("table").fork(label, "mean"));

/**
 * Paired difference `scores - reference`, seed by seed and passage by passage.
 *
 * @throws {@link ShapeError} when the tables differ in size.
 */
export function differenceOver(scores: SeedTable, reference: SeedTable, label: string): Interval {
  return bootstrapCrossed(pairedDifferences(scores, reference), createRng("table").fork(label, "difference"));
}

function pairedDifferences(scores: SeedTable, reference: SeedTable): number[][] {
  return scores.map((row, seed) => {
    const other = reference[seed];
    if (other === undefined || other.length !== row.length || scores.length !== reference.length)
      throw new ShapeError("differenceOver", `${scores.length} rows of ${row.length} figures`, `${other?.length}`);
    return row.map((value, passage) => value - other[passage]!);
  });
}

/**
 * Mean of the seeds' own means with its t-interval over seeds: what another run of the outer loop may come to, on the same
 * passages. `null` with one seed.
 */
export const meanOverSeeds = (scores: SeedTable): Interval | null => studentInterval(scores.map(mean));

/**
 * Paired difference with its t-interval over seeds; `null` with one seed.
 *
 * @throws {@link ShapeError} when the tables differ in size.
 */
export const differenceOverSeeds = (scores: SeedTable, reference: SeedTable): Interval | null =>
  studentInterval(pairedDifferences(scores, reference).map(mean));

/** What tables say of their two intervals. */
export const twoIntervals =
  "The first interval is a 95 % bootstrap over seeds and passages at once; “t over seeds” is the 95 % t-interval of the seeds' own means, each seed an outer loop of its own: what another run may come to on these passages. Differences are paired, seed by seed and passage by passage.";

/** Mean of what was measured; `null` when nothing was. */
export function meanOfMeasured(values: readonly (number | null)[]): number | null {
  const measured = values.filter((value) => value !== null);
  return measured.length === 0 ? null : mean(measured);
}
