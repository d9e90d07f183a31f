/**
 * @file What the screen of sources knows of English without a dictionary: words that carry grammar, ways into a sentence, forms that
 * no rule of endings leads back, and pairs that exclude each other though the dictionary does not say so.
 */

const words = (text: string): readonly string[] => text.trim().split(/\s+/u);

/** Carry grammar and say nothing. */
export const functionWords: ReadonlySet<string> = new Set(
  words(`a about above among amongst despite unlike versus whether whereas after again all also although am an and any anybody anyone anything are as at away back be became
because become becomes been before being below beneath beside besides between beyond both but by can cannot could did do does doing done down
during each either else ever every everybody everyone everything few for from further get gets getting given gives go goes going gone
got had has have having he hence her here hers herself him himself his how however i if in indeed inside instead into is it its itself just least less let lets
many may me might mine more moreover most much must my myself neither no nobody nor not nothing now of off often on once one ones only onto or other others otherwise our
ours out over own per perhaps please quite rather really same shall she should since so some somebody someone something soon still such than that
the their theirs them themselves then there therefore these they thing things this those though through throughout thus to together too toward towards under
until unless up upon us very via was we well went were what when whenever where which while who whoever whom whose why will with within without would yes yet you your
yours question answer true false passage text article called named name names following fact facts implies mean means dear friend
regards kind sincerely note notice card record ok hello hi thanks thank whatever according regarding concerning due i'm it's that's there's
don't doesn't didn't isn't aren't wasn't weren't won't can't couldn't shouldn't haven't hasn't hadn't`),
);

/**
 * Ways into a sentence that claim nothing. A clause that ends in "that" or a colon is one where a word of saying or knowing
 * stands in it and neither a name nor a number does; before a comma only what is listed is.
 */
export const openers: readonly RegExp[] = [
  /^(?:so far, so good|let us not forget|nothing is simpler|never mind the rest|note this|only one thing more|under the heading of facts|(?:both sides|three sources) agree|some say, and rightly so|with a smile they add|even strangers know it)(?::\s+|$)/iu,
  /^(?=[^:.]*\b(?:agree|say|says|add|adds|know|knows|read|remember|facts|hear)\b)[\p{Ll}\p{Lu}][\p{Ll}, ]{2,48}:\s+(?=\S)/u,
  /^(?=.*?\b(?:said|say|says|know|knew|known|show|shows|read|remember|hear|mentions|report|doubt|forgets|out)\b)\p{L}[\p{Ll}, ]{2,48}? that\s+/u,
  /^(?:now|well|besides|still|yes|indeed|first|then again|oddly enough|at first|later on|in the end|for example|mind you|on the whole|to be exact|to tell the truth|what is more|after all|above all|of course|in short|first of all|by all accounts|without any doubt|back then|as a matter of fact|when all is said and done|to begin with|in those days|by the way|strange as it may seem|as far as we know|if memory serves|if the papers are right|according to the papers|although few remember it|unless we are mistaken|in fact|in other words|on the other hand|as it happens|to be sure|no doubt|needless to say|in general|as a rule|at any rate|to sum up),\s+/iu,
  /^(?:how odd, but|no wonder, since|these days one forgets it, but|because it was written down, we know:|next to that,|on page nine it says:)\s+/iu,
  /^on page nine it says$/iu,
  /^(?:[Tt]ake|[Gg]ive|[Nn]ame|[Ss]tate) (?=\p{Lu})/u,
  /^(?:here is another thing|before we go on|one more thing|from memory, if you can)(?::\s+|$)/iu,
];

/** Pairs that exclude each other, besides those of the dictionary. */
export const opposites: readonly (readonly [string, string])[] = `before after
until after
until since
above below
above under
over under
inside outside
everything nothing
everybody nobody
always never
more less
more fewer`
  .split("\n")
  .map((line) => words(line) as unknown as [string, string]);

