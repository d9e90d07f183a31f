/**
 * @file Passage sets about people of the Almanac: its own voices, and voices that it does not have (other questions, other
 * values, other forms, other relations). Everything that an experiment knows about the Almanac's language is here.
 */
import {
  allQuestions,
  createWorld,
  type ExamQuestion,
  examinationPassage,
  type FamilySplit,
  type PassageForm,
  type Person,
  type PersonAttribute,
  passageStyles,
  personAttributes,
  personValues,
  plainForm,
  type SourcePassage,
} from "../../tasks/index.ts";
import { createRng, type Rng } from "../../util/index.ts";
import type { Trap, Traps } from "./arms.ts";
import { otherRelations, type PassageSet, type PassageSplit, trapsOf } from "./passage-sets.ts";

/** Who names the person: the first sentence alone, or every sentence. */
export type Naming = "pronoun" | "named";

const formOf = (naming: Naming, families: FamilySplit = "training"): PassageForm => ({
  ...plainForm,
  nameRate: naming === "named" ? 1 : 0,
  families,
});

const passageText = (person: Person, form: PassageForm): string => examinationPassage(person, "report", form).context;

const questionsOf = (person: Person): ExamQuestion[] =>
  (["selection", "report"] as const).flatMap((use) =>
    allQuestions(person, use).map((question) => ({ ...question, use })),
  );

const passageOf = (person: Person, context: string, questions = questionsOf(person)): SourcePassage => ({
  ...{ id: person.name, file: "almanac", title: "", context, questions },
});

const trapsOfAll = (people: readonly Person[]): Traps =>
  new Map(people.map(({ name, facts }) => [name, trapsOf(name, facts)]));

const namingSummaries: Readonly<Record<Naming, string>> = {
  pronoun: "the person is named in the first sentence, then pronouns",
  named: "the person is named in every sentence",
};

/** One set for each way of naming: the same people, facts and order, told in the families of `families`. */
const setsInForms = (people: readonly Person[], split: PassageSplit, families: FamilySplit): PassageSet[] =>
  (["pronoun", "named"] as const).map((naming) => ({
    ...{ name: naming, summary: namingSummaries[naming], split },
    passages: people.map((person) => passageOf(person, passageText(person, formOf(naming, families)))),
    traps: trapsOfAll(people),
  }));

/** The two sets of the headline: the same people and facts, with pronouns and with the name in every sentence. */
export const namingSets = (people: readonly Person[], split: PassageSplit): PassageSet[] =>
  setsInForms(people, split, "training");

const prefixedSets = (prefix: string, summary: string, sets: readonly PassageSet[]): PassageSet[] =>
  sets.map((set) => ({ ...set, name: `${prefix}-${set.name}`, summary: `${summary}; ${set.summary}` }));

/** Letters and obituaries, styles of no training text, in wordings of no training text. */
function heldOutStyles(people: readonly Person[], split: PassageSplit): PassageSet {
  return {
    ...{ name: "held-out-styles", summary: "letters and obituaries, of which training shows none", split },
    passages: people.map((person, index) =>
      passageOf(
        person,
        passageText(person, { ...formOf("pronoun", "heldOut"), style: passageStyles.heldOut[index % 2]! }),
      ),
    ),
    traps: trapsOfAll(people),
  };
}

/** Questions as no wording of the Almanac is built, by relation; `{n}` is the name. */
const otherFamilies: Readonly<Record<PersonAttribute, readonly string[]>> = {
  birthplace: ["{n}'s life began in which town?", "Name the town that {n} called a native place."],
  birthYear: ["How is the year called that brought {n} to life?", "{n} first saw daylight in what year?"],
  occupation: ["If you had asked {n} about work, what would the answer have been?", "{n} earned money doing what?"],
  employer: ["The wages of {n} came from whom?", "Name the firm that had {n} on its payroll."],
  ship: ["{n} was a member of the crew of which vessel?", "Name the vessel that {n} served."],
  instrument: ["Music was made by {n} on what?", "{n} was heard playing which instrument?"],
};

function otherQuestions(people: readonly Person[], split: PassageSplit): PassageSet {
  return {
    ...{ name: "question-families", summary: "the pronoun passages, asked in question families of no training text" },
    split,
    passages: people.map((person) =>
      passageOf(person, passageText(person, formOf("pronoun")), [
        ...questionsOf(person).filter(({ use }) => use === "selection"),
        ...personAttributes.flatMap((attribute) =>
          otherFamilies[attribute].map((wording) => ({
            question: wording.replace("{n}", person.name),
            answer: person.facts[attribute],
            use: "report" as const,
          })),
        ),
      ]),
    ),
    traps: trapsOfAll(people),
  };
}

const cardLines: Readonly<Record<PersonAttribute, string>> = {
  birthplace: "Place of birth",
  birthYear: "Year of birth",
  occupation: "Trade",
  employer: "Employer",
  ship: "Ship",
  instrument: "Instrument",
};

function recordCards(people: readonly Person[], split: PassageSplit): PassageSet {
  return {
    ...{ name: "record-card", summary: "a card with one field a line", split },
    passages: people.map((person) => {
      const lines = personAttributes.map((attribute) => `${cardLines[attribute]}: ${person.facts[attribute]}`);
      return passageOf(person, [`Name: ${person.name}`, ...lines].join("\n"));
    }),
    traps: trapsOfAll(people),
  };
}

const article = (noun: string): string => `${/^[aeiou]/i.test(noun) ? "an" : "a"} ${noun}`;

