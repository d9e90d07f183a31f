/** @file Puts a person and a value into a form: the name or a pronoun in each case, the value with or without its article. */
import type { Person } from "./world.ts";

/** How the subject of a statement is named. */
export type Mention = "name" | "pronoun";

const possessivePronouns = { she: "her", he: "his" } as const;
const objectPronouns = { she: "her", he: "him" } as const;

/** The sentence with its first letter raised. */
export const raiseFirst = (sentence: string): string => sentence.charAt(0).toUpperCase() + sentence.slice(1);

/** The noun with its indefinite article. */
export const withArticle = (noun: string): string => `${/^[aeiou]/i.test(noun) ? "an" : "a"} ${noun}`;

/** Fills the person's slots of a form, {N}, {P}, {O} and {p} (always the possessive pronoun). */
export function fillPerson(form: string, person: Person, mention: Mention): string {
  const isNamed = mention === "name";
  return form
    .replace("{N}", isNamed ? person.name : person.pronoun)
    .replace("{P}", isNamed ? `${person.name}'s` : possessivePronouns[person.pronoun])
    .replace("{O}", isNamed ? person.name : objectPronouns[person.pronoun])
    .replaceAll("{p}", possessivePronouns[person.pronoun]);
}

/** Fills the value's slots of a form, {v}, {a} and {A}. */
export const fillValue = (form: string, value: string): string =>
  form
    .replace("{A}", raiseFirst(withArticle(value)))
    .replace("{a}", withArticle(value))
    .replace("{v}", value);
