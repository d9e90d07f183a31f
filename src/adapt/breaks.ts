/**
 * @file Where a text may be cut: at the ends of sentences in any script, else at lines, clauses, words, characters.
 * Sentences are those of `Intl.Segmenter` (Unicode Standard Annex 29), mended where its rules are known to be wrong:
 * abbreviations ("Dr. Smith"), a small letter after a quoted mark (`"Stop!" he said`), an opening bracket left behind
 * (`。「`), a closing one that a space parts from its sentence, an ellipsis, Tibetan marks, and lines of a paragraph that only wrap.
 */

const bySentence = new Intl.Segmenter(undefined, { granularity: "sentence" });
const byWord = new Intl.Segmenter(undefined, { granularity: "word" });
const byCharacter = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** Abbreviations that a name or a word follows; their stop ends nothing. */
const beforeWords = new Set(
  "mr mrs ms dr prof st sr rev hon gen col maj capt cmdr lt sgt gov sen rep pres mt ft vs viz cf e.g i.e ca approx mme mlle mm messrs hr fr frl dipl z.b d.h u.a bzw resp dott sig sra srta av".split(
    " ",
  ),
);
/** Abbreviations that a number follows. */
const beforeNumbers = new Set(
  "no nos nr fig figs vol vols p pp art abs sec ch chap eq ref tab st op jan feb mar apr jun jul aug sep sept oct nov dec".split(
    " ",
  ),
);

