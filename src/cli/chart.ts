/** @file Pictures of results: horizontal bars with 95 % intervals, as SVG that reads on light and dark pages. */
import type { Interval } from "../util/index.ts";

/** One bar. */
export interface Bar {
  readonly name: string;
  /** Share in [0, 1] with its interval. */
  readonly value: Interval;
  /** Text behind the bar. */
  readonly note: string;
}

const rowHeight = 34;
const labelWidth = 290;
const barWidth = 420;
const noteWidth = 210;
const top = 54;

/** Text that may stand in SVG. */
export const escapeXml = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** Characters of the caption that fit on a line. */
const captionWidth = 148;

/** Text in lines of at most `width` characters, broken between words. */
function breakLines(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** Bars on a scale from 0 to 100 %. */
export function drawBars(title: string, caption: string, bars: readonly Bar[]): string {
  const width = labelWidth + barWidth + noteWidth;
  const bottom = top + bars.length * rowHeight;
  const at = (share: number) => (labelWidth + share * barWidth).toFixed(1);
  const grid = [0, 0.25, 0.5, 0.75, 1].map(
    (share) =>
      `<line x1="${at(share)}" y1="${top - 6}" x2="${at(share)}" y2="${bottom}" stroke="#888" stroke-opacity="0.3"/><text x="${at(share)}" y="${bottom + 16}" text-anchor="middle" font-size="11">${100 * share} %</text>`,
  );
  const rows = bars.map(({ name, value, note }, index) => {
    const y = top + index * rowHeight;
    const middle = y + rowHeight / 2;
    return [
      `<text x="${labelWidth - 10}" y="${middle + 4}" text-anchor="end">${escapeXml(name)}</text>`,
      `<rect x="${labelWidth}" y="${y + 6}" width="${(value.mean * barWidth).toFixed(1)}" height="${rowHeight - 12}" rx="3" fill="#3b7ea1"/>`,
      `<path d="M${at(value.low)} ${middle}H${at(value.high)}M${at(value.low)} ${middle - 5}v10M${at(value.high)} ${middle - 5}v10" stroke="#d08c3c" stroke-width="2" fill="none"/>`,
      `<text x="${labelWidth + barWidth + 12}" y="${middle + 4}">${escapeXml(note)}</text>`,
    ].join("\n");
  });
  const lines = breakLines(caption, captionWidth).map(
    (line, index) => `<text x="12" y="${bottom + 40 + 15 * index}" font-size="11">${escapeXml(line)}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${bottom + 33 + 15 * lines.length}" font-family="system-ui, sans-serif" font-size="13" fill="#777">
<text x="12" y="24" font-size="16">${escapeXml(title)}</text>
${grid.join("\n")}
${rows.join("\n")}
${lines.join("\n")}
</svg>
`;
}
