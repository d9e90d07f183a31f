/**
 * @file Reads our TypeScript well enough to judge it: which files exist, what they import, where functions begin and
 * end. A lexer blanks comments and the contents of strings, templates and regular expressions, keeping every position,
 * so that brackets can be matched and keywords trusted. It knows our formatter's output, not all of JavaScript.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join, posix, relative, sep } from "node:path";

/** Root of the repository. */
export const repositoryRoot: string = join(import.meta.dirname, "..", "..");

/** One source file: `code` is `text` with everything that is not code blanked out. */
export interface SourceFile {
  /** From the root of the repository, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly code: string;
}

/** One import or re-export. */
export interface ImportStatement {
  readonly specifier: string;
  readonly line: number;
  /** `import type` and `export type` vanish when types are stripped. */
  readonly isTypeOnly: boolean;
}

/** Lines of one function, first and last included. */
export interface FunctionSpan {
  readonly name: string;
  readonly firstLine: number;
  readonly lastLine: number;
}

/** Paths of the files under `folder` that satisfy `accept`, sorted, from the root of the repository. */
export function listFiles(folder: string, accept: (path: string) => boolean): string[] {
  const root = join(repositoryRoot, folder);
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(repositoryRoot, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .filter((path) => !path.includes("node_modules/") && accept(path))
    .sort();
}

/** Library code under `src/`: TypeScript without the tests. */
export function readSources(): SourceFile[] {
  return listFiles("src", (path) => path.endsWith(".ts") && !path.endsWith(".test.ts")).map((path) => {
    const text = readFileSync(join(repositoryRoot, path), "utf8");
    return { path, text, code: blankNonCode(text) };
  });
}

const blank = (text: string): string => text.replace(/[^\n]/g, " ");

/** True when a `/` after `before` starts a regular expression, not a division. */
function startsRegExp(before: string): boolean {
  const previous = before.trimEnd();
  if (/\b(?:return|typeof|case|in|of|do|else|void|delete|yield|await)$/.test(previous)) return true;
  return !/[\w$)\]}"'`]$/.test(previous);
}

/** End of the string that opens at `start`, its quote included. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== text[start]) at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}

/** End of the regular expression that opens at `start`, flags left over. */
function endOfRegExp(text: string, start: number): number {
  let inClass = false;
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === "[") inClass = true;
    else if (text[at] === "]") inClass = false;
    else if (text[at] === "/" && !inClass) return at + 1;
  }
  return text.length;
}

/** End of the text that opens at `start` and runs up to the next closing or opening mark of a template. */
function endOfTemplatePart(text: string, start: number): { end: number; isOpen: boolean } {
  for (let at = start; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === "`") return { end: at + 1, isOpen: false };
    else if (text[at] === "$" && text[at + 1] === "{") return { end: at + 2, isOpen: true };
  }
  return { end: text.length, isOpen: false };
}

/** `text` with comments and the contents of literals replaced by blanks; quotes, newlines and positions stay. */
export function blankNonCode(text: string): string {
  let code = "";
  const braces: ("block" | "template")[] = [];
  const skipTo = (end: number): void => {
    code += blank(text.slice(code.length, end));
  };
  const quote = (end: number): void => {
    const [first, last] = [text[code.length]!, text[end - 1]!];
    code += first + blank(text.slice(code.length + 1, end - 1)) + last;
  };
  const template = (start: number): void => {
    const part = endOfTemplatePart(text, start);
    skipTo(part.end);
    if (part.isOpen) braces.push("template");
  };
  while (code.length < text.length) {
    const at = code.length;
    const character = text[at]!;
    const pair = text.slice(at, at + 2);
    if (pair === "//") skipTo(text.indexOf("\n", at) === -1 ? text.length : text.indexOf("\n", at));
    else if (pair === "/*") skipTo(text.indexOf("*/", at + 2) + 2);
    else if (character === '"' || character === "'") quote(endOfString(text, at));
    else if (character === "/" && startsRegExp(code)) quote(endOfRegExp(text, at));
    else if (character === "`") template(at + 1);
    else if (character === "}" && braces.pop() === "template") template(at + 1);
    else {
      if (character === "{") braces.push("block");
      code += character;
    }
  }
  return code;
}

