/**
 * @file The word lists the Almanac is built from. Short, English-looking, distinct in their first letters where possible,
 * so that a small byte-level vocabulary spends one or two tokens on each. A person is a first and a last name; every first and
 * last name occurs in pretraining, while the pairs held out for the examination never do.
 */

/** Splits a block of words on white space. */
const words = (block: string): readonly string[] => block.trim().split(/\s+/);

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

export const firstNames: readonly string[] = [...womenNames, ...menNames];

export const lastNames: readonly string[] = words(`
  Abbott Adler Aldous Allen Archer Arnold Ashby Atkins Austin Bailey Baker Ballard Barlow Barnes Barton Beale Bennett
  Benson Bishop Blair Blake Booth Bowen Boyd Bradley Brand Briggs Brooks Bryant Burgess Burke Butler Byrne Caldwell
  Calvert Carter Carver Chandler Chase Clarke Clifton Cobb Colby Cole Collins Cooper Corbett Craig Crane Cross Curtis
  Dalton Davies Dawson Denham Dixon Doyle Drake Draper Dunn Dyer Eaton Elliott Ellis Emery Evans Farrow Fenton Field
  Finch Fisher Fleming Fletcher Flynn Forbes Foster Fowler Fox Frost Fuller Garner Gibbs Glover Goddard Graham Grant
  Graves Gray Greene Griffin Hale Hammond Hardy Harper Harris Hart Harvey Hayes Heath Hobbs Holt Hooper Howard Hudson
  Hughes Hunt Hurst Ingram Irving Jarvis Jenkins Jennings Kemp Kendall Kerr Keyes Kirby Knox Lambert Lane Lawson Leach
  Lester Lloyd Locke Lowe Lyons Maddox Malone Marsh Mercer Merritt Monk Moore Morgan Morton Murray Nash Newton Nolan
  Norris Nye Oakes Osborne Paget Palmer Parry Payne Pearce Perkins Pierce Plumb Porter Potter Pratt Quinn Ramsey Reed
  Rhodes Rigby Rowe Sawyer Sharpe Shaw Skinner Slater Stokes Sutton Thorne Turner Vaughan Vickers Wade Wallis Webb
`);

export const placeNames: readonly string[] = words(`
  Alderbury Amberley Ashcombe Barrowby Bexcliff Birkdale Blackmoor Bramford Brinswick Calderby Carnwick Cheverly
  Clayhurst Coldbrook Corfield Cranmouth Dalewick Deepmere Dunholme Eastwell Elmstead Fairhaven Farnby Fenwick
  Foxley Garsdale Glenmoor Greywater Halford Hartmoor Hazelby Helmsworth Highcliff Hollowell Ironbridge Kelbrook Kingsmead
  Langport Larkhill Lindham Longmere Marlow Merrivale Millbrook Mossley Netherby Newhaven Northam Oakhampton Otterburn
  Pendleton Penrose Quarrington Ravensby Redmarsh Ringwood Rockport Saltburn Sedgely Shorewell Silverdale Southwold
  Stonebridge Summerton Swanmoor Thornby Tidewell Underhill Upton Wexcombe Whitby Willowford Winterton Wolvercote Yarmley
`);

export const occupations: readonly string[] = words(`
  actor architect baker banker barber beekeeper blacksmith bookbinder brewer butcher carpenter cartographer chemist clerk
  cobbler dentist engraver farmer fisherman gardener glassblower hatter innkeeper jeweller judge librarian locksmith
  miller miner nurse painter pharmacist photographer plumber potter printer saddler sculptor surgeon surveyor tailor
  tanner teacher translator watchmaker weaver
`);

export const instruments: readonly string[] = words(`
  accordion bagpipes banjo bassoon bugle cello clarinet concertina cornet drums fiddle flute guitar harmonica harp
  harpsichord horn lute lyre mandolin oboe organ piano piccolo saxophone sitar trombone trumpet tuba ukulele viola violin
  xylophone zither
`);

export const shipNames: readonly string[] = words(`
  Albatross Aurora Avenger Bluebell Buccaneer Calypso Centaur Chieftain Comet Cormorant Corsair Cygnet Dauntless Dolphin
  Dragonfly Endeavour Falcon Firefly Galatea Gannet Griffon Harrier Hercules Hyperion Intrepid Jupiter Kestrel Kingfisher
  Leviathan Lodestar Magpie Mermaid Meteor Minerva Neptune Nightjar Odyssey Orion Osprey Pegasus Pelican Perseus Phoenix
  Pilgrim Puffin Resolute Saturn Seahorse Sparrow Swift Tempest Triton Trident Valiant Vanguard Venture Vulcan Wanderer
  Zephyr
`);

/** First words of company names; the second word is one of {@link companyTrades}. */
export const companyFamilies: readonly string[] = words(`
  Acton Ainsley Bolton Brixton Cadwell Carlisle Chester Corwin Dartnell Denby Dorking Dunstan Elgin Everett Fairfax
  Garland Gresham Hadley Halden Hanbury Holborn Kenyon Langley Lattimer Ludlow Marston Melrose Norwood Oakley Oldham
  Pemberton Preston Radley Ransome Sefton Selwyn Shelby Stafford Tarrant Tilbury Trenton Tyndall Upshaw Verney Walden
  Warwick Whitlock Windsor Wyndham Yardley
`);

export const companyTrades: readonly string[] = words("Mills Works Brothers Foundry Stores Press Lines Bank");

export const products: readonly string[] = words(`
  barrels bells bicycles books boots bricks buttons candles carpets cheese cider clocks coal gloves glass hats ink lamps
  leather maps nails needles paper pipes pottery rope salt silk soap steel sugar tea timber tin tools toys wheels wool
`);

export const rivers: readonly string[] = words(`
  Arrow Avon Brent Cole Dart Derwent Ember Fleet Gade Irwell Kennet Lark Mole Nidd Orwell Piddle Rother Severn Stour Tamar
  Teign Test Trent Ure Wye
`);
