/**
 * @file How the Almanac states facts: frames of one, two or three facts, filled with the forms of `relations.ts`. Frames are divided
 * into families, and the families three ways: training text uses the first, settings of the world and the model were chosen
 * by looking at the second, results are reported on the third. No training text holds a family of the last two.
 */
import type { Rng } from "../../util/index.ts";
import { fillPerson, fillValue, type Mention, raiseFirst } from "./mention.ts";
import { relations } from "./relations.ts";
import type { PersonAttribute } from "./values.ts";
import type { Person, Thing, ThingAttribute } from "./world.ts";

/** Which families a statement or a passage may use. */
export type FamilySplit = "training" | "selection" | "report";

/** Facts about one person as one sentence tells them; values may differ from the truth (demonstrations that err). */
export interface Told {
  readonly person: Person;
  readonly attributes: readonly PersonAttribute[];
  readonly values: Readonly<Record<PersonAttribute, string>>;
}

/** A clause about one fact, without capital and full stop. */
type Clause = (told: Told, index: number, mention: Mention, rng: Rng) => string;

const form =
  (kind: "verbs" | "inverses" | "fronted" | "clefts" | "appositions"): Clause =>
  ({ person, attributes, values }, index, mention, rng) => {
    const attribute = attributes[index]!;
    return fillPerson(fillValue(rng.choice(relations[attribute][kind]), values[attribute]), person, mention);
  };

const verb = form("verbs");
const apposition = form("appositions");
const clause: Clause = (told, index, mention, rng) =>
  `${fillPerson("{N}", told.person, mention)} ${verb(told, index, mention, rng)}`;
const possessive = (told: Told, mention: Mention) => fillPerson("{P}", told.person, mention);

const noun: Clause = (told, index, _mention, rng) => rng.choice(relations[told.attributes[index]!].nouns);
const nounValue = ({ attributes, values }: Told, index: number): string =>
  fillValue(relations[attributes[index]!].nounValue, values[attributes[index]!]);

const bareValue = ({ attributes, values }: Told, index: number): string =>
  fillValue(relations[attributes[index]!].bareValue, values[attributes[index]!]);

const nounFirst: Clause = (told, index, mention, rng) =>
  `${possessive(told, mention)} ${noun(told, index, mention, rng)} was ${nounValue(told, index)}`;
const nounLast: Clause = (told, index, mention, rng) =>
  `${bareValue(told, index)} was ${possessive(told, mention)} ${noun(told, index, mention, rng)}`;
const nounOf: Clause = (told, index, mention, rng) =>
  mention === "pronoun"
    ? nounFirst(told, index, mention, rng)
    : `the ${noun(told, index, mention, rng)} of ${told.person.name} was ${nounValue(told, index)}`;

const hearsay = [
  "it is said that",
  "everyone knew that",
  "the records show that",
  "we read that",
  "people remember that",
  "the register says that",
  "there is no doubt that",
  "as far as we know,",
  "according to the papers,",
  "old friends say that",
  "in an old diary it says that",
  "as a matter of fact,",
  "when all is said and done,",
  "if memory serves,",
  "a letter mentions that",
  "the neighbours always said that",
  "to begin with,",
  "in those days,",
  "by the way,",
  "strange as it may seem,",
  "we also hear that",
  "nobody forgets that",
] as const;

const reported: Clause = (told, index, mention, rng) => `${rng.choice(hearsay)} ${clause(told, index, mention, rng)}`;

/** One way of telling: how many facts a sentence holds, and the sentence, without capital. */
interface Frame {
  readonly numFacts: number;
  readonly tell: (told: Told, mention: Mention, rng: Rng) => string;
}

const one = (build: Clause): Frame => ({
  numFacts: 1,
  tell: (told, mention, rng) => `${build(told, 0, mention, rng)}.`,
});
const several = (numFacts: number, tell: Frame["tell"]): Frame => ({ numFacts, tell });

/** Subject without its clause. */
const subject = (told: Told, mention: Mention) => fillPerson("{N}", told.person, mention);

/** A family of statements. */
export type StatementFamily =
  | "simple"
  | "nounFirst"
  | "nounLast"
  | "nounOf"
  | "inverse"
  | "fronted"
  | "reported"
  | "and"
  | "relative"
  | "apposition"
  | "appositionFirst"
  | "semicolon"
  | "three"
  | "thatWas"
  | "youHear"
  | "entered"
  | "bracket"
  | "nobodyThought"
  | "cleft"
  | "rhetorical"
  | "notOnly"
  | "colon"
  | "dispute"
  | "certain"
  | "noOther"
  | "belong";

