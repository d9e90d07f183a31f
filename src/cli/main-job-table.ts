/** @file The main-job table as Markdown and as a picture. */
import type { MainJobTable } from "../adapt/index.ts";
import type { Interval } from "../util/index.ts";
import { drawBars } from "./chart.ts";

const percent = (share: number | null): string => (share === null ? "–" : (100 * share).toFixed(1));
const withInterval = ({ mean, low, high }: Interval): string => `${percent(mean)} [${percent(low)}, ${percent(high)}]`;
const signed = (interval: Interval): string => `${interval.mean >= 0 ? "+" : ""}${withInterval(interval)}`;

/** Rows in Markdown, in percent. */
export function describeTable(table: MainJobTable, command: string): string {
  const rows = table.rows.map(
    (row) =>
      `| ${row.name} | ${withInterval(row.accuracy)} | ${row.name === "raw passage" ? "" : signed(row.overRaw)} | ${row.name === "raw passage, repeated" ? "" : signed(row.overRepeated)} | ${percent(row.kept)} | ${row.meanDocuments.toFixed(1)} |`,
  );
  const kinds = Object.entries(table.byKind).map(
    ([kind, { count, accuracy }]) => `| ${kind} | ${count} | ${percent(accuracy)} |`,
  );
  return [
    `# Main job: what one passage's training is worth`,
    `${table.numPeople} people the model never read about, ${table.questionsPerPerson} questions each in wordings that no training text contains; closed book; per cent with 95 % bootstrap intervals over people, differences paired. Old answers are the canaries that the base answers right (${percent(table.canaryAccuracy)} % of them).`,
    [
      `| trained on | new answers right | over raw passage | over raw, repeated | old answers kept | documents |`,
      `|---|---|---|---|---|---|`,
      ...rows,
    ].join("\n"),
    `The model's own ${table.numEdits} edits per person, by the kind it chose:`,
    [`| kind | edits | new answers right |`, `|---|---|---|`, ...kinds].join("\n"),
    `\`${command}\``,
  ].join("\n\n");
}

/** Bars with intervals. */
export function drawTable(table: MainJobTable): string {
  return drawBars(
    "New answers right after learning one passage",
    `${table.numPeople} held-out people, held-out wordings, closed book; bars: mean, lines: 95 % interval`,
    table.rows.map(({ name, accuracy, kept }) => ({
      name,
      value: accuracy,
      note: `${percent(accuracy.mean)} %, keeps ${percent(kept)} %`,
    })),
  );
}