const opening = /[([{“‘«‹「『（《〈【〔｢¿¡„‚]/u;

/** True when the stop at the end of `before` belongs to an abbreviation or an initial. */
function isAbbreviation(before: string, after: string): boolean {
  const word = /(?:^|[^\p{L}\p{N}.])((?:\p{L}+\.)*\p{L}+)\.$/u.exec(before)?.[1];
  if (word === undefined) return false;
  if (/^(?:\p{Lu}\.)*\p{Lu}$/u.test(word)) return true; // J. R. Marsh, the U.S. Army
  const name = word.toLowerCase();
  return beforeWords.has(name) || (beforeNumbers.has(name) && /^\p{N}/u.test(after));
}

/** A break where the annex sees one, moved or dropped where it is wrong; `null` when dropped. */
function mend(text: string, at: number): number | null {
  let place = at;
  while (place > 0 && opening.test(text[place - 1]!)) place--;
  place += /^[»”’」』）】)\]]+\s*/u.exec(text.slice(place, place + 40))?.[0].length ?? 0; // « Oui. » Il part.
  const before = text.slice(Math.max(0, place - 40), place).trimEnd();
  const after = text.slice(place, place + 40).trimStart();
  if (before === "" || after === "") return null;
  const isLine = text.slice(before.length + Math.max(0, place - 40), place).includes("\n");
  if (!isLine && /^["'”’»)\]]*\p{Ll}/u.test(after)) return null;
  return !isLine && isAbbreviation(before, after) ? null : place;
}

/** Marks that the annex does not end sentences with. */
const otherEnds = /(?:[…⋯][\p{Pe}\p{Pf}"']*\s+(?=[\p{Pi}\p{Ps}"']*[\p{Lu}\p{Lo}])|[།༎༔]+\s+|\u037e\s+)/gu;
/** A line break inside a paragraph, unless a heading ends before it, or an item, a heading or a row begins after it. */
const wrap = /(?<!(?:^|\n)#{1,6} [^\n]{0,200})\n(?![ \t]*(?:\n|[-*+•–#>|]|\p{N}+[.)]\s))/gu;

/** Offsets inside `text` where a sentence begins, in order. */
export function sentenceBreaks(text: string): number[] {
  const flat = text.replace(wrap, " ");
  const breaks = new Set<number>();
  for (const { index } of bySentence.segment(flat)) {
    const at = index === 0 ? null : mend(flat, index);
    if (at !== null) breaks.add(at);
  }
  for (const match of flat.matchAll(otherEnds)) breaks.add(match.index + match[0].length);
  return [...breaks].filter((at) => at > 0 && at < text.length).toSorted((a, b) => a - b);
}

/** The sentences of a text, white space after each included: joined they give the text. */
export function sentencesOf(text: string): string[] {
  const places = [0, ...sentenceBreaks(text), text.length];
  return places.slice(1).map((end, index) => text.slice(places[index], end));
}

/** Full stops of scripts that part sentences without a space, for a class of characters in a regular expression. */
export const fullStops = "。！？｡؟۔।॥።፧፨។៕။";

const nearestOf = (places: Iterable<number>, middle: number): number | null => {
  let best: number | null = null;
  for (const at of places) if (best === null || Math.abs(at - middle) < Math.abs(best - middle)) best = at;
  return best;
};

/** How much of a window's beginning is not trusted: an abbreviation may have been cut there. */
const margin = 64;

/** Beginning of the sentence nearest to `middle`, looked for in ever wider windows; `null` in a single sentence. */
function nearestSentence(text: string, middle: number): number | null {
  for (let reach = 1024; ; reach *= 4) {
    const from = Math.max(0, middle - reach);
    const to = Math.min(text.length, middle + reach);
    const places = sentenceBreaks(text.slice(from, to)).filter((at) => from === 0 || at > margin);
    const best = nearestOf(places, middle - from);
    if (best !== null) return from + best;
    if (from === 0 && to === text.length) return null;
  }
}

/** End of the match nearest to `middle` within the inner half of the text; `null` when there is none. */
function nearestMatch(text: string, boundary: RegExp, middle: number): number | null {
  const from = middle >> 1;
  const inner = text.slice(from, middle + (middle >> 1));
  return nearestOf(
    inner
      .matchAll(boundary)
      .map((match) => from + match.index + match[0].length)
      .filter((at) => at > 0 && at < text.length),
    middle,
  );
}

const paragraph = /\n[ \t]*\n\s*/g;
const line = /\n+/g;
/** Ends of sentences where small letters follow, as in chats, and full stops of ASCII or ellipses between Chinese and Japanese letters. */
const plainEnd =
  /(?:[.!?…]+["'”’»)\]]*\s+|(?<=[\p{sc=Han}\p{sc=Hira}\p{sc=Kana}])(?:[.!?]+|…+)[\p{Pe}\p{Pf}]*(?=[\p{sc=Han}\p{sc=Hira}\p{sc=Kana}])|；)/gu;
/** Marks inside a sentence: with a space after them where the script writes one; in Thai and Lao the space alone. */
const clause =
  /(?:[,;:]["'”’»)\]]*\s+|[，、；：،؛၊፣፤፥፦][\p{Pe}\p{Pf}]*\s*|\s*[—–]\s+|—|(?<=[\u0E00-\u0EFF])\s+(?=[\u0E00-\u0EFF]))/gu;

/** Beginning of the word nearest to `middle`: marks stay with the word before them. */
function nearestWord(text: string, middle: number): number | null {
  const reach = 256;
  const from = wholeCharacter(text, Math.max(0, middle - reach));
  const places: number[] = [];
  for (const { index, segment, isWordLike } of byWord.segment(text.slice(from, middle + reach)))
    if (index > 0 && (isWordLike || opening.test(segment))) places.push(from + index);
  return nearestOf(
    places.filter((at) => at > 0 && at < text.length),
    middle,
  );
}

/** `at`, moved off the middle of a surrogate pair. */
const wholeCharacter = (text: string, at: number): number => ((text.charCodeAt(at) & 0xfc00) === 0xdc00 ? at + 1 : at);

/** Beginning of the character, as people see it, nearest to `middle`; one of more than 64 units is cut in its middle. */
function nearestCharacter(text: string, middle: number): number {
  const from = wholeCharacter(text, Math.max(0, middle - 64));
  const places = [...byCharacter.segment(text.slice(from, middle + 64))].map(({ index }) => from + index);
  const best = nearestOf(
    places.filter((at) => at > from && at < text.length),
    middle,
  );
  return best ?? wholeCharacter(text, middle);
}

/**
 * Where to cut a text of at least two characters in two: near its middle, at the best kind of place there is. Sentences
 * are kept whole: a place inside one is taken only when the whole text is one sentence.
 */
export function bestBreak(text: string): number {
  const middle = text.length >> 1;
  return (
    nearestMatch(text, paragraph, middle) ??
    nearestSentence(text, middle) ??
    nearestMatch(text, line, middle) ??
    nearestMatch(text, plainEnd, middle) ??
    nearestMatch(text, clause, middle) ??
    nearestWord(text, middle) ??
    nearestCharacter(text, middle)
  );
}
