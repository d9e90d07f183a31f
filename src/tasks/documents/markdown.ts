/** @file A Markdown file as title and text. Markup inside the text stays as it is. */
import { readFrontMatter } from "./front-matter.ts";

/** A Markdown file, read. */
export interface MarkdownText {
  readonly title: string;
  readonly text: string;
  readonly hasFrontMatter: boolean;
}

interface Heading {
  readonly title: string;
  /** Lines of the heading. */
  readonly from: number;
  readonly to: number;
}

/** Headings of the first level, outside of code. */
function topHeadings(lines: readonly string[]): Heading[] {
  const headings: Heading[] = [];
  let fence: string | null = null;
  lines.forEach((line, index) => {
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1];
    if (mark !== undefined) {
      if (fence === null) fence = mark;
      else if (mark.startsWith(fence)) fence = null;
      return;
    }
    if (fence !== null) return;
    const atx = /^ {0,3}#(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$/.exec(line);
    if (atx?.[1]) headings.push({ title: atx[1].trim(), from: index, to: index + 1 });
    else if (/^ {0,3}=+[ \t]*$/.test(line) && isParagraphLine(lines, index - 1))
      headings.push({ title: lines[index - 1]!.trim(), from: index - 1, to: index + 1 });
  });
  return headings;
}

/** True for a line of text with nothing but a blank line, or the top, above it. */
const isParagraphLine = (lines: readonly string[], index: number): boolean =>
  index >= 0 &&
  /^ {0,3}[^\s#>]/.test(lines[index]!) &&
  !/^ {0,3}[-*+] /.test(lines[index]!) &&
  (index === 0 || lines[index - 1]!.trim() === "");

const isSame = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

/**
 * Title and text of a Markdown file. The title is that of the front matter, else the heading at the top, else the only
 * heading of the first level. A heading at the top that says the title is taken out of the text, any other stays.
 */
export function readMarkdown(source: string): MarkdownText {
  const { body, title, format } = readFrontMatter(source);
  const lines = body.trim().split("\n");
  const headings = topHeadings(lines);
  const first = headings[0]?.from === 0 ? headings[0] : null;
  const found = title || (first?.title ?? (headings.length === 1 ? headings[0]!.title : ""));
  const isTitle = first !== null && isSame(first.title, found);
  const text = (isTitle ? lines.slice(first.to) : lines).join("\n").trim();
  return { title: found, text, hasFrontMatter: format !== null };
}