/** What is told instead of each relation; `{s}` is who it is about, `{p}` whose. */
const renamed: Readonly<Record<PersonAttribute, (value: string) => string>> = {
  birthplace: (value) => `{s} died in ${value}.`,
  birthYear: (value) => `The year of {p} death was ${value}.`,
  occupation: (value) => `{p} father was ${article(value)}.`,
  employer: (value) => `{s} sued ${value}.`,
  ship: (value) => `{s} built the ${value}.`,
  instrument: (value) => `{s} repaired the ${value}.`,
};

const raise = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

function renamedText({ name, pronoun, facts }: Person): string {
  return personAttributes
    .map((attribute, index) => {
      const [subject, whose] = index === 0 ? [name, `${name}'s`] : [pronoun, pronoun === "she" ? "her" : "his"];
      return raise(renamed[attribute](facts[attribute]).replace("{s}", subject).replace("{p}", whose));
    })
    .join(" ");
}

/** Other relations with values of the same types; the traps ask about the Almanac's own relations, which nothing tells. */
function renamedRelations(people: readonly Person[], split: PassageSplit): PassageSet {
  const trapOf = (person: Person): Trap[] => {
    const own = allQuestions(person, "report");
    return personAttributes.map((attribute) => {
      const { question } = own.find(({ answer }) => answer === person.facts[attribute])!;
      return { question, wrong: person.facts[attribute] };
    });
  };
  return {
    ...{ name: "renamed-relations", summary: "other relations (death, the father's trade, a lawsuit)", split },
    passages: people.map((person) =>
      passageOf(
        person,
        renamedText(person),
        personAttributes.map((attribute) => ({
          question: otherRelations[attribute].replace("{n}", person.name),
          answer: person.facts[attribute],
          use: "report",
        })),
      ),
    ),
    traps: new Map(people.map((person) => [person.name, trapOf(person)])),
  };
}

const words = (block: string): readonly string[] => block.trim().split(/\s+/);
const heads = words("Aber Brock Cal Dor Ember Gal Hex Ister Kel Lor Mor Nar Osk Pel Quar Ros Sel Tor Ul Vel Wex Yar");
const tails = words("bridge combe dale fell gate hithe keld low mouth ness over rick shaw stead thwaite wardine wold");
const firstPieces = words("Al Ber Cor Del El Fer Gis Hal Il Jor Kes Lin Mer Nev Or Per Ras Sav Tam Ul Ver Wil Yr Zan");
const womenEnds = words("ana ella ena etta inda iva ola une");
const menEnds = words("ander ard ec ian imir on oric us");
const lastEnds = words("acre bane croft dew fast gill holme kin loe mond nock pole quist rane sby tine vane wick");
const shipPieces = words(
  "Alba Bella Cora Dena Fara Gala Hesta Ila Juna Kara Luma Mira Nova Ora Pola Runa Sira Tula Vela",
);
const shipEnds = words("dis line mar nth rra sca thea vira");
const trades = words(
  "acrobat announcer astronomer auctioneer biologist botanist chauffeur conductor croupier detective diplomat electrician economist editor geologist interpreter juggler lifeguard magician midwife optician paramedic plasterer psychologist referee roofer stuntman taxidermist vet welder",
);
const sounds = words(
  "alphorn autoharp balalaika bodhran bongos celesta cimbalom cowbell didgeridoo dulcimer euphonium flugelhorn glockenspiel kalimba kazoo kora marimba melodica ocarina panpipes sackbut shamisen sousaphone steelpan tambourine theorbo theremin timpani vibraphone vuvuzela",
);
const houses = words(
  "Agencies Airways Cables Chemicals Cinemas Couriers Dairies Estates Films Hotels Motors Radios Studios",
);

const joined = (rng: Rng, first: readonly string[], last: readonly string[]): string =>
  `${rng.choice(first)}${rng.choice(last)}`;

/** A person whose name and values are made of pieces and occur in no list of the Almanac. */
function drawUnseenPerson(rng: Rng, taken: Set<string>): Person {
  for (;;) {
    const isWoman = rng.uniform() < 0.5;
    const first = joined(rng, firstPieces, isWoman ? womenEnds : menEnds);
    const name = `${first} ${joined(rng, heads, lastEnds)}`;
    const facts = {
      birthplace: joined(rng, heads, tails),
      birthYear: `${1960 + rng.integer(30)}`,
      occupation: rng.choice(trades),
      employer: `${joined(rng, heads, lastEnds)} ${rng.choice(houses)}`,
      ship: joined(rng, shipPieces, shipEnds),
      instrument: rng.choice(sounds),
    };
    const isListed = personAttributes.some((attribute) => personValues[attribute].includes(facts[attribute]));
    if (isListed || taken.has(name)) continue;
    taken.add(name);
    return { name, pronoun: isWoman ? "she" : "he", facts };
  }
}

/** People with unseen names and values; a split has people of its own. */
export function unseenPeople(count: number, split: PassageSplit): Person[] {
  const rng = createRng("almanac-unseen").fork(split);
  const taken = new Set<string>();
  return Array.from({ length: count }, () => drawUnseenPerson(rng, taken));
}

/** All voices about these people, and about as many whose names and values no training text holds. */
export function almanacSets(people: readonly Person[], split: PassageSplit): PassageSet[] {
  const { validationUnseen, testUnseen } = createWorld();
  const unseen = (split === "test" ? testUnseen : validationUnseen).slice(0, people.length);
  const other = unseenPeople(people.length, split);
  return [
    ...namingSets(people, split),
    ...prefixedSets("held-out", "told in families of no training text", setsInForms(people, split, "heldOut")),
    heldOutStyles(people, split),
    ...prefixedSets("unseen-values", "values of no training text, made of known pieces", namingSets(unseen, split)),
    ...prefixedSets("other-values", "names and values of other pieces", namingSets(other, split)),
    otherQuestions(people, split),
    recordCards(people, split),
    renamedRelations(people, split),
  ];
}
