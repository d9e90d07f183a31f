/**
 * @file Values of no list: coined from syllables for one stranger and never met again. A model that reads many of them learns to copy
 * what the passage says, where lists alone teach it to guess the nearest entry. None is one of the unseen values.
 */
import type { Rng } from "../../util/index.ts";
import { companyKinds, instrumentPieces, shipPieces, townPieces, tradePieces } from "./names.ts";
import { lastNames, type PersonAttribute, unseenValues } from "./values.ts";

const onsets =
  "b bl br c ch cl cr d dr f fl fr g gl gr h j k l m n p pl pr qu r s sh sl sn st str t th tr v w y z".split(" ");
const vowels = "a a e e i i o o u ai au ea ee ie oa oo ou".split(" ");
const codas = ["", "", "", ..."b ck d ff ft g l ld ll lt m mp n nd ng nt p r rd rk rn rt s sk ss st t th x".split(" ")];

/** A word that looks like one and is none, of one to three syllables, in small letters. */
function coinWord(rng: Rng): string {
  const numSyllables = 1 + rng.integer(3);
  const syllable = () => `${rng.choice(onsets)}${rng.choice(vowels)}`;
  return `${Array.from({ length: numSyllables }, syllable).join("")}${rng.choice(codas)}`;
}

const raise = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);
const coinName = (rng: Rng): string => raise(coinWord(rng));

/** Years that are on no list: from 100 to 999 and from 2000 to 2899. */
const coinYear = (rng: Rng): string => `${(rng.uniform() < 0.5 ? 100 : 2000) + rng.integer(900)}`;

const coiners: Readonly<Record<PersonAttribute, readonly ((rng: Rng) => string)[]>> = {
  birthplace: [
    coinName,
    (rng) => `${coinName(rng)}${rng.choice(townPieces.last)}`,
    (rng) => `${rng.choice(townPieces.first)}${coinWord(rng)}`,
    (rng) => `${rng.choice(["Port", "Little", "Great", "Saint", "Upper", "Lower"])} ${coinName(rng)}`,
  ],
  birthYear: [coinYear],
  occupation: [
    (rng) => `${coinWord(rng)} ${rng.choice(tradePieces.last)}`,
    (rng) => `${rng.choice(tradePieces.first)} ${coinWord(rng)}er`,
    (rng) => `${coinWord(rng)}${rng.choice(["ist", "er", "wright", "smith", "man"])}`,
  ],
  employer: [
    (rng) => `${coinName(rng)} ${rng.choice(companyKinds)}`,
    (rng) => `${coinName(rng)} and ${coinName(rng)}`,
    (rng) => `${coinName(rng)} ${coinName(rng)}`,
  ],
  ship: [
    coinName,
    (rng) => `${rng.choice(shipPieces.first)} ${coinName(rng)}`,
    (rng) => `${coinName(rng)} ${rng.choice(shipPieces.last)}`,
    (rng) => `${rng.choice(shipPieces.last)} of ${coinName(rng)}`,
  ],
  instrument: [
    coinWord,
    (rng) => `${rng.choice(instrumentPieces.first)} ${coinWord(rng)}`,
    (rng) => `${coinWord(rng)} ${rng.choice(instrumentPieces.last)}`,
  ],
};

const unseen = new Set([...Object.values(unseenValues).flat(), ...lastNames.unseen]);

function untilAllowed(draw: () => string): string {
  for (;;) {
    const value = draw();
    if (!value.split(/ (?:of|and) | /).some((word) => unseen.has(word)) && !unseen.has(value)) return value;
  }
}

/** A value of `attribute` that is on no list. */
export const coinValue = (attribute: PersonAttribute, rng: Rng): string =>
  untilAllowed(() => rng.choice(coiners[attribute])(rng));

/** A last name that is on no list. */
export const coinLastName = (rng: Rng): string => untilAllowed(() => coinName(rng));
