/** @file Reads numbers, times and dates into one spelling, so that "11 pm" and "23:00", "a dozen" and "12" are compared as one. */
const listOf = (text: string): readonly string[] => text.split(" ");

const ones = listOf(
  "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen",
);
const tens = listOf("twenty thirty forty fifty sixty seventy eighty ninety");
const ordinals = listOf(
  "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth",
);
const months = listOf("January February March April May June July August September October November December");

const small: ReadonlyMap<string, number> = new Map([
  ...ones.map((word, value) => [word, value] as const),
  ...tens.map((word, index) => [word, 20 + 10 * index] as const),
]);
const large: ReadonlyMap<string, number> = new Map([
  ["hundred", 100],
  ["thousand", 1000],
  ["million", 1e6],
  ["billion", 1e9],
]);

const smallWord = [...small.keys()].join("|");
const largeWord = [...large.keys()].join("|");
const spelled = new RegExp(
  `(?<![\\p{L}\\p{N}-])(?:(?:(?:an?|\\d[\\d.,]*|${smallWord})[ -](?=${largeWord}|(?:${ones.slice(1, 10).join("|")})\\b))?(?:${smallWord}|${largeWord})(?:(?:[ -]|[ -]and[ -])(?:${smallWord}|${largeWord}))*)(?![\\p{L}\\p{N}])`,
  "giu",
);

/** Value of number words in a row; `null` for "one", a pronoun more often than a count, and for a row that is no number. */
function spelledValue(row: string): number | null {
  const words = row
    .toLowerCase()
    .split(/[ -]+/u)
    .filter((word) => word !== "and");
  if (words.join() === "one") return null;
  if (words.length < 2 && !small.has(words[0] ?? "") && !large.has(words[0] ?? "")) return null;
  let [sum, group] = [0, 0];
  for (const word of words) {
    const digits = /^\d/u.test(word) ? Number(word.replaceAll(",", "")) : /^an?$/u.test(word) ? 1 : small.get(word);
    const factor = large.get(word);
    if (digits !== undefined) {
      if (group % 10 !== 0 && group % 100 !== 0) return null; // "three four"
      group += digits;
    } else if (factor === 100) group = Math.max(1, group) * factor;
    else [sum, group] = [sum + Math.max(1, group) * factor!, 0];
  }
  return sum + group;
}

const twoDigits = (minutes: number | string): string => `${minutes}`.padStart(2, "0");

/** "23:00" from an hour of twelve. */
function timeOf(hour: number, minutes: string | undefined, isLate: boolean): string {
  return `${(hour % 12) + (isLate ? 12 : 0)}:${twoDigits(minutes ?? "00")}`;
}

const monthName = months.join("|");
const monthPart = months.map((month) => month.slice(0, 3)).join("|");
const monthOf = (part: string): string => months.find((month) => month.slice(0, 3) === part.slice(0, 3))!;

type Reading = readonly [pattern: RegExp, read: string | ((match: string, ...groups: string[]) => string)];

