/**
 * @file How well a text suits a model, measured before any work: a small model that knows an invented world cannot learn a
 * page of plain English, and it is better to say so first. Two measures: the share of words that its pretraining never
 * showed it, for models that bring the list (`words.txt`), and how well it predicts the text, for any model.
 */

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Engine } from "../engine/index.ts";
import { encodePrompt } from "../models/index.ts";
import { writeFileAtomic } from "../registry/index.ts";

/** How well some texts suit a model. */
export interface Familiarity {
  readonly numWords: number;
  /** Share of the words, each as often as it comes, that pretraining never showed; `null` where the model brings no list. */
  readonly unknownShare: number | null;
  /** The commonest of them. */
  readonly unknownWords: readonly string[];
  /** Of the texts under the model, in their order of bytes; `null` when nothing could be scored. */
  readonly bitsPerByte: number | null;
  /** Of a code that knows how often each byte comes in these texts and nothing else: a model that needs more has no idea of them. */
  readonly bitsPerByteByFrequency: number;
  /** True when the model cannot be expected to learn the texts. */
  readonly isForeign: boolean;
}

/** Letters; in scripts that part no words each letter counts as one. */
const word = /[\p{sc=Han}\p{sc=Hira}\p{sc=Kana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmr}\p{sc=Mymr}\p{sc=Tibt}]|[\p{L}\p{M}]+/gu;

/** Words of a text in lower case; numbers are none. */
export const wordsOf = (text: string): string[] => text.normalize("NFC").toLowerCase().match(word) ?? [];

const wordsFile = "words.txt";

/**
 * Writes the words of a model's pretraining text beside it: sorted, one on a line.
 *
 * @param fewest - How often a word must come to count; text that coins words brings each of them once. @defaultValue 1
 */
export function writeKnownWords(directory: string, documents: Iterable<string>, fewest = 1): void {
  const counts = new Map<string, number>();
  for (const document of documents) for (const name of wordsOf(document)) counts.set(name, (counts.get(name) ?? 0) + 1);
  const words = [...counts].flatMap(([name, count]) => (count >= fewest ? [name] : []));
  writeFileAtomic(join(directory, wordsFile), `${words.toSorted().join("\n")}\n`);
}

/** Words that the pretraining of the model in `directory` showed; `null` where it brings no list. */
export async function loadKnownWords(directory: string): Promise<ReadonlySet<string> | null> {
  const file = join(directory, wordsFile);
  return existsSync(file) ? new Set((await readFile(file, "utf8")).split("\n")) : null;
}

/** More unknown words than this are no longer a few new names. */
const mostUnknown = 0.25;
/** Texts that are scored at most, spread evenly. */
const numScored = 16;
const maxExamples = 5;

/**
 * Measures how well `texts` suit a model.
 *
 * @param known - Words of its pretraining, see {@link loadKnownWords}.
 */
export async function measureFamiliarity(
  engine: Engine,
  known: ReadonlySet<string> | null,
  texts: readonly string[],
  signal?: AbortSignal,
): Promise<Familiarity> {
  const words = texts.flatMap(wordsOf);
  const unknown = known === null ? [] : words.filter((name) => !known.has(name));
  const unknownShare = known === null || words.length === 0 ? null : unknown.length / words.length;
  const every = Math.max(1, texts.length / numScored);
  const sample = texts.filter((_, index) => Math.floor(index % every) === 0).slice(0, numScored);
  const bitsPerByte = await scoreTexts(engine, sample, signal);
  const bitsPerByteByFrequency = entropyOfBytes(sample);
  return {
    numWords: words.length,
    unknownShare,
    unknownWords: commonest(unknown),
    bitsPerByte,
    bitsPerByteByFrequency,
    isForeign: (unknownShare ?? 0) > mostUnknown || (bitsPerByte !== null && bitsPerByte > bitsPerByteByFrequency),
  };
}

function commonest(words: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const name of words) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts]
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, maxExamples)
    .map(([name]) => name);
}

/** Bits per byte of the texts under the model; a first token that nothing stands before is not counted. */
async function scoreTexts(engine: Engine, texts: readonly string[], signal?: AbortSignal) {
  const { model, tokenizer } = engine;
  const sequences = texts
    .map((text) => encodePrompt(tokenizer, text).slice(0, model.maxSeqLen))
    .filter((tokenIds) => tokenIds.length > 1);
  const scored = await engine.score(
    sequences.map((tokenIds) => ({ tokenIds })),
    { signal },
  );
  const nats = scored.reduce((total, logprobs) => total - logprobs.reduce((sum, value) => sum + value, 0), 0);
  const numBytes = sequences.reduce(
    (total, tokenIds) => total + Buffer.byteLength(tokenizer.decode(tokenIds.slice(1))),
    0,
  );
  return numBytes === 0 ? null : nats / Math.LN2 / numBytes;
}

/** Entropy of single bytes in bits, with Miller and Madow's correction for short texts. */
function entropyOfBytes(texts: readonly string[]): number {
  const counts = new Float64Array(256);
  let total = 0;
  for (const text of texts)
    for (const byte of Buffer.from(text)) {
      counts[byte]!++;
      total++;
    }
  if (total === 0) return 0;
  const seen = counts.filter((count) => count > 0);
  const plain = seen.reduce((sum, count) => sum - (count / total) * Math.log2(count / total), 0);
  return plain + (seen.length - 1) / (2 * total * Math.LN2);
}

const percent = (share: number): string => `${Math.round(100 * share)} %`;

/** What a user is told before the work; `null` when the texts suit the model. */
export function describeFamiliarity(familiarity: Familiarity): string | null {
  const { unknownShare, unknownWords, bitsPerByte, bitsPerByteByFrequency, isForeign } = familiarity;
  if (!isForeign) return null;
  const cure = "take a checkpoint that was trained on such text with --model <dir>";
  if (unknownShare !== null && unknownShare > mostUnknown)
    return `${percent(unknownShare)} of the words in these documents are unknown to this model (${unknownWords.join(", ")}, …): it was never shown them and cannot learn what they say; ${cure}`;
  return `this model needs ${bitsPerByte!.toFixed(1)} bits for each byte of these documents, more than the frequencies of their letters alone would (${bitsPerByteByFrequency.toFixed(1)}): it does not know their language; ${cure}`;
}
