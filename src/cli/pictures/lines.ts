/** @file Pictures of curves of shares: one frame with the names at the line ends, or a small frame for each curve. */
import { drawLegend } from "./legend.ts";
import { type Role, roleStyles } from "./roles.ts";
import { spreadLabels } from "./spread.ts";
import { createPicture, ink, lineElement, margin, type Picture, pathElement } from "./svg.ts";
import { breakText, cutText, measureText } from "./text.ts";

/** A curve of shares in [0, 1]. */
export interface Curve {
  readonly name: string;
  readonly role: Role;
  /** @defaultValue the role's colour */
  readonly colour?: string;
  readonly points: readonly { readonly x: number; readonly share: number }[];
}

/** A level that has no curve, drawn dashed. */
export interface Level {
  readonly name: string;
  readonly role: Role;
  readonly share: number;
}

/** What to draw. `lastX` is where the axis ends, from 0. */
export interface LinePicture {
  readonly title: string;
  readonly caption: string;
  readonly xName: string;
  readonly lastX: number;
  readonly curves: readonly Curve[];
  readonly levels: readonly Level[];
}

const pictureWidth = 940;
const [labelSize, lineHeight] = [13, 16];
const tickSize = 11;
const labelRoom = 220;

interface Frame {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}
interface Scales {
  readonly x: (value: number) => number;
  readonly y: (share: number) => number;
}

const scalesOf = ({ left, right, top, bottom }: Frame, lastX: number): Scales => ({
  x: (value) => left + (value / Math.max(1, lastX)) * (right - left),
  y: (share) => bottom - Math.min(1, Math.max(0, share)) * (bottom - top),
});

const colourOf = ({ colour, role }: Curve): string => colour ?? roleStyles[role].colour;

function drawAxes(picture: Picture, frame: Frame, lastX: number, parts: readonly number[], hasNames = true): void {
  const { x, y } = scalesOf(frame, lastX);
  for (const share of parts) {
    picture.add(lineElement(frame.left, y(share), frame.right, y(share), `stroke="${ink.grid}"`));
    if (!hasNames) continue;
    const style = { size: tickSize, anchor: "end", colour: ink.faint } as const;
    picture.text(frame.left - 6, y(share) + 4, `${100 * share} %`, style);
  }
  for (const value of new Set(parts.map((part) => Math.round(part * lastX))))
    picture.text(x(value), frame.bottom + 16, `${value}`, { size: tickSize, anchor: "middle", colour: ink.faint });
}

const drawCurve = (curve: Curve, { x, y }: Scales, width: number): string =>
  pathElement(
    curve.points.map((point) => [x(point.x), y(point.share)] as const),
    `stroke="${colourOf(curve)}" stroke-width="${width}" stroke-linejoin="round"`,
  );

/** All curves in one frame, each named at its right end. */
export function drawLines(given: LinePicture): string {
  const { title, caption, curves, levels, lastX, xName } = given;
  const picture = createPicture(pictureWidth);
  const titled = picture.paragraph(margin + 14, title, { size: 16 });
  const top =
    drawLegend(
      picture,
      titled + 2,
      [...curves, ...levels].map(({ role }) => role),
    ) + 8;
  const labels = [
    ...curves.map((curve) => ({ name: curve.name, share: curve.points.at(-1)!.share, colour: colourOf(curve) })),
    ...levels.map(({ name, share, role }) => ({ name, share, colour: roleStyles[role].colour })),
  ].map((label) => {
    const lines = breakText(label.name, labelSize, labelRoom);
    return { ...label, lines, height: lineHeight * lines.length + 2 };
  });
  const room = Math.max(0, ...labels.flatMap(({ lines }) => lines.map((line) => measureText(line, labelSize))));
  const height = Math.max(
    320,
    labels.reduce((sum, label) => sum + label.height, 0),
  );
  const frame = { left: margin + 44, right: pictureWidth - margin - room - 34, top, bottom: top + height };
  drawAxes(picture, frame, lastX, [0, 0.25, 0.5, 0.75, 1]);
  const scales = scalesOf(frame, lastX);
  for (const { share, role } of levels) {
    const style = `stroke="${roleStyles[role].colour}" stroke-width="1.5" stroke-dasharray="6 5"`;
    picture.add(lineElement(frame.left, scales.y(share), frame.right, scales.y(share), style));
  }
  for (const curve of curves) picture.add(drawCurve(curve, scales, 2.5));
  const wishes = labels.map(({ share, height: own }) => ({ at: scales.y(share), height: own }));
  for (const [index, middle] of spreadLabels(wishes, frame.top - 8, frame.bottom + 8).entries()) {
    const { lines, colour, share } = labels[index]!;
    const x = frame.right + 30;
    picture.add(lineElement(frame.right + 3, scales.y(share), x - 4, middle, `stroke="${colour}" stroke-width="1"`));
    const first = middle + 4.5 - (lineHeight * (lines.length - 1)) / 2;
    for (const [at, line] of lines.entries())
      picture.text(x, first + lineHeight * at, line, { size: labelSize, colour });
  }
  picture.text((frame.left + frame.right) / 2, frame.bottom + 34, xName, { size: 12, anchor: "middle" });
  return picture.finish(picture.paragraph(frame.bottom + 58, caption, { size: 11, colour: ink.faint }) + 2);
}

const perRow = 4;
const panelHeight = 118;
const gap = 26;

/** A small frame for each curve, with the `reference` curve in the background of all others. */
export function drawPanels({ title, caption, curves, levels, lastX, xName }: LinePicture, reference: Curve): string {
  const picture = createPicture(pictureWidth);
  const titled = picture.paragraph(margin + 14, title, { size: 16 });
  const start =
    drawLegend(
      picture,
      titled + 2,
      [...curves, ...levels].map(({ role }) => role),
    ) + 8;
  const left = margin + 36;
  const width = (pictureWidth - margin - left - 24 - gap * (perRow - 1)) / perRow;
  let bottom = start;
  for (const [index, curve] of curves.entries()) {
    const column = index % perRow;
    const top = start + Math.floor(index / perRow) * (panelHeight + 62) + 24;
    const frame = {
      left: left + column * (width + gap),
      right: left + column * (width + gap) + width,
      top,
      bottom: top + panelHeight,
    };
    picture.text(frame.left, top - 10, cutText(curve.name, labelSize, width), { size: labelSize });
    drawAxes(picture, frame, lastX, [0, 0.5, 1], column === 0);
    const scales = scalesOf(frame, lastX);
    for (const { share, role } of levels)
      picture.add(lineElement(frame.left, scales.y(share), frame.right, scales.y(share), `stroke="${roleStyles[role].colour}" stroke-dasharray="4 4"`)); // biome-ignore format: one line
    if (curve !== reference) picture.add(drawCurve(reference, scales, 1.5));
    picture.add(drawCurve(curve, scales, 2.5));
    bottom = Math.max(bottom, frame.bottom);
  }
  const bounds = levels.map(({ name }) => name).join(", ");
  const key = `Across: ${xName}. In grey: ${reference.name}.${bounds === "" ? "" : ` Dashed: ${bounds}.`} ${caption}`;
  return picture.finish(picture.paragraph(bottom + 44, key, { size: 11, colour: ink.faint }) + 2);
}
