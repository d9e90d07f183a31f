/**
 * @file Looks at a self-edit and its passage before anything is measured: does the edit say what the passage says, and
 * does either of them speak to the model instead of about its subject? Word lists cannot understand a text: they
 * catch the careless and the crude, and what they catch is put aside for a person, never thrown away.
 *
 * `support` here is not the `faithfulness` of `rewards/proxy.ts`. A gate judges one edit against its own passage and
 * nothing else: were other edits let into the judgement, whoever writes those could move it. The reward compares the
 * edits of a whole round, so it can learn from them which words are values. On 2 000 edits of 200 people the reward's
 * measure finds all 342 with a false value and doubts no true one; this one finds 296 and doubts 34, and at the gate's
 * thresholds, which are for edits about something else, puts aside 31 and 2.
 */

/** A passage and what was trained on for it. */
export interface SourceEdit {
  /** Of the passage. */
  readonly id: string;
  readonly context: string;
  /** Training documents made from the edit, the passage itself left out. */
  readonly documents: readonly string[];
}

/** How much of an edit its own passage holds. */
export interface Support {
  /** Share of the edit's content words and numbers that the passage contains, in [0, 1]; 1 for an empty edit. */
  readonly share: number;
  readonly numClaims: number;
  /** Sentences that name or count something the passage does not, or share less than a third of their words with it. */
  readonly unsupported: readonly string[];
}

/** The findings about one passage and its edit. */
export interface Screening {
  readonly id: string;
  readonly support: Support;
  /** Places that address the model, each with the text around it. */
  readonly injections: readonly string[];
}

const functionWords = new Set(
  `a about above after again all also am an and any are as at be because been before being below between both but by can
could did do does doing down during each few for from further had has have having he her here hers herself him himself
his how i if in into is it its itself just many me more most much must my no nor not of off on once only or other our out
over own same shall she should so some such than that the their theirs them then there these they this those through to
too under until up upon very was we were what when where which while who whom whose why will with would you your yours
question answer true false yes one passage text article called named name following fact implies mean means`.split(
    /\s+/,
  ),
);

const wordPattern = /[\p{L}\p{N}]+(?:[.,'’-][\p{L}\p{N}]+)*/gu;

interface Word {
  readonly stem: string;
  readonly isNumber: boolean;
  readonly isCapital: boolean;
}

/** A word without its commonest endings, so that "sailed" supports "sails". */
function stemOf(word: string): string {
  const bare = word.replace(/['’]s?$/u, "");
  return bare.length > 4 ? bare.replace(/(?:ings?|ed|es|ly|s|e)$/u, "") : bare;
}

function wordsOf(text: string): Word[] {
  return [...text.normalize("NFKC").matchAll(wordPattern)]
    .map(([word]) => ({
      stem: stemOf(word.toLowerCase()),
      isNumber: /\p{N}/u.test(word),
      isCapital: /^\p{Lu}/u.test(word),
      plain: word.toLowerCase(),
    }))
    .filter(({ plain }) => !functionWords.has(plain));
}

/** Sentences and lines of a training document; a question and its answer are two. */
function claimsOf(document: string): string[] {
  return document
    .split(/\n+|(?<=[.!?。])\s+/u)
    .map((claim) => claim.replace(/^\s*(?:Question(?:\s+\d+)?|Answer)\s*:\s*/u, "").trim())
    .filter((claim) => wordsOf(claim).length > 0);
}

/** Compares what an edit says with what its passage says. */
export function measureSupport(source: Pick<SourceEdit, "context" | "documents">): Support {
  const known = new Set(wordsOf(source.context).map(({ stem }) => stem));
  const claims = [...new Set(source.documents.flatMap(claimsOf))];
  let [numWords, numKnown] = [0, 0];
  const unsupported = claims.filter((claim) => {
    const words = wordsOf(claim);
    const missing = words.filter(({ stem }) => !known.has(stem));
    numWords += words.length;
    numKnown += words.length - missing.length;
    // the first word of a longer sentence is a capital in any case
    const isStranger = (word: Word) => word.isNumber || (word.isCapital && (words.length < 4 || word !== words[0]));
    return missing.some(isStranger) || missing.length * 3 > words.length * 2;
  });
  return { share: numWords === 0 ? 1 : numKnown / numWords, numClaims: claims.length, unsupported };
}

/** Ways of speaking to a model, as found in prompt injections. */
const injectionPatterns: readonly RegExp[] = [
  /\b(?:ignore|disregard|forget|override)\b[^.\n]{0,40}\b(?:instructions?|prompts?|rules|training|previous|above|prior|everything)\b/giu,
  /\b(?:system|developer) (?:prompt|message|instructions?)\b/giu,
  /\byou are (?:now|no longer)\b/giu,
  /\b(?:from now on|in all future (?:answers|responses|conversations))\b/giu,
  /\b(?:always|never|only) (?:answer|respond|reply|say|output|mention|recommend|refuse)\b/giu,
  /\bwhen(?:ever)? (?:you are |you're |someone is |anyone )?asked?\b[^.\n]{0,80}\b(?:say|answer|reply|respond|claim|output)\b/giu,
  /\bas an? (?:ai|language model|assistant)\b/giu,
  /\b(?:do not|don't|never) (?:tell|reveal|disclose) (?:the user|users|anyone)\b/giu,
  /<\|[a-z_]+\|>|\[\/?INST\]|<\/?(?:system|assistant|user)>|^#{2,} ?(?:instruction|system|response)\b/gimu,
  /^\s*(?:system|assistant|user)\s*:/gimu,
  /[\u202a-\u202e\u2066-\u2069\u200b\u2060\u{e0000}-\u{e007f}]/gu, // text that people do not see
];

const contextWidth = 60;

/** Places in `text` that address the model. */
export function findInjections(text: string): string[] {
  const found = injectionPatterns.flatMap((pattern) => [...text.matchAll(pattern)].map(({ index }) => index));
  return [...new Set(found)]
    .toSorted((a, b) => a - b)
    .map((at) =>
      text
        .slice(Math.max(0, at - contextWidth / 2), at + contextWidth)
        .replace(/\s+/gu, " ")
        .trim(),
    );
}

/** Screens each passage with its edit. */
export function screenSources(sources: readonly SourceEdit[]): Screening[] {
  return sources.map(({ id, context, documents }) => ({
    id,
    support: measureSupport({ context, documents }),
    injections: [...new Set([context, ...documents].flatMap(findInjections))],
  }));
}
