/**
 * @file Every value an attribute can take, in two halves that share their pieces and nothing else: `seen`, which training text
 * draws from, and `unseen`, which no training text ever holds. A fixed hash of the value decides, so that the halves do not
 * depend on a seed. Surnames are divided alike.
 */
import {
  companyKinds,
  companyPieces,
  instrumentPieces,
  type Pieces,
  plainInstruments,
  plainShips,
  plainTrades,
  shipPieces,
  surnamePieces,
  townPieces,
  tradePieces,
} from "./names.ts";

/** One of {@link personAttributes}. */
export type PersonAttribute = "birthplace" | "birthYear" | "occupation" | "employer" | "ship" | "instrument";

/** What is true of a person. */
export const personAttributes: readonly PersonAttribute[] = [
  "birthplace",
  "birthYear",
  "occupation",
  "employer",
  "ship",
  "instrument",
];

/** Whether training may show a value. */
export type ValueSplit = "seen" | "unseen";

/** The values of each attribute. */
export type PersonValues = Readonly<Record<PersonAttribute, readonly string[]>>;

/** FNV-1a of 32 bits: the same value is in the same half for ever. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const char of text) hash = Math.imul(hash ^ char.codePointAt(0)!, 0x01000193) >>> 0;
  return hash;
}

/** One in five composed values is kept from training. */
const isUnseen = (value: string): boolean => (hashOf(value) >>> 8) % 5 === 0;

const compose = ({ first, last }: Pieces, glue: string): string[] =>
  first.flatMap((head) =>
    last
      .filter((tail) => head.at(-1)!.toLowerCase() !== tail[0] || glue !== "") // no "Fellley"
      .map((tail) => `${head}${glue}${tail}`),
  );

const companies = compose(companyPieces, "").map(
  (name) => `${name} ${companyKinds[hashOf(name) % companyKinds.length]!}`,
);
const years = Array.from({ length: 1000 }, (_, index) => `${1000 + index}`);

interface Stock {
  /** Words of one piece, all of them seen. */
  readonly plain: readonly string[];
  readonly composed: readonly string[];
}

const stocks: Readonly<Record<PersonAttribute, Stock>> = {
  birthplace: { plain: [], composed: compose(townPieces, "") },
  birthYear: { plain: [], composed: years },
  occupation: { plain: plainTrades, composed: compose(tradePieces, " ") },
  employer: { plain: [], composed: companies },
  ship: { plain: plainShips, composed: compose(shipPieces, " ") },
  instrument: { plain: plainInstruments, composed: compose(instrumentPieces, " ") },
};

function valuesOf(split: ValueSplit): PersonValues {
  const take = (attribute: PersonAttribute): string[] => {
    const { plain, composed } = stocks[attribute];
    return split === "seen" ? [...plain, ...composed.filter((value) => !isUnseen(value))] : composed.filter(isUnseen);
  };
  return Object.fromEntries(
    personAttributes.map((attribute) => [attribute, take(attribute)]),
  ) as unknown as PersonValues;
}

/** Values that training draws from. */
export const personValues: PersonValues = valuesOf("seen");

/** Values that no training text holds; their pieces occur in other values. */
export const unseenValues: PersonValues = valuesOf("unseen");

const surnames = compose(surnamePieces, "");

/** Last names by split. */
export const lastNames: Readonly<Record<ValueSplit, readonly string[]>> = {
  seen: surnames.filter((name) => !isUnseen(name)),
  unseen: surnames.filter(isUnseen),
};
