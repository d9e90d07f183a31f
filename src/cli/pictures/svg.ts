/**
 * @file The paper every picture is drawn on: SVG on a light ground of its own, so that it reads on pages of any theme.
 * Text is placed with its width known; `finish` refuses a picture that text would leave.
 */
import { ShapeError } from "../../util/index.ts";
import { breakText, measureText } from "./text.ts";

/** Colours that carry no meaning. */
export const ink = { text: "#24292f", faint: "#57606a", grid: "#d0d7de", paper: "#ffffff" } as const;

/** Distance of anything from the edge. */
export const margin = 16;

/** How text stands. */
export interface TextStyle {
  /** @defaultValue 13 */
  readonly size?: number;
  /** What of the text is at `x`. @defaultValue `start` */
  readonly anchor?: "start" | "middle" | "end";
  /** @defaultValue `ink.text` */
  readonly colour?: string;
}

/** A rectangle, `x` and `y` its upper left corner. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Text that may stand in SVG. */
export const escapeXml = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

/** The room that one line takes, `y` being its baseline. */
export function textBox(x: number, y: number, text: string, { size = 13, anchor = "start" }: TextStyle = {}): Box {
  const width = measureText(text, size);
  const left = anchor === "start" ? x : anchor === "end" ? x - width : x - width / 2;
  return { x: left, y: y - 0.8 * size, width, height: size };
}

const digits = (value: number): string => Number(value.toFixed(1)).toString();

/** A picture in the making. */
export interface Picture {
  /** One line of text, `y` its baseline. */
  text(x: number, y: number, text: string, style?: TextStyle): void;
  /** Lines of at most `width`, the first baseline at `y`; returns the baseline after the last. */
  paragraph(y: number, text: string, style?: TextStyle): number;
  /** Any other element. */
  add(element: string): void;
  /**
   * The SVG.
   *
   * @throws {@link ShapeError} when text would leave the picture.
   */
  finish(height: number): string;
}

/** An empty picture. */
export function createPicture(width: number): Picture {
  const elements: string[] = [];
  const boxes: { readonly text: string; readonly box: Box }[] = [];
  const picture: Picture = {
    text(x, y, text, style = {}) {
      const { size = 13, anchor = "start", colour = ink.text } = style;
      boxes.push({ text, box: textBox(x, y, text, style) });
      elements.push(
        `<text x="${digits(x)}" y="${digits(y)}" font-size="${size}" text-anchor="${anchor}" fill="${colour}">${escapeXml(text)}</text>`,
      );
    },
    paragraph(y, text, style = {}) {
      const { size = 13 } = style;
      const lines = breakText(text, size, width - 2 * margin);
      for (const [index, line] of lines.entries()) picture.text(margin, y + 1.35 * size * index, line, style);
      return y + 1.35 * size * lines.length;
    },
    add(element) {
      elements.push(element);
    },
    finish(height) {
      const left = boxes.find(
        ({ box }) => box.x < 0 || box.y < 0 || box.x + box.width > width || box.y + box.height > height,
      );
      if (left !== undefined)
        throw new ShapeError(
          "picture",
          `text inside ${width} × ${digits(height)}`,
          `"${left.text}" at ${JSON.stringify(left.box)}`,
        );
      return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${digits(width)} ${digits(height)}" font-family="system-ui, 'DejaVu Sans', sans-serif">
<rect x="0.5" y="0.5" width="${digits(width - 1)}" height="${digits(height - 1)}" rx="6" fill="${ink.paper}" stroke="${ink.grid}"/>
${elements.join("\n")}
</svg>
`;
    },
  };
  return picture;
}

/** A straight line. */
export const lineElement = (x1: number, y1: number, x2: number, y2: number, style: string): string =>
  `<path d="M${digits(x1)} ${digits(y1)}L${digits(x2)} ${digits(y2)}" fill="none" ${style}/>`;

/** A polyline through points. */
export const pathElement = (points: readonly (readonly [x: number, y: number])[], style: string): string =>
  `<path d="${points.map(([x, y], index) => `${index === 0 ? "M" : "L"}${digits(x)} ${digits(y)}`).join("")}" fill="none" ${style}/>`;

/** A filled rectangle. */
export const rectElement = ({ x, y, width, height }: Box, style: string): string =>
  `<rect x="${digits(x)}" y="${digits(y)}" width="${digits(width)}" height="${digits(height)}" ${style}/>`;
