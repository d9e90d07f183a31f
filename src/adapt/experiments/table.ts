/** @file A table of results as data: experiments fill it, the command line writes it as Markdown and draws it. */
import { bootstrapCrossed, createRng, type Interval, mean, ShapeError } from "../../util/index.ts";

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
  const differences = scores.map((row, seed) => {
    const other = reference[seed];
    if (other === undefined || other.length !== row.length || scores.length !== reference.length)
      throw new ShapeError("differenceOver", `${scores.length} rows of ${row.length} figures`, `${other?.length}`);
    return row.map((value, passage) => value - other[passage]!);
  });
  return bootstrapCrossed(differences, createRng("table").fork(label, "difference"));
}

/** Mean of what was measured; `null` when nothing was. */
export function meanOfMeasured(values: readonly (number | null)[]): number | null {
  const measured = values.filter((value) => value !== null);
  return measured.length === 0 ? null : mean(measured);
}
