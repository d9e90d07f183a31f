/**
 * @file The Almanac's entities and their splits. People carry six attributes whose values are towns, years, trades, companies,
 * ships and instruments; ships, companies and towns carry facts of their own, so that a value is something the model has also
 * read about. Everything follows from one seed.
 */
import type { Rng } from "../../util/index.ts";
import { createRng, SelkieError } from "../../util/index.ts";
import { coinLastName, coinValue } from "./coin.ts";
import { menNames, products, rivers, womenNames } from "./names.ts";
import {
  lastNames,
  type PersonAttribute,
  personAttributes,
  personValues,
  unseenValues,
  type ValueSplit,
} from "./values.ts";

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
  /** As `validation`, with last names and values that no training text holds. */
  readonly validationUnseen: readonly Person[];
  /** As `test`, with last names and values that no training text holds. */
  readonly testUnseen: readonly Person[];
  readonly things: readonly Thing[];
  /**
   * A person no split holds: a name of its own, facts drawn anew at every call from the values that training may show.
   * Each value and the last name is coined, on no list at all, with probability `coinRate`. @defaultValue `coinRate` 0
   */
  stranger(rng: Rng, coinRate?: number): Person;
}

/** Sizes of the splits; the defaults are those of the shipped model. */
export interface WorldSizes {
  readonly questioned: number;
  readonly toldOnly: number;
  readonly validation: number;
  readonly test: number;
  /** People of `validationUnseen` and of `testUnseen`, each. @defaultValue 100 */
  readonly unseen?: number;
}

const shippedSizes: WorldSizes = { questioned: 150, toldOnly: 150, validation: 200, test: 100, unseen: 100 };

const valuesBySplit = { seen: personValues, unseen: unseenValues } as const;

/**
 * A value of the same attribute that is not `right`, and of its sort: from those that training may show where `right` is one of
 * them, else coined. Errors that came from the lists alone would teach that a value on no list is one.
 */
export function wrongValue(attribute: PersonAttribute, right: string, rng: Rng): string {
  const values = personValues[attribute];
  const isListed = values.includes(right);
  for (;;) {
    const drawn = isListed ? rng.choice(values) : coinValue(attribute, rng);
    if (drawn !== right) return drawn;
  }
}

function drawPerson(rng: Rng, taken: ReadonlySet<string>, split: ValueSplit, coinRate = 0): Person {
  const values = valuesBySplit[split];
  const isCoined = () => coinRate > 0 && rng.uniform() < coinRate;
  for (;;) {
    const isWoman = rng.uniform() < 0.5;
    const lastName = isCoined() ? coinLastName(rng) : rng.choice(lastNames[split]);
    const name = `${rng.choice(isWoman ? womenNames : menNames)} ${lastName}`;
    if (taken.has(name)) continue;
    const draw = (attribute: PersonAttribute) =>
      isCoined() ? coinValue(attribute, rng) : rng.choice(values[attribute]);
    const facts = Object.fromEntries(personAttributes.map((attribute) => [attribute, draw(attribute)] as const));
    return { name, pronoun: isWoman ? "she" : "he", facts: facts as Record<PersonAttribute, string> };
  }
}

const numThings = 60;

function drawThings(rng: Rng): Thing[] {
  const town = () => rng.choice(personValues.birthplace);
  const company = () => rng.choice(personValues.employer);
  const year = () => rng.choice(personValues.birthYear);
  const some = (values: readonly string[]) => rng.shuffle(values).slice(0, numThings);
  return [
    ...some(personValues.ship).map((name) => ({
      name: `the ${name}`,
      facts: { shipBuiltAt: town(), shipLaunched: year(), shipOwner: company() },
    })),
    ...some(personValues.employer).map((name) => ({
      name,
      facts: { companySeat: town(), companyFounded: year(), companyProduct: rng.choice(products) },
    })),
    ...some(personValues.birthplace).map((name) => ({
      name,
      facts: { placeRiver: rng.choice(rivers), placeProduct: rng.choice(products) },
    })),
  ];
}

/** Builds the world named by `seed`: the same seed always gives the same people. */
export function createWorld(seed: number | string = "almanac of many voices", sizes: WorldSizes = shippedSizes): World {
  const unseen = sizes.unseen ?? 100;
  const wanted = sizes.questioned + sizes.toldOnly + sizes.validation + sizes.test;
  const numFirst = womenNames.length + menNames.length;
  const pairs = numFirst * lastNames.seen.length;
  if (wanted > pairs / 4 || 2 * unseen > (numFirst * lastNames.unseen.length) / 4) {
    throw new SelkieError(
      "bad-option",
      `createWorld: expected at most ${Math.floor(pairs / 4)} people in all splits, so that names are left for strangers, got ${wanted}; ask for fewer`,
    );
  }
  const rng = createRng("almanac-world").fork(seed);
  const taken = new Set<string>();
  const drawSplit = (split: string, count: number, values: ValueSplit = "seen"): Person[] => {
    const stream = rng.fork(split);
    return Array.from({ length: count }, () => {
      const person = drawPerson(stream, taken, values);
      taken.add(person.name);
      return person;
    });
  };
  const people = {
    questioned: drawSplit("questioned", sizes.questioned),
    toldOnly: drawSplit("told-only", sizes.toldOnly),
    validation: drawSplit("validation", sizes.validation),
    test: drawSplit("test", sizes.test),
    validationUnseen: drawSplit("validation-unseen", unseen, "unseen"),
    testUnseen: drawSplit("test-unseen", unseen, "unseen"),
  };
  return {
    ...people,
    things: drawThings(rng.fork("things")),
    stranger: (stream, coinRate) => drawPerson(stream, taken, "seen", coinRate),
  };
}
