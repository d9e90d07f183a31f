/** @file Pictures of results: horizontal bars with 95 % intervals, on a scale from 0 to 100 %. */
import type { Interval } from "../../util/index.ts";
import { drawLegend } from "./legend.ts";
import { type Role, roleStyles } from "./roles.ts";
import { createPicture, ink, lineElement, margin, type Picture, pathElement, rectElement } from "./svg.ts";
import { breakText, measureText } from "./text.ts";

/** One bar. */
export interface Bar {
  readonly name: string;
  /** Share in [0, 1] with its interval. */
  readonly value: Interval;
  /** Text behind the bar. */
  readonly note: string;
  readonly role: Role;
}

const pictureWidth = 940;
const mostLabelWidth = 340;
const [labelSize, lineHeight] = [13, 16];

interface Row extends Bar {
  readonly lines: readonly string[];
  readonly y: number;
  readonly height: number;
}

const clamp = (share: number): number => Math.min(1, Math.max(0, share));

function layRows(bars: readonly Bar[], top: number): Row[] {
  let y = top;
  return bars.map((bar) => {
    const lines = breakText(bar.name, labelSize, mostLabelWidth);
    const height = Math.max(30, lineHeight * lines.length + 10);
    y += height;
    return { ...bar, lines, y: y - height, height };
  });
}

/** Bars with their names left of them and their values right. */
export function drawBars(title: string, caption: string, bars: readonly Bar[]): string {
  const picture = createPicture(pictureWidth);
  const afterTitle = picture.paragraph(margin + 14, title, { size: 16 });
  const top =
    drawLegend(
      picture,
      afterTitle + 2,
      bars.map(({ role }) => role),
    ) + 2;
  const rows = layRows(bars, top);
  const widest = (texts: readonly string[]) => Math.max(0, ...texts.map((text) => measureText(text, labelSize)));
  const left = margin + widest(rows.flatMap(({ lines }) => lines)) + 10;
  const right = pictureWidth - margin - Math.max(widest(bars.map(({ note }) => note)) + 12, 24);
  const bottom = rows.reduce((y, row) => y + row.height, top);
  drawScale(picture, { left, right, top, bottom });
  for (const row of rows) drawRow(picture, row, left, right);
  const end = picture.paragraph(bottom + 44, caption, { size: 11, colour: ink.faint });
  return picture.finish(end + 2);
}

/** Where bars stand. */
interface Frame {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

function drawScale(picture: Picture, { left, right, top, bottom }: Frame): void {
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    const x = left + share * (right - left);
    picture.add(lineElement(x, top - 4, x, bottom + 2, `stroke="${ink.grid}"`));
    picture.text(x, bottom + 18, `${100 * share} %`, { size: 11, anchor: "middle", colour: ink.faint });
  }
}

function drawRow(picture: Picture, { lines, value, note, role, y, height }: Row, left: number, right: number): void {
  const middle = y + height / 2;
  const at = (share: number) => left + clamp(share) * (right - left);
  const first = middle + 4.5 - (lineHeight * (lines.length - 1)) / 2;
  for (const [index, line] of lines.entries())
    picture.text(left - 10, first + lineHeight * index, line, { size: labelSize, anchor: "end" });
  const bar = { x: left, y: middle - 10, width: at(value.mean) - left, height: 20 };
  picture.add(rectElement(bar, `rx="2" fill="${roleStyles[role].colour}" fill-opacity="0.75"`));
  const [low, high] = [at(value.low), at(value.high)];
  const style = `stroke="${ink.text}" stroke-width="1.5"`;
  picture.add(lineElement(low, middle, high, middle, style));
  for (const x of [low, high]) picture.add(pathElement([[x, middle - 5], [x, middle + 5]], style)); // biome-ignore format: one line
  picture.text(right + 12, middle + 4.5, note, { size: labelSize });
}