/** Line of position `at`, counted from 1. */
export function lineOf(text: string, at: number): number {
  return text.slice(0, at).split("\n").length;
}

/** Every static import, re-export and `import()` with a literal specifier. */
export function importsOf(file: SourceFile): ImportStatement[] {
  const pattern = /(?:\b(import|export)\b(\s+type\b(?!\s*(?:,|from)))?[\w\s{},*$]*?\bfrom\s*|\bimport\s*\(?\s*)(["'])/g;
  return [...file.code.matchAll(pattern)].map((match) => {
    const start = match.index + match[0].length;
    const specifier = file.text.slice(start, file.code.indexOf(match[3]!, start));
    return { specifier, line: lineOf(file.text, match.index), isTypeOnly: match[2] !== undefined };
  });
}

/** Repository path of a relative import, or `null` for a package. */
export function resolveImport(from: string, specifier: string): string | null {
  return specifier.startsWith(".") ? posix.join(posix.dirname(from), specifier) : null;
}

const closing: { readonly [open: string]: string } = { "(": ")", "[": "]", "{": "}" };

/** Position just after the bracket that closes the one at `start`. */
export function endOfBracket(code: string, start: number): number {
  const open = code[start]!;
  const close = closing[open]!;
  let depth = 0;
  for (let at = start; at < code.length; at++) {
    if (code[at] === open) depth++;
    else if (code[at] === close && --depth === 0) return at + 1;
  }
  return code.length;
}

const skipSpace = (code: string, at: number): number => at + code.slice(at).search(/\S|$/);

/** Position of the `{` of the body after a return type that starts at `start`, or -1. */
function bodyAfterType(code: string, start: number): number {
  let expectsOperand = true;
  for (let at = skipSpace(code, start); at < code.length; at = skipSpace(code, at)) {
    const rest = code.slice(at, at + 200);
    const word = /^[\w$."']+/.exec(rest)?.[0];
    if (word !== undefined) {
      at += word.length;
      expectsOperand = /^(?:readonly|keyof|typeof|is|asserts|extends|infer|unique)$/.test(word);
    } else if (rest.startsWith("=>"))
      return -1; // a function type, or an arrow: the caller looks for that itself
    else if (/^[|&?:]/.test(rest)) {
      at++;
      expectsOperand = true;
    } else if (rest[0] === "<") at += /^<[^;{}]*>/.exec(rest)?.[0].length ?? 1;
    else if (rest[0] === "{" && !expectsOperand) return at;
    else if (rest[0]! in closing) {
      at = endOfBracket(code, at);
      expectsOperand = false;
    } else return -1;
  }
  return -1;
}

/** End of the expression that starts at `start`: the first separator outside brackets. */
function endOfExpression(code: string, start: number): number {
  for (let at = start; at < code.length; at++) {
    if (code[at]! in closing) at = endOfBracket(code, at) - 1;
    else if (/[,;)\]}]/.test(code[at]!)) return at;
  }
  return code.length;
}

const notFunctions = new Set(["if", "for", "while", "switch", "catch", "case", "return", "await", "with"]);

/** Every function, method and arrow with its lines. */
export function functionsOf(file: SourceFile): FunctionSpan[] {
  const { code } = file;
  const spans: FunctionSpan[] = [];
  const add = (name: string, start: number, end: number): void => {
    spans.push({ name, firstLine: lineOf(code, start), lastLine: lineOf(code, end - 1) });
  };
  for (const { index } of code.matchAll(/\(/g)) {
    const before = /([\w$]+)\s*(?:<[^()]*>)?\s*$/.exec(code.slice(Math.max(0, index - 200), index))?.[1] ?? "";
    if (notFunctions.has(before)) continue;
    const after = skipSpace(code, endOfBracket(code, index));
    const body = code[after] === "{" ? after : code[after] === ":" ? bodyAfterType(code, after + 1) : -1;
    if (body !== -1) add(before, index, endOfBracket(code, body));
  }
  for (const { index } of code.matchAll(/=>/g)) {
    const body = skipSpace(code, index + 2);
    const end = code[body] === "{" ? endOfBracket(code, body) : endOfExpression(code, body);
    add("arrow", index, end);
  }
  return spans;
}
