/** @file Medians and spreads of repeated measurements, and the table they go into. */

/** Repeated measurements of one figure by one program. */
export interface Samples {
  readonly values: readonly number[];
  readonly median: number;
  /** (largest - smallest) / median. */
  readonly spread: number;
}

/** One figure of one comparison. */
export interface Comparison {
  readonly name: string;
  readonly unit: string;
  readonly selkie: Samples;
  readonly peer: Samples;
  /** Median over rounds of Selkie's figure divided by the peer's figure of the same round; above 1, Selkie is faster. */
  readonly ratio: number;
  readonly selkiePeakMib: number;
  readonly peerPeakMib: number;
}

/** Middle value; the mean of the two middle ones of an even count. */
export function medianOf(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("medianOf: expected at least one value, got none");
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Median and spread of `values`. */
export function summarize(values: readonly number[]): Samples {
  const median = medianOf(values);
  return { values, median, spread: (Math.max(...values) - Math.min(...values)) / median };
}

const figure = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;

/** A Markdown table, one row per comparison. */
export function toMarkdown(comparisons: readonly Comparison[], peerName: string): string {
  const head = ["what", "unit", "Selkie", "spread", peerName, "spread", "ratio", "Selkie MiB", `${peerName} MiB`];
  const rows = comparisons.map(({ name, unit, selkie, peer, ratio, selkiePeakMib, peerPeakMib }) => [
    name,
    unit,
    figure(selkie.median),
    percent(selkie.spread),
    figure(peer.median),
    percent(peer.spread),
    `**${ratio.toFixed(2)}**`,
    selkiePeakMib.toFixed(0),
    peerPeakMib.toFixed(0),
  ]);
  const lines = [head, head.map((_, column) => (column < 2 ? "---" : "---:")), ...rows].map(
    (cells) => `| ${cells.join(" | ")} |`,
  );
  return `${lines.join("\n")}\n`;
}