/** The families by name. */
const frames: Readonly<Record<StatementFamily, Frame>> = {
  simple: one(clause),
  nounFirst: one(nounFirst),
  nounLast: one(nounLast),
  nounOf: one(nounOf),
  inverse: one(form("inverses")),
  fronted: one(form("fronted")),
  reported: one(reported),
  and: several(2, (told, mention, rng) => `${clause(told, 0, mention, rng)} and ${verb(told, 1, mention, rng)}.`),
  relative: several(
    2,
    (told, mention, rng) =>
      `${subject(told, mention)}, who ${verb(told, 0, mention, rng)}, ${verb(told, 1, mention, rng)}.`,
  ),
  apposition: several(
    2,
    (told, mention, rng) =>
      `${subject(told, mention)}, ${apposition(told, 0, mention, rng)}, ${verb(told, 1, mention, rng)}.`,
  ),
  appositionFirst: several(
    2,
    (told, mention, rng) =>
      `${apposition(told, 0, mention, rng).replace(/^who /, "one who ")}, ${clause(told, 1, mention, rng)}.`,
  ),
  semicolon: several(
    2,
    (told, mention, rng) => `${clause(told, 0, mention, rng)}; ${nounFirst(told, 1, "pronoun", rng)}.`,
  ),
  three: several(
    3,
    (told, mention, rng) =>
      `${clause(told, 0, mention, rng)}, ${verb(told, 1, mention, rng)} and ${verb(told, 2, mention, rng)}.`,
  ),
  thatWas: one(
    (told, index, mention, rng) =>
      `${bareValue(told, index)}: that was ${possessive(told, mention)} ${noun(told, index, mention, rng)}`,
  ),
  youHear: one(
    (told, index, mention, rng) =>
      `ask about ${possessive(told, mention)} ${noun(told, index, mention, rng)} and you hear of ${bareValue(told, index)}`,
  ),
  entered: one(
    (told, index, mention, rng) =>
      `in the file on ${fillPerson("{O}", told.person, mention)}, the ${noun(told, index, mention, rng)} is ${nounValue(told, index)}`,
  ),
  bracket: several(
    2,
    (told, mention, rng) =>
      `${subject(told, mention)} (${rng.choice(relations[told.attributes[0]!].labels)} ${told.values[told.attributes[0]!]}) ${verb(told, 1, mention, rng)}.`,
  ),
  nobodyThought: several(
    2,
    (told, mention, rng) =>
      `when ${clause(told, 0, mention, rng)}, nobody thought of the fact that ${clause(told, 1, "pronoun", rng)}.`,
  ),
  cleft: one(form("clefts")),
  rhetorical: several(
    1,
    (told, mention, rng) =>
      `and ${possessive(told, mention)} ${noun(told, 0, mention, rng)}? ${raiseFirst(nounValue(told, 0))}.`,
  ),
  notOnly: several(
    2,
    (told, mention, rng) =>
      `not only do we know that ${clause(told, 0, mention, rng)}, but also that ${clause(told, 1, "pronoun", rng)}.`,
  ),
  colon: several(
    2,
    (told, mention, rng) =>
      `two things are written about ${fillPerson("{O}", told.person, mention)}: ${bareValue(told, 0)} as ${noun(told, 0, mention, rng)}, ${bareValue(told, 1)} as ${noun(told, 1, mention, rng)}.`,
  ),
  dispute: one((told, index, mention, rng) => `that ${clause(told, index, mention, rng)} is beyond dispute`),
  noOther: one(
    (told, index, mention, rng) =>
      `no ${noun(told, index, mention, rng)} but ${nounValue(told, index)} was ever ${mention === "name" ? `${told.person.name}'s` : told.person.pronoun === "she" ? "hers" : "his"}`,
  ),
  certain: several(
    2,
    (told, mention, rng) =>
      `of ${fillPerson("{O}", told.person, mention)} this much is certain: ${clause(told, 0, "pronoun", rng)}, and ${nounFirst(told, 1, "pronoun", rng)}.`,
  ),
  belong: several(
    2,
    (told, mention, rng) =>
      `${bareValue(told, 0)} (${noun(told, 0, mention, rng)}) and ${bareValue(told, 1)} (${noun(told, 1, mention, rng)}) belong to ${possessive(told, mention)} story.`,
  ),
};

const heldOut: Readonly<Record<Exclude<FamilySplit, "training">, readonly StatementFamily[]>> = {
  selection: ["cleft", "rhetorical", "notOnly", "colon"],
  report: ["dispute", "noOther", "certain", "belong"],
};

/** The families by split. */
export const statementFamilies: Readonly<Record<FamilySplit, readonly StatementFamily[]>> = {
  training: (Object.keys(frames) as StatementFamily[]).filter(
    (name) => !heldOut.selection.includes(name) && !heldOut.report.includes(name),
  ),
  ...heldOut,
};