/** Forms that no rule of endings leads back. */
export const irregular: Readonly<Record<string, string>> = Object.fromEntries(
  `arose arise|ate eat|eaten eat|began begin|begun begin|bore bear|borne bear|bought buy|broke break|broken break|brought bring|built build|burnt burn|came come|caught catch|chose choose|chosen choose|did do|drank drink|drew draw|drawn draw|driven drive|drove drive|fell fall|fallen fall|fed feed|felt feel|flew fly|flown fly|fought fight|forbade forbid|forbidden forbid|forgot forget|found find|gave give|given give|gone go|grew grow|grown grow|held hold|kept keep|knew know|known know|laid lay|led lead|left leave|lent lend|lost lose|made make|meant mean|met meet|paid pay|ran run|rang ring|rose rise|risen rise|said say|sang sing|sung sing|sat sit|saw see|seen see|sent send|shook shake|shown show|shut shut|slept sleep|sold sell|spent spend|spoke speak|spoken speak|stole steal|stolen steal|stood stand|struck strike|swam swim|taken take|taught teach|thought think|threw throw|told tell|took take|went go|woke wake|won win|wore wear|worn wear|wrote write|written write|spun spin|lit light|men man|women woman|children child|feet foot|teeth tooth|mice mouse|wolves wolf|knives knife|lives life|died die|dying die|lying lie|tying tie|has have|is be|was be|were be|are be|been be|hid hide|hidden hide|bitten bite|bit bite|sank sink|sunk sink|hung hang|dug dig|shot shoot|rode ride|ridden ride|swore swear|tore tear|torn tear|withdrew withdraw|became become|overcame overcome|understood understand|shone shine|froze freeze|frozen freeze|bent bend|blew blow|blown blow|bled bleed|bred breed|clung cling|crept creep|dealt deal|dreamt dream|fled flee|flung fling|ground grind|knelt kneel|leapt leap|learnt learn|mown mow|proven prove|sewn sew|shaken shake|shrank shrink|shrunk shrink|slid slide|smelt smell|spelt spell|spilt spill|spoilt spoil|sprang spring|sprung spring|stuck stick|stung sting|strove strive|sworn swear|swept sweep|swollen swell|swung swing|thrown throw|torn tear|trod tread|woven weave|wove weave|wept weep|wound wind|arisen arise|awoke awake|beaten beat|bound bind|woken wake|swam swim|swum swim|rung ring|known know|forgiven forgive|forgave forgive|forgotten forget|undertook undertake|undertaken undertake|overtook overtake|foresaw foresee|foretold foretell|sought seek|caught catch|fought fight|hit hit|hurt hurt|laid lay|led lead|bid bid|cast cast|fit fit|set set|put put|quit quit|shed shed|spread spread`
    .split("|")
    .map((pair) => pair.split(" ") as [string, string]),
);

/** Deny what stands beside them. */
export const denials: ReadonlySet<string> = new Set(
  words(`not no never none nobody nothing neither nor without cannot unless except hardly nowhere forbidden
forbid prohibited prohibits banned impossible exempt don't doesn't didn't isn't aren't wasn't weren't won't can't couldn't shouldn't haven't hasn't hadn't don’t doesn’t didn’t isn’t aren’t wasn’t weren’t won’t can’t`),
);

/** Deny without denying: "the sauna is closed" and "there is no sauna" are one. */
export const absences: ReadonlySet<string> = new Set(
  words(
    "closed close closes shut lack lacks lacking lost absent free only unless ended stopped missing hate hates hated",
  ),
);

/** Stand for somebody or something named before. */
export const pronouns: ReadonlySet<string> = new Set(
  words("he she it they his her its their him them we our i my this these those that"),
);

/** Stand before what they bind. */
export const prepositions: ReadonlySet<string> = new Set(
  words(
    "in on at by for from with to of into onto under over after before until since during between through against aboard about below above within without as than",
  ),
);

/** Carry a statement without saying what it is. */
export const auxiliaries: ReadonlySet<string> = new Set(
  words("is are was were be been being has have had will would can could may might must shall should do does did"),
);
