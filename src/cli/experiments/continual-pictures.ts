/** @file Pictures of the continual experiment: retention by age, of the methods that matter and of all, and matrices. */
import type { ContinualReport, MethodRow } from "../../adapt/index.ts";
import { countOf, mean } from "../../util/index.ts";
import { type Curve, drawLines, drawPanels, type Level, type LinePicture } from "../pictures/lines.ts";
import { methodShades, roleOf, roleStyles } from "../pictures/roles.ts";
import { createPicture, ink, margin, rectElement } from "../pictures/svg.ts";
import { cutText } from "../pictures/text.ts";

/** What of a row is drawn. */
type DrawnRow = Pick<MethodRow, "name" | "byAge" | "matrix" | "retention">;

/** What of a report is drawn. */
export interface DrawnStreams extends Pick<ContinualReport, "length" | "numStreams"> {
  readonly base: Pick<ContinualReport["base"], "accuracy">;
  readonly rows: readonly DrawnRow[];
}

/** Most points of a curve: long streams ask few passages of each age, so that neighbouring ages are taken together. */
const mostPoints = 25;

/** Ages that one point stands for in a stream of that length. */
const agesPerPoint = (length: number): number => Math.ceil(length / mostPoints);

/** Age 0 by itself, later ages in groups; a group stands at its middle and weighs its ages alike. */
function pointsOf({ byAge }: DrawnRow): Curve["points"] {
  const groups = new Map<number, { x: number; share: number }[]>();
  for (const [x, share] of byAge.entries()) {
    if (share === null) continue;
    const group = Math.ceil(x / agesPerPoint(byAge.length));
    groups.set(group, [...(groups.get(group) ?? []), { x, share }]);
  }
  return [...groups.values()].map((group) => ({
    x: mean(group.map(({ x }) => x)),
    share: mean(group.map(({ share }) => share)),
  }));
}

const toCurve = (row: DrawnRow): Curve => ({ name: row.name, role: roleOf(row.name), points: pointsOf(row) });

/** Curves that nowhere differ by more than this are one line to the eye. */
const sameWithin = 0.01;

const isSame = (a: Curve, b: Curve): boolean =>
  a.points.length === b.points.length &&
  a.points.every(
    ({ x, share }, index) => b.points[index]!.x === x && Math.abs(b.points[index]!.share - share) <= sameWithin,
  );

const mostCurves = 5;

/** The first method, and of the others those with most left, as many as a picture holds; equal curves share a line and their names. */
export function chooseCurves(rows: readonly DrawnRow[]): Curve[] {
  const [first, ...others] = rows.filter(({ byAge }) => byAge.some((share) => share !== null));
  if (first === undefined) return [];
  const ranked = others.toSorted((a, b) => b.retention.mean - a.retention.mean).map(toCurve);
  const chosen: Curve[] = [toCurve(first)];
  for (const curve of ranked) {
    const twin = chosen.findIndex((other) => isSame(other, curve));
    if (twin >= 0) chosen[twin] = { ...chosen[twin]!, name: `${chosen[twin]!.name}, ${curve.name}` };
    else if (chosen.length < mostCurves) chosen.push(curve);
  }
  const methods = chosen.filter(({ role }) => role === "method");
  return chosen.map((curve) => {
    const shade = methodShades[methods.indexOf(curve)];
    return shade === undefined ? curve : { ...curve, colour: shade };
  });
}

/** Bounds at one level share a line and their names. */
function levelsOf(rows: readonly DrawnRow[]): Level[] {
  const levels: Level[] = [];
  for (const { name, byAge, retention } of rows) {
    if (byAge.length > 0) continue;
    const twin = levels.findIndex(({ share }) => Math.abs(share - retention.mean) <= sameWithin);
    if (twin >= 0) levels[twin] = { ...levels[twin]!, name: `${levels[twin]!.name}, ${name}` };
    else levels.push({ name, role: roleOf(name), share: retention.mean });
  }
  return levels;
}

