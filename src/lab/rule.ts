import { withoutExamQuestions } from "../adapt/index.ts";

/**
 * @file A writer without a model: the sentences of a passage, one document each, with the name of whom it is about put for
 * every pronoun. It reads the text alone and knows nothing of any world, so that an edit which teaches no more than these
 * sentences owes nothing to the model that wrote it.
 */

/** A text with its title; `""` where it has none. */
interface Titled {
  readonly title: string;
  readonly context: string;
}

/** Ends of sentences: not after a title, a single letter or "St.". */
const abbreviation = /(?:^|[\s(])(?:Mr|Mrs|Ms|Dr|St|Capt|Prof|Rev|Co|No|\p{Lu})\.$/u;

/** The sentences of a text, line ends being ends as well. */
export function sentencesOf(text: string): string[] {
  const sentences: string[] = [];
  for (const piece of text.split(/(?<=[.!?]["'”’)]*)\s+|\n+/u)) {
    const last = sentences.at(-1);
    if (last !== undefined && abbreviation.test(last)) sentences[sentences.length - 1] = `${last} ${piece}`;
    else if (piece.trim() !== "") sentences.push(piece.trim());
  }
  return sentences;
}

const functionWords = new Set(
  "a an and as at but by for from he her him his i if in into it its my no not of on or our she so that the their then there they this to we what when where while who with you your".split(
    " ",
  ),
);

const honorifics = new Set("mr mrs miss ms dr sir madam aunt uncle captain professor".split(" "));

const isNoName = (word: string): boolean => functionWords.has(word.toLowerCase()) || honorifics.has(word.toLowerCase());

/** A run of capitalised words with the lower-case word before it. */
interface ProperName {
  readonly words: readonly string[];
  readonly before: string;
}

function properNamesOf(sentence: string): ProperName[] {
  const names: ProperName[] = [];
  const runs = /(?:(\p{Ll}+)\s+)?(\p{Lu}\p{Ll}+(?:[-’']\p{Lu}\p{Ll}+)*(?:\s+\p{Lu}\p{Ll}+(?:[-’']\p{Lu}\p{Ll}+)*)*)/gu;
  for (const match of sentence.matchAll(runs)) {
    const words = match[2]!.split(/\s+/u);
    if (words[0] === "Dear") continue; // who is written to is not who is written about
    let before = match[1] ?? "";
    while (words.length > 0 && isNoName(words[0]!)) before = words.shift()!.toLowerCase(); // "The Falcon", "At Shaw Mills"
    if (words.length > 0) names.push({ words, before });
  }
  return names;
}

/** Words after which a name is rarely the one that a text is about: places, companies, ships. */
const asides = new Set(["aboard", "at", "by", "for", "from", "in", "near", "ship", "the", "to", "vessel", "with"]);

const isPart = (word: string, [first, ...rest]: readonly string[]): boolean => word === first || word === rest.at(-1);

/**
 * Whom a text is about: its title, else the name of two words or more that is named most often (by its first or last word
 * as well), the first of equals, "Shaw, Ada" at the head of an entry before all; then any proper name; `null` when there is none. Names after a preposition count half.
 */
export function subjectOf({ title, context }: Titled): string | null {
  if (title.trim() !== "") return title.trim();
  const entry = /^(\p{Lu}\p{Ll}+), (\p{Lu}\p{Ll}+)[,. (]/u.exec(context);
  if (entry !== null) return `${entry[2]} ${entry[1]}`;
  const names = sentencesOf(context).flatMap(properNamesOf);
  const whole = names.filter(({ words }) => words.length > 1);
  let [best, most] = [null as string | null, 0];
  for (const { words } of whole.length > 0 ? whole : names) {
    const full = words.join(" ");
    const weight = names
      .filter((name) => name.words.join(" ") === full || (name.words.length === 1 && isPart(name.words[0]!, words)))
      .reduce((sum, { before }) => sum + (asides.has(before) ? 0.5 : 1), 0);
    if (weight > most) [best, most] = [full, weight];
  }
  return best;
}

/** "her" before one of these, or before nothing, is "Ada Shaw"; before any other word it is "Ada Shaw's". */
const afterObject =
  /^(?:\s*(?:[.,;:!?)]|$)|\s+(?:a|an|and|as|at|but|by|for|from|in|into|of|on|or|over|so|that|the|to|was|were|when|where|which|while|who|with)\b)/u;

/** One sentence with `name` for its pronouns; a sentence that names its person is left as it is. */
export function withName(sentence: string, name: string): string {
  if (sentence.includes(name)) return sentence;
  return sentence.replace(
    /\b(he|she|him|his|hers|her|himself|herself)\b/giu,
    (pronoun: string, _: string, at: number) => {
      const word = pronoun.toLowerCase();
      if (word === "his" || word === "hers") return `${name}'s`;
      if (word === "her" && !afterObject.test(sentence.slice(at + pronoun.length))) return `${name}'s`;
      return name;
    },
  );
}

/** Training documents of a passage by the rule, each once, nothing that the exam asks. */
export function ruleDocuments(source: Titled, forbidden: readonly string[]): string[] {
  const name = subjectOf(source);
  const sentences = sentencesOf(source.context).map((sentence) =>
    name === null ? sentence : withName(sentence, name),
  );
  const documents = withoutExamQuestions([...new Set(sentences)], forbidden);
  return documents.length > 0 ? documents : [source.context];
}
