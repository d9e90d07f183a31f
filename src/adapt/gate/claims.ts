/** @file Cuts a text into what it claims: sentences, lines, and questions with their answers. */
import { auxiliaries, denials, openers, prepositions, pronouns } from "./lexicon.ts";
import { contentOf, type ScreenWord, screenWords } from "./words.ts";

/** One statement. */
export interface Claim {
  /** As it stands in the text; a question and its answer are joined by "→". */
  readonly text: string;
  readonly words: readonly ScreenWord[];
  /** Words that give a value and nothing else: an answer, or what follows a label. */
  readonly value: readonly ScreenWord[];
  /** Number of words that ask for it: of the question or the label. */
  readonly numAsked: number;
  /** Odd number of denials. */
  readonly isDenied: boolean;
  /** Answered with yes or no. */
  readonly confirms: boolean | null;
}

/** A part of a passage that is about one thing. */
export interface Clause {
  readonly words: readonly ScreenWord[];
  readonly stems: ReadonlySet<string>;
  /** All words of the sentence it stands in. */
  readonly sentence: ReadonlySet<string>;
  /** First name or noun, or that of the sentence before where it begins with a pronoun. */
  readonly subjects: ReadonlySet<string>;
  readonly isDenied: boolean;
}

const speaker = /^\s*(?:[-*•]|\d+[.)]\s|Question(?:\s+\d+)?\s*:|Answer\s*:|[A-Z]\s*:|Q\s*:)\s*/u;
const abbreviations = /\b(?:Mr|Mrs|Ms|Dr|St|Prof|No|e\.g|i\.e|a\.m|p\.m)\.$/u;