const linesOf = (
  { rows, length, numStreams, base }: DrawnStreams,
  curves: readonly Curve[],
  note: string,
): LinePicture => ({
  title: "What is left of a passage, by the edits made since",
  caption: `Right answers about a passage, mean over ${countOf(numStreams, "stream")} of ${countOf(length, "passage")}; the last ages are of few passages${agesPerPoint(length) > 1 ? `; each point after the first is the mean of ${agesPerPoint(length)} ages` : ""}. Dashed: no stream, all passages at the end. The base answers ${(100 * base.accuracy.mean).toFixed(1)} %.${note}`,
  xName: "edits made since",
  lastX: Math.max(1, length - 1),
  curves,
  levels: levelsOf(rows),
});

/** Right answers about a passage by the number of edits since its own, for the first method and those with most left. */
export function drawAges(report: DrawnStreams): string {
  const curves = chooseCurves(report.rows);
  const shown = new Set(curves.flatMap(({ name }) => name.split(", ")));
  const rest = report.rows.filter(({ name, byAge }) => byAge.length > 0 && !shown.has(name)).map(({ name }) => name);
  const note =
    rest.length === 0 ? "" : ` Less is left with ${rest.join(", ")}: they are in the picture of all methods.`;
  return drawLines(linesOf(report, curves, note));
}

/** The same for every method, one small frame each; `null` where no method was asked along the way. */
export function drawAllAges(report: DrawnStreams): string | null {
  const curves = report.rows.map(toCurve).filter(({ points }) => points.length > 0);
  const [first] = curves;
  if (first === undefined) return null;
  const reference = { ...first, colour: roleStyles.baseline.colour };
  const own = curves.map((curve) => (curve === first ? reference : curve));
  return drawPanels(linesOf(report, own, ""), reference);
}

/** The method drawn beside the first: of those with a matrix, the one that has most left. */
export function bestStreaming(rows: readonly DrawnRow[]): DrawnRow | null {
  const streaming = rows.filter(({ matrix }) => matrix.length > 0);
  return streaming.toSorted((a, b) => b.retention.mean - a.retention.mean)[0] ?? null;
}

const mapSize = 300;
const mapGap = 60;
const mapLabelSize = 13;

/** The lower-triangular matrices of the first method and of the one that has most left, as heat maps. */
export function drawMatrices({ rows, length }: Pick<DrawnStreams, "rows" | "length">): string {
  const best = bestStreaming(rows);
  const first = rows.find(({ matrix }) => matrix.length > 0);
  const shown = [...new Set([first, best])].filter((row) => row !== undefined && row !== null);
  const picture = createPicture(2 * margin + 2 * mapSize + mapGap);
  const top =
    picture.paragraph(margin + 14, "Right answers about each passage (column) after each edit (row)", { size: 16 }) +
    26;
  for (const [index, { name, matrix }] of shown.entries()) {
    const left = margin + index * (mapSize + mapGap);
    picture.text(left, top - 10, cutText(name, mapLabelSize, mapSize), { size: mapLabelSize });
    const frame = { x: left, y: top, width: mapSize, height: mapSize };
    picture.add(rectElement(frame, `fill="none" stroke="${ink.grid}"`));
    for (const element of drawMatrix(matrix, { left, top }, length)) picture.add(element);
  }
  const end = drawScale(picture, top + mapSize + 28);
  return picture.finish(end);
}

function drawMatrix(
  matrix: MethodRow["matrix"],
  { left, top }: { left: number; top: number },
  length: number,
): string[] {
  const cell = mapSize / length;
  return matrix.flatMap((row, step) =>
    row.flatMap((share, passage) => {
      if (share === null) return [];
      const box = { x: left + passage * cell, y: top + step * cell, width: cell, height: cell };
      return [rectElement(box, `fill="${roleStyles.method.colour}" fill-opacity="${share.toFixed(2)}"`)];
    }),
  );
}

/** What the shades mean. */
function drawScale(picture: ReturnType<typeof createPicture>, y: number): number {
  const style = { size: 11, colour: ink.faint } as const;
  picture.text(margin, y, "0 %", style);
  for (let step = 0; step <= 10; step++) {
    const box = { x: margin + 34 + 16 * step, y: y - 10, width: 16, height: 12 };
    picture.add(
      rectElement(box, `fill="${roleStyles.method.colour}" fill-opacity="${step / 10}" stroke="${ink.grid}"`),
    );
  }
  picture.text(margin + 34 + 16 * 11 + 8, y, "100 %; rows that were not examined are left out", style);
  return y + 16;
}
