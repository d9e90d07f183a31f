/** @file Pictures of the continual experiment, as SVG that reads on light and dark pages: retention by age, and matrices. */
import type { ContinualReport, MethodRow } from "../../adapt/index.ts";
import { escapeXml } from "../chart.ts";

const colours = [
  "#c0504d",
  "#e39e9c",
  "#6b9e3f",
  "#d08c3c",
  "#8064a2",
  "#4bacc6",
  "#a0522d",
  "#7f7f7f",
  "#d16ba5",
  "#2e8b57",
  "#1f4e79",
  "#3b9ae1",
  "#b0a030",
  "#556b2f",
  "#b07cc6",
  "#444a8a",
  "#00857a",
] as const; // as many as there are methods, and one more
const font = `font-family="system-ui, sans-serif" font-size="12" fill="#777"`;

interface Frame {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

const plot: Frame = { left: 56, top: 56, width: 560, height: 300 };
const legendWidth = 240;

const curveOf = ({ byAge }: MethodRow): { age: number; share: number }[] =>
  byAge.flatMap((share, age) => (share === null ? [] : [{ age, share }]));

/** Right answers about a passage by the number of edits since its own, one line per method. */
export function drawAges({ rows, length, numStreams, base }: ContinualReport): string {
  const curves = rows.map((row) => ({ row, points: curveOf(row) })).filter(({ points }) => points.length > 0);
  const lastAge = Math.max(1, length - 1);
  const x = (age: number) => (plot.left + (plot.width * age) / lastAge).toFixed(1);
  const y = (share: number) => (plot.top + plot.height * (1 - share)).toFixed(1);
  const bottom = plot.top + plot.height;
  const grid = [0, 0.25, 0.5, 0.75, 1].map(
    (share) =>
      `<line x1="${plot.left}" x2="${plot.left + plot.width}" y1="${y(share)}" y2="${y(share)}" stroke="#888" stroke-opacity="0.3"/><text x="${plot.left - 8}" y="${Number(y(share)) + 4}" text-anchor="end">${100 * share} %</text>`,
  );
  const ticks = [...new Set([0, 0.25, 0.5, 0.75, 1].map((part) => Math.round(part * lastAge)))].map(
    (age) => `<text x="${x(age)}" y="${bottom + 18}" text-anchor="middle">${age}</text>`,
  );
  const bounds = rows.filter(({ byAge }) => byAge.length === 0);
  const lines = curves.map(({ points }, index) => {
    const path = points.map(({ age, share }, at) => `${at === 0 ? "M" : "L"}${x(age)} ${y(share)}`).join("");
    return `<path d="${path}" fill="none" stroke="${colourOf(index)}" stroke-width="2"/>`;
  });
  const dashes = bounds.map(
    ({ retention }, index) =>
      `<line x1="${plot.left}" x2="${plot.left + plot.width}" y1="${y(retention.mean)}" y2="${y(retention.mean)}" stroke="${colourOf(curves.length + index)}" stroke-width="1.5" stroke-dasharray="6 5"/>`,
  );
  const names = [...curves.map(({ row }) => row.name), ...bounds.map(({ name }) => `${name} (at the end)`)];
  const legend = names.map((name, index) => {
    const at = plot.top + 8 + 20 * index;
    const start = plot.left + plot.width + 24;
    return `<line x1="${start}" x2="${start + 18}" y1="${at}" y2="${at}" stroke="${colourOf(index)}" stroke-width="3"/><text x="${start + 26}" y="${at + 4}">${escapeXml(name)}</text>`;
  });
  const height = Math.max(bottom + 64, plot.top + 20 * names.length + 24);
  return svg(plot.left + plot.width + legendWidth + 24, height, [
    `<text x="12" y="26" font-size="16">What is left of a passage, by the edits made since</text>`,
    ...grid,
    ...ticks,
    ...dashes,
    ...lines,
    ...legend,
    `<text x="${plot.left}" y="${bottom + 44}">further edits; mean over ${numStreams} streams of ${length} passages; the base answers ${(100 * base.accuracy.mean).toFixed(1)} %</text>`,
  ]);
}

const colourOf = (index: number): string => colours[index % colours.length]!;

const svg = (width: number, height: number, parts: readonly string[]): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" ${font}>\n${parts.join("\n")}\n</svg>\n`;

/** The method drawn beside the first: of those with a matrix, the one that has most left. */
export function bestStreaming(rows: readonly MethodRow[]): MethodRow | null {
  const streaming = rows.filter(({ matrix }) => matrix.length > 0);
  return streaming.toSorted((a, b) => b.retention.mean - a.retention.mean)[0] ?? null;
}

const mapSize = 260;

/** The lower-triangular matrices of the first method and of the one that has most left, as heat maps. */
export function drawMatrices({ rows, length }: ContinualReport): string {
  const best = bestStreaming(rows);
  const first = rows.find(({ matrix }) => matrix.length > 0);
  const shown = [...new Set([first, best])].filter((row) => row !== undefined && row !== null);
  const maps = shown.map((row, index) => drawMatrix(row, { left: 40 + index * (mapSize + 60), top: 76 }, length));
  return svg(60 + Math.max(1, shown.length) * (mapSize + 60), mapSize + 130, [
    `<text x="12" y="26" font-size="16">Right answers about each passage (column) after each edit (row)</text>`,
    ...maps.flat(),
    `<text x="40" y="${mapSize + 112}">from 0 % (empty) to 100 % (full); rows that were not examined are left out</text>`,
  ]);
}

function drawMatrix({ name, matrix }: MethodRow, { left, top }: Pick<Frame, "left" | "top">, length: number): string[] {
  const cell = mapSize / length;
  const cells = matrix.flatMap((row, step) =>
    row.map((share, passage) =>
      share === null
        ? ""
        : `<rect x="${(left + passage * cell).toFixed(1)}" y="${(top + step * cell).toFixed(1)}" width="${cell.toFixed(1)}" height="${cell.toFixed(1)}" fill="#3b7ea1" fill-opacity="${share.toFixed(2)}"/>`,
    ),
  );
  return [
    `<text x="${left}" y="${top - 12}" font-size="13">${escapeXml(name)}</text>`,
    `<rect x="${left}" y="${top}" width="${mapSize}" height="${mapSize}" fill="none" stroke="#888" stroke-opacity="0.4"/>`,
    ...cells.filter((text) => text !== ""),
  ];
}