/** Sentences and lines, with the marks of lists and speakers taken off. */
export function sentencesOf(text: string): string[] {
  const parts = text.split(/\n+|(?<=[.!?。？！]["”’)]*)\s+|(?<=[。？！])|;\s+|(?<=\p{L}{3}):\s+(?=\p{Lu}[^\n]{40,})/u);
  const joined: string[] = [];
  for (const part of parts) {
    const last = joined.at(-1);
    if (last !== undefined && abbreviations.test(last)) joined[joined.length - 1] = `${last} ${part}`;
    else joined.push(part);
  }
  return joined.map((part) => part.replace(speaker, "").trim()).filter((part) => /[\p{L}\p{N}]/u.test(part));
}

const countDenials = (words: readonly ScreenWord[]): number =>
  words.filter(
    ({ plain }, index) =>
      (denials.has(plain) || plain.endsWith("n't") || plain.endsWith("n’t")) &&
      !(plain === "no" && /^(?:later|more|less|fewer|earlier|longer|sooner)$/u.test(words[index + 1]?.plain ?? "")) &&
      !(plain === "not" && words[index + 1]?.plain === "only") &&
      !words.slice(index + 1, index + 4).some((later) => later.plain === "than") && // "no more than": a bound
      !(plain === "nobody" && /^(?:thought|forgets|doubts|denies)$/u.test(words[index + 1]?.plain ?? "")) &&
      !words.slice(index + 1).some((later) => later.plain === "but"), // "nothing but", "no other but"
  ).length;

/** Each question joined with the sentence after it. */
function paired(sentences: readonly string[]): (readonly [question: string, answer: string])[] {
  const pairs: [string, string][] = [];
  for (let index = 0; index < sentences.length; index++) {
    const sentence = sentences[index]!;
    const isQuestion = /[?？]["”’)]*$/u.test(sentence);
    if (isQuestion && index + 1 < sentences.length) pairs.push([sentence, sentences[++index]!]);
    else pairs.push(isQuestion ? [sentence, ""] : ["", sentence]);
  }
  return pairs;
}

/** True when a word after the first is a name: the first is written large anyway. */
const namesSomebody = (sentence: string): boolean =>
  screenWords(sentence)
    .slice(1)
    .some(({ isName }) => isName);

const exchange = /^Question[^:\n]*:[ \t]*(.+)\nAnswer[ \t]*:[ \t]*(.*)$/gmu;

/** What a question asks, without the sentences around it that ask nothing and name nobody ("Thank you."). */
function askedOf(question: string): string {
  const sentences = sentencesOf(question);
  const asking = sentences.filter((sentence) => /[?？]["”’)]*$/u.test(sentence) || namesSomebody(sentence));
  return (asking.length > 0 ? asking : sentences).join(" ");
}

/** Statements of a document; what says nothing is left out. */
export function claimsOf(document: string): Claim[] {
  const exchanges = [...document.matchAll(exchange)].map(
    ([, question, answer]) => [askedOf(question!), answer!] as const,
  );
  return [...exchanges, ...paired(sentencesOf(document.replace(exchange, "")))]
    .map(([question, answer]) => toClaim(withoutOpener(question), withoutOpener(answer)))
    .filter(({ words }) => contentOf(words).length > 0);
}

/** The sentence without the ways into it that claim nothing, one after another: "Well, it is said that". */
function withoutOpener(sentence: string): string {
  const rest = openers.reduce((left, opener) => left.replace(opener, ""), sentence);
  return rest === sentence ? sentence : withoutOpener(rest);
}

/** What stands before a colon, where it can be the label of a value: a few words without a verb. */
function labelOf(line: string): RegExpExecArray | null {
  const label = /^[^:.!?]{1,40}:\s+(?=\S)/u.exec(line);
  if (label === null || line.length - label[0].length > 40) return null;
  return screenWords(label[0]).some(({ plain }) => auxiliaries.has(plain)) ? null : label;
}

function toClaim(question: string, answer: string): Claim {
  const asked = screenWords(question);
  const said = screenWords(answer);
  const label = question === "" ? labelOf(answer) : null;
  const confirms =
    question === "" ? null : /^yes\b/iu.test(answer) ? true : /^no\b[,.!]?/iu.test(answer) ? false : null;
  const isBare = question !== "" && said.length <= 5;
  const given = label === null ? said : screenWords(answer.slice(label[0].length));
  const asking = label === null ? asked : screenWords(label[0]);
  const words = [...asking, ...given];
  return {
    text: question === "" ? answer : `${question} → ${answer}`,
    words,
    value: label !== null || isBare ? given : [],
    numAsked: asking.length,
    isDenied: countDenials(confirms === null ? words : words.filter(({ plain }) => plain !== "no")) % 2 === 1,
    confirms,
  };
}

const borders =
  /(?<!\p{Lu}\p{L}*)\s+and\s+|(?:[;()—–]|:(?!\d)|,\s+(?:and|but|while|which|who|where|so|or)\b|,(?!\d)|\b(?:but|while|because|when|until|unless|after|before|which|who)\b)\s*|\s+and\s+(?!\p{Lu})/u;

/** The parts of a passage, each with whom or what it is about. */
export function clausesOf(passage: string): Clause[] {
  const clauses: Clause[] = [];
  let before: ReadonlySet<string> = new Set(); // whom a pronoun may stand for
  for (const [question, answer] of paired(sentencesOf(passage))) {
    const sentence = `${question} ${answer}`.trim();
    const all = screenWords(sentence);
    const stems = new Set(all.map(({ stem }) => stem));
    let subjects = subjectsOf(all, before);
    for (const part of cutAt(bracketsLast(sentence))) {
      const words = screenWords(part);
      if (contentOf(words).length === 0) continue;
      subjects = clauses.length > 0 && !hasName(words) ? subjects : subjectsOf(words, subjects);
      clauses.push({
        words,
        stems: new Set(contentOf(words).map(({ stem }) => stem)),
        sentence: stems,
        subjects,
        isDenied: countDenials(screenWords(part)) % 2 === 1,
      });
    }
    const names = all.filter(({ isName, mayBeName }) => isName || mayBeName).map(({ stem }) => stem);
    before = new Set([...before, ...subjectsOf(all, new Set()), ...names]);
  }
  return clauses;
}

/** The sentence with its short brackets behind it: what follows a bracket is about whom stood before it. */
function bracketsLast(sentence: string): string {
  const brackets = [...sentence.matchAll(/\(([^()]{1,40})\)/gu)].map(([, inside]) => inside);
  return brackets.length === 0 ? sentence : [sentence.replace(/\s*\([^()]{1,40}\)/gu, ""), ...brackets].join("; ");
}

/** Parts between borders; the word at a border stays with what follows, as it may deny it. */
export function cutAt(sentence: string): string[] {
  const parts: string[] = [];
  let rest = sentence;
  for (let match = borders.exec(rest.slice(1)); match !== null; match = borders.exec(rest.slice(1))) {
    parts.push(rest.slice(0, match.index + 1));
    const word = /[a-z]+/u.exec(match[0])?.[0] ?? "";
    rest = `${word} ${rest.slice(match.index + 1 + match[0].length)}`;
    if (rest.trim() === word) break;
  }
  return joinShort([...parts, rest]);
}

/** Parts that say nothing but a number or a single word belong to the part before them. */
function joinShort(parts: readonly string[]): string[] {
  const joined: string[] = [];
  for (const part of parts) {
    const content = contentOf(screenWords(part));
    const isShort = content.every(({ isNumber }) => isNumber) || prepositions.has(screenWords(part)[0]?.plain ?? "");
    if (joined.length > 0 && isShort && content.length < 2) joined[joined.length - 1] += ` ${part}`;
    else joined.push(part);
  }
  return joined;
}

const hasName = (words: readonly ScreenWord[]): boolean => nameBegin(words) >= 0;

/** Where a name begins that can be the subject: before it stand no preposition, no verb, and no more than two nouns. */
function nameBegin(words: readonly ScreenWord[]): number {
  const begin = words.findIndex(({ isName }) => isName);
  if (begin < 0) return begin;
  const before = words.slice(0, begin);
  const isBare = before.every(
    ({ plain }) => !prepositions.has(plain) && !auxiliaries.has(plain) && !/ed$/u.test(plain),
  );
  return isBare && contentOf(before).length <= 2 ? begin : -1;
}

/** The first name with what belongs to it, else the first nouns; where a pronoun comes first, also what it may stand for. */
function subjectsOf(words: readonly ScreenWord[], before: ReadonlySet<string>): ReadonlySet<string> {
  const begin = nameBegin(words);
  if (begin >= 0) {
    const own = new Set<string>();
    for (let index = begin; index < words.length && words[index]!.isName; index++) own.add(words[index]!.stem);
    return withReferents(words, own, before);
  }
  const first = words.findIndex(({ isFunction }) => !isFunction);
  const opening = words.slice(0, first < 0 ? words.length : first);
  if (opening.some(({ plain }) => /^(?:he|she|it|they|we|i)$/u.test(plain))) return before;
  const nouns = words.slice(Math.max(first, 0), first + 2).filter(({ isFunction }) => !isFunction);
  return withReferents(words, new Set(nouns.map(({ stem }) => stem)), before);
}

/** `own`, and after them whom the pronouns of the clause may stand for. */
function withReferents(
  words: readonly ScreenWord[],
  own: ReadonlySet<string>,
  before: ReadonlySet<string>,
): ReadonlySet<string> {
  if (own.size === 0) return before;
  return words.some(({ plain }) => pronouns.has(plain) || plain === "him") ? new Set([...own, ...before]) : own;
}
