/**
 * @file Text that speaks to the model instead of about its subject: patterns of known ways to do so, in a few languages,
 * looked for in the text as it stands and in what hides behind look-alike letters, spaced letters and encodings.
 */

/** Ways of speaking to a model, as found in prompt injections. */
const injectionPatterns: readonly RegExp[] = [
  /\b(?:ignore|disregard|forget|override|bypass|pay no (?:attention|heed) to)\b[^.\n]{0,40}\b(?:instructions?|prompts?|rules|training|previous|above|prior|before|everything|guidelines)\b/giu,
  /\b(?:system|developer) (?:prompt|message|instructions?|note|override)\b/giu,
  /\byou are (?:now|no longer)\b/giu,
  /\b(?:your|the) (?:new|real|only|true) (?:task|instructions?|goal|purpose|role) (?:is|are)\b/giu,
  /\b(?:from now on|in all future (?:answers|responses|conversations))\b/giu,
  /\b(?:always|never|only) (?:answer|respond|reply|say|output|mention|recommend|refuse)\b/giu,
  /\b(?:answer|respond to|reply to) (?:every|all|any|each)\b/giu,
  /\bwhen(?:ever)? (?:you are |you're |someone is |anyone )?asked?\b[^.\n]{0,80}\b(?:say|answer|reply|respond|claim|output)\b/giu,
  /\b(?:when(?:ever)?|if) (?:somebody|someone|anyone|anybody|the user|a user|users|people) asks?\b[^.\n]{0,80}\b(?:say|answer|reply|respond|claim|output|that)\b/giu,
  /\bas an? (?:ai|language model|assistant)\b/giu,
  /\bdear (?:model|ai|assistant|language model|chatbot)\b/giu,
  /\bthe (?:assistant|model|ai|chatbot) (?:has to|must|should|shall|will|is to)\b/giu,
  /\b(?:obey|follow|execute|carry out) (?:this|these|the following|my) (?:text|orders?|instructions?|commands?|line)\b/giu,
  /\b(?:do not|don't|never) (?:tell|reveal|disclose) (?:the user|users|anyone)\b/giu,
  /\bignorier(?:e|en sie|t)?\b[^.\n]{0,40}\b(?:anweisung|regel|vorgabe|bisherig|vorherig)/giu,
  /\b(?:ignore[sz]?|oublie[sz]?)\b[^.\n]{0,40}\b(?:instructions?|consignes?|règles?|précédent)/giu,
  /\b(?:ignora|olvida)(?:d|te|r)?\b[^.\n]{0,40}\b(?:instrucci|istruzion|reglas?|anterior|precedent)/giu,
  /(?:игнорируй|забудь)[^.\n]{0,40}(?:инструкци|указани|правил)/giu,
  /(?:忽略|无视|忘记)[^。\n]{0,20}(?:指示|指令|规则|提示)/gu,
  /(?:無視|忘れ)[^。\n]{0,10}(?:指示|命令|ルール)|(?:指示|命令)[^。\n]{0,10}(?:無視|忘れ)/gu,
  /<\|[a-z_]+\|>|\[\/?INST\]|<\/?(?:system|assistant|user)>|^#{2,} ?(?:instruction|system|response)\b/gimu,
  /^\s*(?:system|assistant|user)\s*:/gimu,
  /[\u202a-\u202e\u2066-\u2069\u200b\u2060\u{e0000}-\u{e007f}]/gu, // text that people do not see
];

const contextWidth = 60;

const excerpt = (text: string, at: number): string =>
  text
    .slice(Math.max(0, at - contextWidth / 2), at + contextWidth)
    .replace(/\s+/gu, " ")
    .trim();

const matchesOf = (text: string): number[] =>
  injectionPatterns.flatMap((pattern) => [...text.matchAll(pattern)].map(({ index }) => index));

/** Letters of other alphabets that look like Latin ones. */
const lookAlikes: Readonly<Record<string, string>> = Object.fromEntries(
  [..."аaеeоoрpсcуyхxіiјjѕsԁdһhкkмmтtвbнhгrпnάaαaοoρpνvιiκkτtεeυu"].reduce<[string, string][]>(
    (pairs, letter, index, all) => {
      if (index % 2 === 0) pairs.push([letter, all[index + 1]!]);
      return pairs;
    },
    [],
  ),
);

const digits: Readonly<Record<string, string>> = {
  "0": "o",
  "1": "i",
  "3": "e",
  "4": "a",
  "5": "s",
  "7": "t",
  "@": "a",
  $: "s",
  "!": "i",
};

/** What a text says once its disguises are taken off, one reading per disguise that it wears. */
function unmasked(text: string): string[] {
  const plain = text.normalize("NFKC").replace(/\p{Cf}|\p{M}/gu, "");
  const readings = [plain];
  if (/\p{Script=Latin}/u.test(plain) && /[\p{Script=Cyrillic}\p{Script=Greek}]/u.test(plain))
    readings.push(
      plain.toLowerCase().replace(/[\p{Script=Cyrillic}\p{Script=Greek}]/gu, (letter) => lookAlikes[letter] ?? letter),
    );
  if (/\p{L}[013457@$!]|[013457@$!]\p{L}/u.test(plain))
    readings.push(
      plain
        .toLowerCase()
        .replace(/[013457@$!]/gu, (letter) => digits[letter]!)
        .replace(/(?<=\b)i(?=nore)/gu, "ig"),
    );
  if (/(?:\b\p{L}[\s.\-_]){6,}/u.test(plain)) readings.push(plain.replace(/(?<=\b\p{L})[ .\-_](?=\p{L}\b)/gu, ""));
  for (const [code] of plain.matchAll(/[A-Za-z0-9+/]{20,}={0,2}/gu)) {
    const decoded = Buffer.from(code, "base64").toString("utf8");
    if (/^[\p{L}\p{N}\p{P}\p{Zs}\n]+$/u.test(decoded)) readings.push(decoded);
  }
  for (const [code] of plain.matchAll(/(?:[0-9a-f]{2}[ ]?){12,}/giu)) {
    const decoded = Buffer.from(code.replaceAll(" ", ""), "hex").toString("utf8");
    if (/^[\p{L}\p{N}\p{P}\p{Zs}\n]+$/u.test(decoded)) readings.push(decoded);
  }
  return readings;
}

/** Words that mix alphabets: nobody writes so who means to be read. */
const mixedWord =
  /\p{L}*(?:\p{Script=Latin}[\p{Script=Cyrillic}\p{Script=Greek}]|[\p{Script=Cyrillic}\p{Script=Greek}]\p{Script=Latin})\p{L}*/gu;

/** Places in `text` that address the model. */
export function findInjections(text: string): string[] {
  const open = [...matchesOf(text), ...[...text.matchAll(mixedWord)].map(({ index }) => index)];
  if (open.length > 0) return [...new Set(open)].toSorted((a, b) => a - b).map((at) => excerpt(text, at));
  return [...new Set(unmasked(text).flatMap((reading) => matchesOf(reading).map((at) => excerpt(reading, at))))];
}
