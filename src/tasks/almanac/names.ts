/**
 * @file The pieces the Almanac's names are put together from. First names are plain words; last names, towns, companies, ships,
 * trades and instruments are made of two pieces each, so that there are many of them and a value that training never showed
 * can still be read, piece by piece: `values.ts` says which combinations those are.
 */

/** Splits a block of words on white space. */
const words = (block: string): readonly string[] => block.trim().split(/\s+/);

/** What a composed name is made of. */
export interface Pieces {
  readonly first: readonly string[];
  readonly last: readonly string[];
}

export const womenNames: readonly string[] = words(`
  Ada Agnes Alice Amelia Anna Beatrice Bertha Bridget Carol Cecily Clara Cora Daisy Diana Dora Edith Eleanor Eliza
  Ella Emma Esther Eva Fanny Flora Frances Freda Gemma Gloria Grace Hannah Harriet Hazel Helen Ida Irene Iris Isabel
  Ivy Jane Janet Joan Judith Julia Kate Laura Lena Lily Lois Louise Lucy Mabel Margaret Maria Martha Mary Maud Minnie
  Molly Nancy Nell Nora Olive Pearl Phoebe Rachel Rosa Ruth Sarah Stella Susan
`);

export const menNames: readonly string[] = words(`
  Adam Albert Alfred Amos Andrew Arthur Basil Bernard Charles Clement Conrad Cyril Daniel David Dennis Dominic Edgar
  Edmund Edward Ernest Felix Francis Frank Frederick George Gilbert Giles Gordon Harold Harry Henry Herbert Hubert Hugh
  Isaac Jack Jacob James Jasper John Joseph Kenneth Lawrence Leonard Lewis Luke Mark Martin Matthew Maurice Miles Neil
  Oliver Oscar Owen Patrick Paul Percy Peter Philip Ralph Reginald Robert Roland Rupert Samuel Simon Stephen Thomas Walter
`);

export const surnamePieces: Pieces = {
  first: words(`
    Al Ash Bar Beck Blan Bos Brad Cald Chad Col Crom Dal Dun Ed Els Fal Far Gar Gran Had Hal Har Hol Kel Lang Lam Lyn Mal
    Mar Mel Nor Os Pem Pres Rad Ran Red Rock Sel Stan Tar Thorn Wal War Wil Win
  `),
  last: words(
    "by bridge burn croft dale den don field ford gate ham hurst land ley low man mer shaw stead ton ward well wick worth",
  ),
};

export const townPieces: Pieces = {
  first: words(`
    Alder Amber Apple Black Bram Brin Calder Car Clay Cold Cor Cran Deep Dove Eagle East Elm Fair Fern Fox Glen Gold Green
    Grey Hart Hazel Heron High Iron King Lark Lime Long Mill Moss New North Oak Otter Pen Raven Rose Salt Sand Shore Silver
    South Stone Summer Swan Thorn Tide White Willow Winter Wolver Yar
  `),
  last: words(`
    beck borough bourne brook bury cliff combe cote dean fell garth gill haven holme hythe lea mere minster moor mouth
    port ridge sea side stow thorpe tree vale wich wold
  `),
};

export const companyPieces: Pieces = {
  first: words(`
    Ains Bol Brix Cad Carl Chest Cor Dart Den Dor Elg Ever Finch Gar Gresh Hanb Hol Ken Latt Lud Marst Melr Norw Old Penn
    Quill Rans Sef Shel Staff Till Tren Tynd Ups Vern Wald Whit Wynd
  `),
  last: words(
    "aby acre ady ander anley ard aster eby edge elock ender enby erton erly ester ingham inson ister itt ock olt oway umber ustin",
  ),
};

/** What follows the family's name in a company's. */
export const companyKinds: readonly string[] = words(
  "Mills Works Brothers Foundry Stores Press Lines Bank Company Yards",
);

export const shipPieces: Pieces = {
  first: words(`
    Bold Brave Bright Crimson Early Fair Faithful Flying Gentle Golden Happy Hardy Lonely Lucky Merry Morning Northern Patient
    Proud Quick Royal Silent Silver Southern Steady Sturdy Western Wild
  `),
  last: words(`
    Albatross Arrow Aurora Badger Bell Comet Cormorant Dolphin Dragon Falcon Firefly Gannet Griffon Hawk Heron Kestrel Lantern
    Lark Magpie Mermaid Meteor Nightjar Otter Pelican Phoenix Pilgrim Puffin Raven Rover Seal Sparrow Spirit Star Swallow Swan
    Tempest Thistle Traveller Trident Venture Wanderer Widow
  `),
};

/** Ships of one word. */
export const plainShips: readonly string[] = words(`
  Avenger Bluebell Buccaneer Calypso Centaur Chieftain Corsair Cygnet Dauntless Endeavour Galatea Harrier Hercules Hyperion
  Intrepid Jupiter Kingfisher Leviathan Lodestar Minerva Neptune Odyssey Orion Osprey Pegasus Perseus Resolute Saturn
  Seahorse Triton Valiant Vanguard Vulcan Zephyr
`);

/** Trades of one word. */
export const plainTrades: readonly string[] = words(`
  actor architect baker banker barber blacksmith brewer butcher carpenter chemist clerk cobbler dentist engraver farmer
  gardener glassblower hatter jeweller judge librarian miller miner nurse painter pharmacist photographer plumber potter
  printer saddler sculptor surgeon surveyor tailor tanner teacher translator weaver
`);

export const tradePieces: Pieces = {
  first: words(`
    basket bell boat book boot brick broom button candle carpet cheese clock cloth coal comb flour flower fruit glove harness
    hat herb lace lamp lock map mirror nail net paper pen pipe rope sail salt shoe silk soap sugar sword tea tile tool toy
    umbrella watch wheel whip wine wool
  `),
  last: words("buyer carrier cutter dealer finder keeper maker mender packer painter seller sorter tester"),
};

/** Instruments of one word. */
export const plainInstruments: readonly string[] = words(`
  accordion bagpipes banjo bassoon bugle cello clarinet concertina cornet drums fiddle flute guitar harmonica harp
  harpsichord horn lute lyre mandolin oboe organ piano piccolo recorder saxophone trombone trumpet tuba ukulele viola
  violin whistle xylophone zither
`);

export const instrumentPieces: Pieces = {
  first: words("alto bass brass double glass great hand little old reed silver steel tenor tin toy Welsh wooden"),
  last: words(
    "accordion banjo bell bugle cello clarinet cornet drum fiddle flute guitar harp horn lute lyre oboe organ piano pipe trumpet tuba viola violin whistle zither",
  ),
};

export const products: readonly string[] = words(`
  barrels bells bicycles books boots bricks buttons candles carpets cheese cider clocks coal gloves glass hats ink lamps
  leather maps nails needles paper pipes pottery rope salt silk soap steel sugar tea timber tin tools toys wheels wool
`);

export const rivers: readonly string[] = words(`
  Arrow Avon Brent Cole Dart Derwent Ember Fleet Gade Irwell Kennet Lark Mole Nidd Orwell Piddle Rother Severn Stour Tamar
  Teign Test Trent Ure Wye
`);
