/**
 * @file The head that editors and site generators keep in front of a Markdown text: YAML between `---` lines, TOML between
 * `+++` lines, or a JSON object. It is data about the text, not text. A `---` at the top that opens no such head is a line
 * across the page and stays. So do the lines of MultiMarkdown (`Title: Seals`) and of pandoc (`% Seals`): CommonMark has
 * them as a paragraph, and nothing tells them from one that begins with "Note: the mill closed".
 */
import { parse as parseToml } from "smol-toml";
import { parseDocument } from "yaml";

/** A Markdown file, its head taken off. */
export interface FrontMatter {
  readonly body: string;
  /** `null` when the file has no head. */
  readonly format: "yaml" | "toml" | "json" | null;
  /** The head's title; empty when it gives none. */
  readonly title: string;
}

type Head = { readonly [key: string]: unknown };

const isObject = (value: unknown): value is Head =>
  value !== null && typeof value === "object" && !Array.isArray(value) && !(value instanceof Date);

/** Keys that show a head even where its YAML is broken, as `title: One: two` is. */
const usualKeys = new Set(
  "title date tags author authors layout draft categories category description aliases alias slug lang created updated modified permalink summary keywords type weight source status subtitle cssclass cssclasses publish".split(
    " ",
  ),
);

const keyOf = (line: string): string | null =>
  /^["']?([\p{L}_][\p{L}\p{N}_ .-]*?)["']?\s*:(?:\s|$)/u.exec(line)?.[1] ?? null;

/** Reads a head that is YAML in shape but not in law, line by line. */
function readLoosely(source: string): Head | null {
  const head: Record<string, string> = {};
  for (const line of source.split("\n")) {
    if (/^(?:\s|-\s|#|$)/.test(line)) continue; // inside a value, a list, a comment
    const key = keyOf(line)?.toLowerCase();
    if (key === undefined || (key in head && !usualKeys.has(key))) return null; // prose, or a dialogue
    if (key in head) continue; // the first counts
    head[key] = line.slice(line.indexOf(":") + 1).trim();
  }
  return Object.keys(head).some((key) => usualKeys.has(key)) ? head : null;
}

function readYaml(source: string): Head | null {
  if (source.trim() === "") return {};
  const document = parseDocument(source, { logLevel: "silent" });
  if (document.errors.length > 0) return readLoosely(source);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 }) as unknown;
  } catch {
    return readLoosely(source); // aliases that lead nowhere, or too many
  }
  if (isObject(value)) return value;
  return value === null && /^\s*#/m.test(source) && !/^[^#\s]/m.test(source) ? {} : null; // comments alone
}

function readToml(source: string): Head | null {
  try {
    return parseToml(source);
  } catch {
    return null;
  }
}

/** Lines between a first line `open` and the next of `closings`; `null` without them, or when a blank line follows the first. */
function between(text: string, open: string, closings: readonly string[]): { head: string; body: string } | null {
  const lines = text.split("\n");
  if (lines[0]!.trimEnd() !== open || lines[1] === undefined || lines[1].trim() === "") return null;
  const end = lines.findIndex((line, index) => index > 0 && closings.includes(line.trimEnd()));
  return end < 0 ? null : { head: lines.slice(1, end).join("\n"), body: lines.slice(end + 1).join("\n") };
}

/** Length of the JSON object that a text begins with, up to the end of its line; 0 when there is none. */
function jsonLength(text: string): number {
  let [depth, isString] = [0, false];
  for (let at = 0; at < text.length; at++) {
    const letter = text[at];
    if (isString) {
      if (letter === "\\") at++;
      else isString = letter !== '"';
    } else if (letter === '"') isString = true;
    else if (letter === "{") depth++;
    else if (letter === "}" && --depth === 0) return /^[ \t]*(?:\n|$)/.test(text.slice(at + 1)) ? at + 1 : 0;
  }
  return 0;
}

function readJson(text: string): { head: Head; body: string } | null {
  const length = jsonLength(text);
  if (length === 0) return null;
  try {
    const head: unknown = JSON.parse(text.slice(0, length));
    return isObject(head) && Object.keys(head).length > 0 ? { head, body: text.slice(length) } : null;
  } catch {
    return null;
  }
}

function titleOf(head: Head): string {
  const key = Object.keys(head).find((name) => name.toLowerCase() === "title");
  const title = key === undefined ? null : head[key];
  if (typeof title === "string") return title.replace(/\s+/g, " ").trim();
  return typeof title === "number" ? `${title}` : "";
}

/** Takes the head off a Markdown text with `\n` line ends and no byte order mark; blank lines may stand above it. */
export function readFrontMatter(source: string): FrontMatter {
  const none: FrontMatter = { body: source, format: null, title: "" };
  const text = source.replace(/^(?:[ \t]*\n)+/, "");
  if (text.startsWith("---")) {
    const parts = between(text, "---", ["---", "..."]);
    const head = parts === null ? null : readYaml(parts.head);
    return head === null ? none : { body: parts!.body, format: "yaml", title: titleOf(head) };
  }
  if (text.startsWith("+++")) {
    const parts = between(text, "+++", ["+++"]);
    const head = parts === null ? null : readToml(parts.head);
    return head === null ? none : { body: parts!.body, format: "toml", title: titleOf(head) };
  }
  if (!text.startsWith("{")) return none;
  const parts = readJson(text);
  return parts === null ? none : { body: parts.body, format: "json", title: titleOf(parts.head) };
}