/** Rewritten one after another. */
const readings: readonly Reading[] = [
  [
    /\b(\d{4})-(\d{2})-(\d{2})\b/gu,
    (_, year, month, day) => `${Number(day)} ${months[Number(month) - 1] ?? month} ${year}`,
  ],
  [
    /\b(\d{1,2})[./](\d{1,2})[./](\d{4})\b/gu,
    (_, day, month, year) => `${Number(day)} ${months[Number(month) - 1] ?? month} ${year}`,
  ],
  [new RegExp(`\\b(${monthPart}|Sept)\\.?(?= \\d)`, "gu"), (_, part) => monthOf(part)],
  [new RegExp(`(?<=\\d )(${monthPart}|Sept)\\b\\.?`, "gu"), (_, part) => monthOf(part)],
  [
    new RegExp(`\\b(${ordinals.join("|")})(?= of (?:${monthName}))`, "giu"),
    (_, word) => `${ordinals.indexOf(word.toLowerCase())}`,
  ],
  [new RegExp(`(?<=(?:${monthName}) (?:the )?)(\\d+)(?:st|nd|rd|th)\\b`, "gu"), "$1"],
  [new RegExp(`(\\d+)(?:st|nd|rd|th)(?= (?:of )?(?:${monthName}))`, "gu"), "$1"],
  [/\b(?:one |an? )?half past (\p{L}+|\d+)/giu, (all, hour) => clock(all, hour, 30)],
  [/\b(?:an? )?quarter past (\p{L}+|\d+)/giu, (all, hour) => clock(all, hour, 15)],
  [/\b(?:an? )?quarter to (\p{L}+|\d+)/giu, (all, hour) => clock(all, hour, -15)],
  [/\b(\d+|\p{L}+) and a half\b/giu, (all, count) => (countOf(count) === null ? all : `${countOf(count)! + 0.5}`)],
  [/\bhalf an? (?=\p{L})/giu, "0.5 "],
  [/\b(?:a )?dozen\b/giu, "12"],
  [spelled, (row) => `${spelledValue(row) ?? row.replace(/\p{L}+/gu, (word) => `${spelledValue(word) ?? word}`)}`],
  [/\b(\d{1,2})(?:[:.](\d\d))?\s*(?:am\b|a\.m\.?)/giu, (_, hour, minutes) => timeOf(Number(hour), minutes, false)],
  [/\b(\d{1,2})(?:[:.](\d\d))?\s*(?:pm\b|p\.m\.?)/giu, (_, hour, minutes) => timeOf(Number(hour), minutes, true)],
  [/\b(\d{1,2})(?::(\d\d))? in the morning\b/giu, (_, hour, minutes) => timeOf(Number(hour), minutes, false)],
  [
    /\b(\d{1,2})(?::(\d\d))? (?:in the (?:afternoon|evening)|at night)\b/giu,
    (_, hour, minutes) => timeOf(Number(hour), minutes, Number(hour) < 12),
  ],
  [/\b(\d{1,2}) o['’]clock\b/giu, "$1"],
  [/\b(?:noon|midday)\b/giu, "12:00"],
  [/\bmidnight\b/giu, "0:00"],
  [/\b0(\d:\d\d)\b/gu, "$1"],
  [/(?<![\d.,])(\d{1,3})(?: (\d{3}))+(?![\d.,])/gu, (row) => row.replaceAll(" ", "")],
];

const countOf = (word: string): number | null =>
  /^\d+$/u.test(word) ? Number(word) : (small.get(word.toLowerCase()) ?? null);

/** An hour and minutes beside it; as it stands where no hour is named. */
function clock(all: string, word: string, minutes: number): string {
  const hour = countOf(word);
  if (hour === null || hour > 24) return all;
  return minutes < 0 ? `${hour - 1}:${60 + minutes}` : `${hour}:${minutes}`;
}

/** A text with its numbers, times and dates in one spelling. */
export const plainNumbers = (text: string): string =>
  readings.reduce((left, [pattern, read]) => left.replace(pattern, read as string), text);

/** A number as digits: `1,150` is `1150`, "3rd" is `3.`; `null` for what is none. */
export function numberOf(plain: string): string | null {
  const ordinal = ordinals.indexOf(plain);
  if (ordinal > 2) return `${ordinal}.`; // "first" and "second" are mostly no count
  if (!/\p{N}/u.test(plain)) return null;
  const digits = /^(\d+)(?:st|nd|rd|th)$/u.exec(plain);
  if (digits !== null) return `${digits[1]!}.`;
  return plain
    .replace(/(?<=\d),(?=\d{3}(?!\d))/gu, "")
    .replace(/(\d+\.\d*?)0+$/u, "$1")
    .replace(/\.$/u, "");
}

/** Words that say a number without being one. */
const implied: Readonly<Record<string, readonly string[]>> = {
  1: listOf("one a an single once each"),
  2: listOf("double twin twice both pair couple"),
  3: listOf("triple thrice"),
  "0.5": listOf("half"),
  "50": listOf("half"),
};

/** True where one of the words says `number` by another name. */
export const isImplied = (number: string, words: ReadonlySet<string>): boolean =>
  implied[number]?.some((word) => words.has(word)) ?? false;

/** True for an hour with and without its minutes, of twelve or of twenty-four. */
export function isSameHour(one: string, other: string): boolean {
  const [bare, full] = one.includes(":") ? [other, one] : [one, other];
  const hour = /^(\d+):00$/u.exec(full)?.[1];
  return (
    hour !== undefined &&
    /^\d+$/u.test(bare) &&
    (bare === hour || (Number(bare) <= 12 && Number(hour) - Number(bare) === 12))
  );
}

/** Units by what they measure, with their size. */
const scales: readonly Readonly<Record<string, number>>[] = [
  { second: 1, minute: 60, hour: 3600, day: 86_400, week: 604_800, fortnight: 1_209_600 },
  { month: 1, year: 12, decade: 120, century: 1200 },
  { millimetre: 1, centimetre: 10, metre: 1000, kilometre: 1e6 },
  { gram: 1, kilogram: 1000, tonne: 1e6 },
  { millilitre: 1, centilitre: 10, decilitre: 100, litre: 1000 },
];

/** True for two amounts of one size: 90 minutes and 1.5 hours. */
export function isSameAmount(one: number, unit: string, other: number, otherUnit: string): boolean {
  const scale = scales.find((sizes) => unit in sizes && otherUnit in sizes);
  return scale !== undefined && Math.abs(one * scale[unit]! - other * scale[otherUnit]!) < 1e-9 * one * scale[unit]!;
}