/** How often a sentence of training begins with one of {@link openers}. */
const openerShare = 0.15;

/** Ways into a sentence that say nothing: with them, the first word of a sentence is no sure sign of what follows. */
const openers: readonly string[] = [
  "now,",
  "well,",
  "besides,",
  "oddly enough,",
  "so far, so good:",
  "at first,",
  "later on,",
  "in the end,",
  "for example,",
  "mind you,",
  "on the whole,",
  "to be exact,",
  "to tell the truth,",
  "here is another thing:",
  "next to that,",
  "let us not forget:",
  "all sources agree:",
  "nothing is simpler:",
  "never mind the rest:",
  "note this:",
  "both sides agree:",
  "some say, and rightly so:",
  "with a smile they add:",
  "under the heading of facts:",
  "even strangers know it:",
  "only one thing more:",
  "how odd, but",
  "no wonder, since",
  "if the papers are right,",
  "although few remember it,",
  "unless we are mistaken,",
  "because it was written down, we know:",
  "in one place it says:",
  "much later it came out that",
  "what is more,",
  "after all,",
  "above all,",
  "of course,",
  "in short,",
  "first of all,",
  "thanks to an old map we know that",
  "by all accounts,",
  "without any doubt,",
  "these days one forgets it, but",
  "back then,",
  "those who were there report that",
  "yes,",
  "indeed,",
  "still,",
  "then again,",
];

/** Frames of one fact come as often as all longer ones together. */
function drawFrame(split: FamilySplit, mostFacts: number, rng: Rng): Frame {
  const fitting = statementFamilies[split].map((name) => frames[name]).filter(({ numFacts }) => numFacts <= mostFacts);
  const wantsOne = rng.uniform() < 0.5;
  const wanted = fitting.filter(({ numFacts }) => (numFacts === 1) === wantsOne);
  return rng.choice(wanted.length === 0 ? fitting : wanted);
}

function open(sentence: string, split: FamilySplit, rng: Rng): string {
  const isOpened = split === "training" && rng.uniform() < openerShare;
  return raiseFirst(isOpened ? `${rng.choice(openers)} ${sentence}` : sentence);
}

/** Options of {@link narrateFacts}. */
export interface Narration {
  /** Every sentence but the first says the name with this probability, else a pronoun. */
  readonly nameRate: number;
  readonly families: FamilySplit;
  /** Most facts in one sentence. @defaultValue 3 */
  readonly mostFacts?: number;
}

/** Sentences that tell `told`'s facts in their order, one to three in each. */
export function narrateFacts(told: Told, { nameRate, families, mostFacts = 3 }: Narration, rng: Rng): string[] {
  const sentences: string[] = [];
  for (let from = 0; from < told.attributes.length; ) {
    const frame = drawFrame(families, Math.min(mostFacts, told.attributes.length - from), rng);
    const mention: Mention = from === 0 || rng.uniform() < nameRate ? "name" : "pronoun";
    const attributes = told.attributes.slice(from, from + frame.numFacts);
    sentences.push(open(frame.tell({ ...told, attributes }, mention, rng), families, rng));
    from += frame.numFacts;
  }
  return sentences;
}

/** One sentence that states `attribute` of `person` in a training family. */
export function statePerson(
  person: Person,
  attribute: PersonAttribute,
  mention: Mention,
  rng: Rng,
  value: string = person.facts[attribute],
): string {
  const told = { person, attributes: [attribute], values: { ...person.facts, [attribute]: value } };
  return open(drawFrame("training", 1, rng).tell(told, mention, rng), "training", rng);
}

/** Up to `count` differently worded sentences for one fact, each under the full name. */
export function paraphrasePerson(
  person: Person,
  attribute: PersonAttribute,
  count: number,
  rng: Rng,
  value: string = person.facts[attribute],
): string[] {
  const sentences = new Set<string>();
  for (let attempt = 0; sentences.size < count && attempt < 10 * count; attempt++)
    sentences.add(statePerson(person, attribute, "name", rng, value));
  return [...sentences];
}

const thingStatements: Readonly<Record<ThingAttribute, readonly string[]>> = {
  shipBuiltAt: [
    "{N} was built in {v}.",
    "The yards of {v} built {O}.",
    "{N} was a ship made in {v}.",
    "{v} was where {N} was built.",
    "From the yards of {v} came {O}.",
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

/** One sentence that states `attribute` of a ship, a company or a place. */
export function stateThing(thing: Thing, attribute: ThingAttribute, isNamed: boolean, rng: Rng): string {
  const sentence = rng
    .choice(thingStatements[attribute])
    .replace(/\{[NO]\}/, isNamed ? thing.name : "it")
    .replace("{v}", thing.facts[attribute]!);
  return raiseFirst(sentence);
}
