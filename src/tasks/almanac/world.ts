/**
 * @file The Almanac's entities and their splits. People carry six attributes whose values are other entities or plain words;
 * ships, companies and places carry facts of their own, so that a value is something the model has also read about.
 * Everything follows from one seed.
 */
import type { Rng } from "../../util/index.ts";
import { createRng, SelkieError } from "../../util/index.ts";
import {
  companyFamilies,
  companyTrades,
  instruments,
  lastNames,
  menNames,
  occupations,
  placeNames,
  products,
  rivers,
  shipNames,
  womenNames,
} from "./names.ts";

/** What is true of a person, in the order in which an examination passage tells it. */
export const personAttributes = ["birthplace", "birthYear", "occupation", "employer", "ship", "instrument"] as const;
/** One of {@link personAttributes}. */
export type PersonAttribute = (typeof personAttributes)[number];

/** Somebody of the Almanac. */
export interface Person {
  readonly name: string;
  readonly pronoun: "she" | "he";
  readonly facts: Readonly<Record<PersonAttribute, string>>;
}

/** What is true of ships, companies and places. */
export type ThingAttribute =
  | "shipBuiltAt"
  | "shipLaunched"
  | "shipOwner"
  | "companySeat"
  | "companyFounded"
  | "companyProduct"
  | "placeRiver"
  | "placeProduct";

/** A ship, a company or a place. */
export interface Thing {
  readonly name: string;
  readonly facts: Readonly<Partial<Record<ThingAttribute, string>>>;
}

/** The people of one world, by what the model may know of them. */
export interface World {
  /** Known people about whom pretraining asks questions, too. */
  readonly questioned: readonly Person[];
  /** Known people whose biographies pretraining tells and about whom it never asks: what is answered of them was extracted. */
  readonly toldOnly: readonly Person[];
  /** Never in pretraining; for tuning and for the outer loop's passages. */
  readonly validation: readonly Person[];
  /** Never in pretraining; for the figures that are reported. */
  readonly test: readonly Person[];
  readonly things: readonly Thing[];
  /** A person no split holds: a name of its own, facts drawn anew at every call. */
  stranger(rng: Rng): Person;
}

/** Sizes of the splits; the defaults are those of the shipped model. */
export interface WorldSizes {
  readonly questioned: number;
  readonly toldOnly: number;
  readonly validation: number;
  readonly test: number;
}

const shippedSizes: WorldSizes = { questioned: 150, toldOnly: 150, validation: 200, test: 100 };

const years = (from: number, count: number): readonly string[] =>
  Array.from({ length: count }, (_, i) => `${from + i}`);

const companies: readonly string[] = companyFamilies.map(
  (family, index) => `${family} ${companyTrades[index % companyTrades.length]!}`,
);

/** Every value an attribute can take. */
export const personValues: Readonly<Record<PersonAttribute, readonly string[]>> = {
  birthplace: placeNames,
  birthYear: years(1900, 60),
  occupation: occupations,
  employer: companies,
  ship: shipNames,
  instrument: instruments,
};

/** Every value a fact about a ship, a company or a place can take. */
export const thingValues: Readonly<Record<ThingAttribute, readonly string[]>> = {
  shipBuiltAt: placeNames,
  shipLaunched: years(1860, 60),
  shipOwner: companies,
  companySeat: placeNames,
  companyFounded: years(1800, 80),
  companyProduct: products,
  placeRiver: rivers,
  placeProduct: products,
};

/** A value of the same attribute that is not `right`. */
export function wrongValue(attribute: PersonAttribute, right: string, rng: Rng): string {
  const values = personValues[attribute];
  const drawn = values[rng.integer(values.length - 1)]!;
  return drawn === right ? values[values.length - 1]! : drawn;
}

function drawPerson(rng: Rng, taken: ReadonlySet<string>): Person {
  for (;;) {
    const woman = rng.uniform() < 0.5;
    const name = `${rng.choice(woman ? womenNames : menNames)} ${rng.choice(lastNames)}`;
    if (taken.has(name)) continue;
    return {
      name,
      pronoun: woman ? "she" : "he",
      facts: {
        birthplace: rng.choice(personValues.birthplace),
        birthYear: rng.choice(personValues.birthYear),
        occupation: rng.choice(personValues.occupation),
        employer: rng.choice(personValues.employer),
        ship: rng.choice(personValues.ship),
        instrument: rng.choice(personValues.instrument),
      },
    };
  }
}

function drawThings(rng: Rng): Thing[] {
  const draw = (attribute: ThingAttribute): string => rng.choice(thingValues[attribute]);
  const things: Thing[] = [];
  for (const name of shipNames) {
    const facts = {
      shipBuiltAt: draw("shipBuiltAt"),
      shipLaunched: draw("shipLaunched"),
      shipOwner: draw("shipOwner"),
    };
    things.push({ name: `the ${name}`, facts });
  }
  for (const name of companies) {
    const facts = {
      companySeat: draw("companySeat"),
      companyFounded: draw("companyFounded"),
      companyProduct: draw("companyProduct"),
    };
    things.push({ name, facts });
  }
  for (const name of placeNames) {
    things.push({ name, facts: { placeRiver: draw("placeRiver"), placeProduct: draw("placeProduct") } });
  }
  return things;
}

/** Builds the world named by `seed`: the same seed always gives the same people. */
export function createWorld(seed: number | string = "almanac", sizes: WorldSizes = shippedSizes): World {
  const wanted = sizes.questioned + sizes.toldOnly + sizes.validation + sizes.test;
  const pairs = (womenNames.length + menNames.length) * lastNames.length;
  if (wanted > pairs / 4) {
    throw new SelkieError(
      "bad-option",
      `createWorld: expected at most ${Math.floor(pairs / 4)} people in all splits, so that names are left for strangers, got ${wanted}; ask for fewer`,
    );
  }
  const rng = createRng("almanac-world").fork(seed);
  const taken = new Set<string>();
  const drawSplit = (split: string, count: number): Person[] => {
    const stream = rng.fork(split);
    return Array.from({ length: count }, () => {
      const person = drawPerson(stream, taken);
      taken.add(person.name);
      return person;
    });
  };
  return {
    test: drawSplit("test", sizes.test),
    validation: drawSplit("validation", sizes.validation),
    questioned: drawSplit("questioned", sizes.questioned),
    toldOnly: drawSplit("told-only", sizes.toldOnly),
    things: drawThings(rng.fork("things")),
    stranger: (stream) => drawPerson(stream, taken),
  };
}
