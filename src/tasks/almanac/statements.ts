/**
 * @file How the Almanac states a fact. A template has one slot for the subject, in the form the grammar needs, and one for the value:
 * {N} subject ("Ada Shaw", "she"), {P} possessive ("Ada Shaw's", "her"), {O} object ("Ada Shaw", "her"), {v} value, {a} the value
 * with its article ("an actor"). The first letter of the sentence is raised afterwards.
 */
import type { Rng } from "../../util/index.ts";
import type { Person, PersonAttribute, Thing, ThingAttribute } from "./world.ts";

/** Every way of stating a fact about a person, by attribute; slots are the name or a pronoun and the value. */
export const personStatements: Readonly<Record<PersonAttribute, readonly string[]>> = {
  birthplace: [
    "{N} was born in {v}.",
    "{P} birthplace was {v}.",
    "{N} came from {v}.",
    "{v} was where {N} was born.",
    "{N} was a native of {v}.",
    "{P} home town was {v}.",
    "The town of {v} was {P} birthplace.",
    "It was in {v} that {N} was born.",
    "{N} was from the town of {v}.",
  ],
  birthYear: [
    "{N} was born in {v}.",
    "{P} year of birth was {v}.",
    "In {v}, {N} was born.",
    "{N} came into the world in {v}.",
    "The year {v} saw {P} birth.",
    "{P} birth year was {v}.",
    "{N} was born in the year {v}.",
    "It was in {v} that {N} was born.",
    "The year of {P} birth was {v}.",
  ],
  occupation: [
    "{N} worked as {a}.",
    "{N} was {a} by trade.",
    "{N} made a living as {a}.",
    "{P} occupation was that of {a}.",
    "{P} job was that of {a}.",
    "{N} found work as {a}.",
    "By profession, {N} was {a}.",
    "{P} profession was that of {a}.",
    "{N} trained as {a}.",
  ],
  employer: [
    "{N} worked for {v}.",
    "{N} was employed by {v}.",
    "{P} employer was {v}.",
    "{v} employed {O}.",
    "{N} had a job at {v}.",
    "{N} was on the staff of {v}.",
    "{v} was {P} employer.",
    "{N} was paid by {v}.",
    "{P} company was {v}.",
  ],
  ship: [
    "{N} sailed on the {v}.",
    "{N} served aboard the {v}.",
    "{P} ship was the {v}.",
    "{N} was in the crew of the {v}.",
    "{N} went to sea on the {v}.",
    "The {v} was {P} ship.",
    "The ship {v} carried {O}.",
    "{N} was a sailor on the {v}.",
    "{N} joined the ship {v}.",
  ],
  instrument: [
    "{N} played the {v}.",
    "{P} instrument was the {v}.",
    "{N} learned the {v}.",
    "{N} made music on the {v}.",
    "The {v} was {P} instrument.",
    "{N} performed on the {v}.",
    "{N} was a player of the {v}.",
    "{N} practised the {v}.",
    "{P} favourite instrument was the {v}.",
  ],
};

/** Every way of stating a fact about a ship, a company or a place, by attribute. */
export const thingStatements: Readonly<Record<ThingAttribute, readonly string[]>> = {
  shipBuiltAt: [
    "{N} was built in {v}.",
    "The yards of {v} built {O}.",
    "{N} was a ship made in {v}.",
    "{v} was where {N} was built.",
  ],
  shipLaunched: [
    "{N} was launched in {v}.",
    "In {v}, {N} was launched.",
    "{N} first sailed in {v}.",
    "The year {v} saw the launch of {O}.",
  ],
  shipOwner: ["{N} belonged to {v}.", "{v} owned {O}.", "{N} was owned by {v}.", "The owner of {O} was {v}."],
  companySeat: [
    "{N} had its seat in {v}.",
    "{N} was based in {v}.",
    "The offices of {O} stood in {v}.",
    "{v} was home to {O}.",
  ],
  companyFounded: [
    "{N} was founded in {v}.",
    "In {v}, {N} was founded.",
    "{N} opened its doors in {v}.",
    "{N} dates from {v}.",
  ],
  companyProduct: ["{N} made {v}.", "{N} sold {v}.", "The trade of {O} was in {v}.", "{N} dealt in {v}."],
  placeRiver: [
    "{N} lies on the river {v}.",
    "The river {v} flows through {O}.",
    "{N} stands on the {v}.",
    "The {v} runs past {O}.",
  ],
  placeProduct: [
    "{N} is known for its {v}.",
    "{N} is famous for {v}.",
    "The people of {O} make {v}.",
    "{N} makes {v}.",
  ],
};

/** How the subject of a statement is named. */
export type Mention = "name" | "pronoun";

const possessivePronouns = { she: "her", he: "his" } as const;
const objectPronouns = { she: "her", he: "him" } as const;

const raiseFirst = (sentence: string): string => sentence.charAt(0).toUpperCase() + sentence.slice(1);

/** The noun with its indefinite article. */
export const withArticle = (noun: string): string => `${/^[aeiou]/i.test(noun) ? "an" : "a"} ${noun}`;

/** Fills one person template. */
export function fillPersonStatement(template: string, person: Person, value: string, mention: Mention): string {
  const named = mention === "name";
  const sentence = template
    .replace("{N}", named ? person.name : person.pronoun)
    .replace("{P}", named ? `${person.name}'s` : possessivePronouns[person.pronoun])
    .replace("{O}", named ? person.name : objectPronouns[person.pronoun])
    .replace("{a}", withArticle(value))
    .replace("{v}", value);
  return raiseFirst(sentence);
}

/** One sentence that states `attribute` of `person`; `value` may differ from the truth (demonstrations that err). */
export function statePerson(
  person: Person,
  attribute: PersonAttribute,
  mention: Mention,
  rng: Rng,
  value: string = person.facts[attribute],
): string {
  return fillPersonStatement(rng.choice(personStatements[attribute]), person, value, mention);
}

/** Up to `count` differently worded sentences for one fact. */
export function paraphrasePerson(
  person: Person,
  attribute: PersonAttribute,
  count: number,
  rng: Rng,
  value: string = person.facts[attribute],
): string[] {
  return rng
    .shuffle(personStatements[attribute])
    .slice(0, count)
    .map((template) => fillPersonStatement(template, person, value, "name"));
}

/** One sentence that states `attribute` of a ship, a company or a place. */
export function stateThing(thing: Thing, attribute: ThingAttribute, named: boolean, rng: Rng): string {
  const sentence = rng
    .choice(thingStatements[attribute])
    .replace(/\{[NO]\}/, named ? thing.name : "it")
    .replace("{v}", thing.facts[attribute]!);
  return raiseFirst(sentence);
}
