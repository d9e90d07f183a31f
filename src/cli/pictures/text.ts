/** @file How wide text is in a picture. Nobody knows the reader's font, so widths are those of a wide one, DejaVu Sans. */

/** Advance widths in hundredths of the font size, DejaVu Sans 2.37, of what ASCII has. */
const advances: readonly (readonly [width: number, characters: string])[] = [
  [28, "'ijl"],
  [34, "IJ ,./:;\\|"],
  [41, "f-()[]t!r"],
  [50, '"*_`sz?'],
  [60, "cLFkvxyPTYaoe"],
  [64, "ESbdghnpqu$0123456789{}K"],
  [70, "AVBRXZC"],
  [79, "UHNDG&OQ"],
  [87, "w#+<=>^~M"],
  [100, "%mW@"],
];
const widths = new Map(
  advances.flatMap(([width, characters]) => [...characters].map((each) => [each, width] as const)),
);
const narrow = /^[\u0080-\u024f\u0370-\u052f\u2010-\u2027]$/u; // letters of Europe, dashes, dots: none is wider than an m
const graphemes = new Intl.Segmenter();

/** Width of `text` on one line in the unit of `fontSize`; never less than in a common sans-serif font. */
export function measureText(text: string, fontSize: number): number {
  let hundredths = 0;
  for (const { segment } of graphemes.segment(text))
    hundredths +=
      widths.get(segment) ?? (narrow.test(segment) ? 100 : 100 * Math.min(2, Math.max(1.1, segment.length)));
  return (hundredths * fontSize) / 100;
}

/** `text` in lines of at most `width`, broken between words, and inside a word that is wider than that alone. */
export function breakText(text: string, fontSize: number, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  const fits = (candidate: string) => measureText(candidate, fontSize) <= width;
  for (const word of text.split(/\s+/).filter((each) => each !== "")) {
    const joined = line === "" ? word : `${line} ${word}`;
    if (fits(joined)) {
      line = joined;
      continue;
    }
    if (line !== "") lines.push(line);
    line = "";
    for (const { segment } of graphemes.segment(word)) {
      if (line !== "" && !fits(line + segment)) {
        lines.push(line);
        line = "";
      }
      line += segment;
    }
  }
  return line === "" && lines.length > 0 ? lines : [...lines, line];
}

/** `text` on one line of at most `width`, cut with an ellipsis. */
export function cutText(text: string, fontSize: number, width: number): string {
  const line = text.replace(/\s+/g, " ").trim();
  if (measureText(line, fontSize) <= width) return line;
  const [start] = breakText(line, fontSize, width - measureText("…", fontSize));
  return `${start}…`;
}
