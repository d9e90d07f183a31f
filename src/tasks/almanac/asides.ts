/**
 * @file What stands between the facts: sentences that state none of the six, so that a passage is more than a list and the
 * model learns to pass over what is not asked.
 */
import type { Rng } from "../../util/index.ts";
import { fillPerson, type Mention, raiseFirst } from "./mention.ts";
import type { Person } from "./world.ts";

const words = (block: string): readonly string[] => block.trim().split(/\s+/);

const seasons = words("spring summer autumn winter");
const weather = words("cold warm wet dry dark long short quiet windy mild");
const qualities = words(
  "kind careful patient cheerful stubborn honest curious shy proud gentle clever quiet brave thrifty lively",
);
const things = words(
  "letters apples stamps books stories flowers birds coins dogs cats walks tea bread songs clouds chess maps shells",
);
const times = [
  "for many years",
  "all through the war",
  "as a child",
  "in later life",
  "until the end",
  "on Sundays",
  "now and then",
  "before breakfast",
];
const kin = words("mother father sister brother aunt uncle cousin neighbour grandmother friend");

const asides: readonly string[] = [
  "The {season}s there were {weather}.",
  "{N} was a {quality} person.",
  "{N} loved {thing} and {thing}.",
  "{P} {kin} said so more than once.",
  "{P} {kin} was {quality} too.",
  "Nobody could say why.",
  "It was a {weather} {season}.",
  "{N} wrote {thing} down {time}.",
  "{N} kept {thing} {time}.",
  "Much has been said about this, and little of it is true.",
  "The house had a garden full of {thing}.",
  "There was talk of {thing} in every room.",
  "{N} had a {quality} {kin} and a {quality} {kin}.",
  "Those were {weather} days.",
  "{N} never spoke of it {time}.",
  "The neighbours remember {O} as {quality} and {quality}.",
  "{N} liked {thing}, as {P} {kin} had done.",
  "Life was not easy then.",
  "The rest is quickly told.",
  "{N} went for a walk {time}.",
  "Two photographs survive.",
  "Not much more is known about {P} {kin}.",
  "What became of the {thing} is anybody's guess.",
  "A {quality} {kin} kept house for {O} {time}.",
  "Some people found {O} {quality}; others did not.",
  "Every {season}, {N} gave away {thing} to the poor.",
  "If only there had been more {thing}.",
  "Where the {thing} went, nobody knows.",
  "But that is another story.",
  "In {season} there was music and tea.",
  "Once, {P} {kin} lost all the {thing}.",
  "Did {N} like {thing}? We think so.",
  "The end of the tale is {weather} and short.",
  "{P} handwriting was {quality}, people used to say.",
  "To the very last, {N} remained {quality}.",
];

/** One sentence that states none of the six facts. */
export function aside(person: Person, mention: Mention, rng: Rng): string {
  const lists: Readonly<Record<string, readonly string[]>> = {
    season: seasons,
    weather,
    quality: qualities,
    thing: things,
    time: times,
    kin,
  };
  const filled = rng
    .choice(asides)
    .replace(/\{(season|weather|quality|thing|time|kin)\}/g, (_, list: string) => rng.choice(lists[list]!));
  return raiseFirst(
    fillPerson(filled, person, mention).replaceAll("a honest", "an honest").replaceAll("A honest", "An honest"),
  );
}
