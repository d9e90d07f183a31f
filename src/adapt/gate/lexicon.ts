/**
 * @file What the screen of sources knows of English: words that carry grammar, words that name a relation and no value, words
 * that say the same, and words that say the opposite. All lists are ours and short: a word that is in none of them counts
 * as a value, which a passage must contain before an edit may say it.
 */

const words = (text: string): readonly string[] => text.trim().split(/\s+/u);

/** Carry grammar and say nothing. */
export const functionWords: ReadonlySet<string> = new Set(
  words(`a about above after again all also although am an and any anybody anyone anything are as at away back be became
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

/** Name a relation, a kind of thing or a way of saying it: a paraphrase may bring them without bringing a fact. */
export const relationWords: readonly string[] =
  words(`able accord account act action activity actual add address age ago aim allow almost alone amount ancestor annual appear approach
area arise arrive aspect assume attempt available average aware base basis bear bearing beat begin beginning behave belong best better big birth birthday birthplace
board born borrow bound break bring brought build builder building built call calling capacity care career carry carrier case category cause certain chance change characteristic charge
choose circumstance city claim class clear close code colour color come common company complete conclude condition conduct connect consist constitute contain content
continue contribute cost count country couple course cover create creator crew current customer date day deal decide decrease deep default degree delay depend depth
descend describe description design detail determine develop device differ different direct discover discoverer discovery distance district document drop duration duty
earn easy effect effort emerge employ employee employer employment enable end enough enter entitle entitled event exactly example exceed exclude exist expect explain explanation express extend extent fact fail fall
family famous far feature feed feel figure final find finding finish fix floor follow food form former found founder frequent friend full function future gain gather general
get gift give go goal goes great group grow grown guide half hand happen happening hear height held help high hold home house hour hundred hunt idea identify illness imply importance important
include increase inform information inhabit initial instance instrument intend interval introduce involve issue item itself job join journey keep kind know known label land large
last late later launch lead leader learn leave lend length level lie life like likely limit list little live living local locate location long look lose lot lower
made main mainly maintain make maker making manage manner manufacture mark matter maximum measure measurement meet member mention message metal method mind minimum minute moment money month move movement
musical native nature near need needed new news next normal number obtain occasion occupation occur offer old open operate operation opening opposite order ordinary organise origin original originate outside owner pack
paid part participate particular particularly pass past pay payment people perform period permit person phase piece place plan play player point position possess possible practice practise
prepare present presenter preserve press prevent previous price problem proceed process produce product profession prompt proper property propose protect prove provide publish purpose put quantity question quick range rate reach
read ready real reason receive recent record reduce refer region relate relation release remain remember remove repair repeat replace report request require requirement reserve
responsible rest result return right role round rule run safe sail same say scene season second secure see seem send sender separate serve service set several shape share
shortly show shown side sign signature similar simple single site situate size sleep small sort source speak special spend stage stand start state station stay step stop store story strong study subject succeed
such suffer suit supply support suppose sure surround system take taken talk target task tell term test think thousand throw time title today topic total town trade train
travel treat trip trouble try turn type understand undertake undergo unit unless use used user useful usual value variety various visible visit visitor wait walk want watch way wear week weigh weight whole wide
width word work worker working world worth wrap write writer year yield young youth
entry exception allowed permitted forbidden prohibited responsible respectively approximately altogether currently formerly nowadays meanwhile afterwards eventually originally officially
daily weekly monthly yearly amongst among plus minus roughly nearly around across along next advance ahead advice choice happen job
afterward anymore anyway apart besides certain enable evidence existence explain false feasible free full further handle indicate item lack likewise
manage merely moreover namely necessary none notable obvious obtain occasion old only opposite overall owing partly possibility precise presence previous prior probable
reality regard relative remainder remark respect result section sense series simply situation somewhat specific statement status straight subsequent success sufficient summary surely term thereby typical unable undergo
usually version whereas whether woman man lady gentleman girl boy child adult human somebody folk staff crowd team pair set bit kind sake
carry conduct employed serve aboard member crew ship boat vessel employ employer company firm music tune worker founder native resident inhabitant citizen
happen belong consist possess contain comprise include involve entail signify denote stem derive spring come originate descend
resettle locate lay lain laid sit situated stood standing found lasted lasting ended ending started starting began begun
entire enormous huge tiny tall wide broad narrow heavy light short low high high-level
maximum minimum worth valued priced costs costing charges fee sum total pay paid payable paying payer recipient giver holder bearer bringer taker
caused causing owing thanks responsible culprit trigger reason origin discovered noticed spotted detected identified diagnosed established determined revealed reported stated mentioned said told
hours minutes seconds days weeks months years decades centuries evening morning afternoon night noon midnight day-to-day
shut shuts opening closing door doors
necessity obligatory compulsory mandatory optional required requires
arrange arranged arrangement book booking charge task duty job responsible
entitlement permission right claim allowance
put-off postpone postponed postponement schedule scheduled planned delay delayed
reserved kept stored held placed located stowed
earlier sooner latest newest oldest largest smallest greatest commonest
ingredient ingredients dish meal bake cook cooked boil oven pot pan
wheel vehicle
orbit planet trip voyage crossing water
prey eater diet nourish nourishment
habitat dwelling
holder notified notify contact contacted wrote
convert converted conversion transform transformed becoming
material substance fibre stuff
ask answer eat drink sleep sit lie stand walk swim fly climb dive cook wash clean paint draw sing dance laugh cry shout whisper hide seek throw catch kick pull push lift drop
bend fold tear cut split join glue tie nail dig plant pick gather hunt fish sail row ride drive park turn twist roll slide shake wave point touch feel smell taste listen watch look
think believe hope wish doubt guess wonder worry fear like love hate prefer enjoy admire trust blame thank praise greet invite visit marry divorce bury mourn celebrate
teach study learn train test check count add subtract multiply divide measure weigh mix pour fill empty load unload pack unpack open lock unlock enter exit cross pass
press hold squeeze release switch plug connect install update upgrade reset restart boot click type print scan copy paste delete undo redo search browse upload download
own possess rent hire lend borrow sell deliver ship return refund pay charge spend save earn waste invest insure tax fine reward punish arrest free rescue attack defend fight
bake boil fry roast grill simmer stir chop slice peel serve season sweeten heat warm cool freeze melt burn dry wet soak rinse
rule reign govern elect vote appoint resign retire promote dismiss found abolish sign declare announce proclaim ban permit grant deny reject approve
inform notify warn advise remind tell teach inspect examine treat cure heal suffer recover infect cause prevent
breed hatch nest roost migrate graze swallow bite sting peck prey
compete win lose defeat beat score draw buy purchase favourite favorite beloved sailor seaman crewman sailing voyage sea ocean
first next last other same own whole full half good well better best bad worse worst nice fine great high low long short tall deep big small little large huge tiny new old young early late quick slow fast
hard soft strong weak simple easy difficult possible impossible likely unlikely sure certain clear ready busy free open available common rare usual normal special general particular public private local
national modern ancient recent former current final total average actual real true main chief major minor important necessary useful famous known unknown different similar equal single double several various
right wrong correct exact proper suitable separate complete entire extra additional further nearby distant close near far happy sad glad proud safe dangerous careful alone together ago away back forward
inside outside indoors outdoors upstairs downstairs everywhere somewhere anywhere twice thrice sometimes seldom rarely frequently occasionally immediately suddenly gradually finally originally probably perhaps
certainly especially exactly roughly approximately nearly hardly barely merely simply directly originally usually typically commonly generally normally mostly largely mainly chiefly purely highly fully partly
good kind sort way means manner lot plenty number amount piece part side end top bottom middle centre front rear edge corner surface inside outside line row list group set series range
reason cause effect result purpose aim goal idea thought plan view opinion question problem trouble matter case fact truth point detail example instance kind nature character quality feature
shine glow blow flow float sink grind polish weave knit sew mow sweep bind wind swing stick spread spill spoil shrink swell stretch remain survive last endure
wage file pleasure fond lover lesson bread
occupy inhabit belong relate resemble match suit equal differ vary exist occur happen appear seem look sound
`);

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

/** Words that may stand for each other; the first is what the rest are read as. */
export const synonyms: readonly (readonly string[])[] = `born birth birthplace native birthday christened
job occupation profession trade work career livelihood employment
employ employer hire staff company firm paid wage wages
ship vessel boat
doctor physician
buy purchase
begin start commence
end finish conclude over
fix repair solve mend
big large great
small little
fast quick rapid
find discover found detect
build construct erect builder establish
child kid youngster
car automobile
show display
ill sick
kill slay
get receive obtain
give donate gift donor gave donated
town city
road street
autumn fall-season
shut close closed
allow permit
forbid prohibit ban
replace change renew
error fault bug
lead led head direct conduct run
author writer write wrote
sign signature
wear worn don
sea ocean
teacher schoolteacher
film movie
holiday vacation leave
picture painting
begin beginning
mostly mainly chiefly
twice double
ask request
free gratis
phone telephone
send sent
carry transport bring
play player perform
grow grew
lawyer attorney
rebuild rebuilt
own owner
soldier trooper
percent % per-cent
metre metres meter meters
kilometre kilometres kilometer kilometers
gram grams gramme grammes
euro euros €
dollar dollars $
pound pounds £`
  .split("\n")
  .map((line) => words(line));

/** Pairs that exclude each other: where a passage says one and an edit of the same matter the other, one of them is wrong. */
export const opposites: readonly (readonly [string, string])[] = `open closed
raise lower
raises lowers
raised lowered
grow shrink
grew shrank
add remove
added removed
slowly quickly
everything nothing
everybody nobody
lock unlock
load unload
start stop
started stopped
opens closes
open shut
open cover
before after
above below
above under
over under
inside outside
inner outer
first last
early late
rise fall
rose fell
risen fallen
increase decrease
increase fall
more less
more fewer
begin end
began ended
began stopped
north south
east west
left right
front back
front rear
hot cold
warm cold
wet dry
full empty
love hate
loved hated
male female
males females
man woman
men women
husband wife
brother sister
father mother
son daughter
win lose
won lost
allow forbid
allowed forbidden
allowed prohibited
minimum maximum
cheap expensive
heavy light
fast slow
high low
deep shallow
fresh salty
top bottom
upper lower
accept refuse
accepted refused
alive dead
same different
day night
morning night
double half
succeed fail
succeeded failed
enter leave
arrive depart
buy sell
bought sold
push pull
import export
internal external
public private
old new
old young
hard soft
rich poor
war peace
summer winter
tropical arctic
appear disappear
true false
day year
days years
minutes hours
seconds minutes
seconds hours
minutes days
days weeks
weeks months
weeks years
days months
months years
month year
week month
hours days
metres kilometres
grams kilograms`
  .split("\n")
  .map((line) => words(line) as unknown as [string, string]);

/** Forms that no rule of endings leads back. */
export const irregular: Readonly<Record<string, string>> = Object.fromEntries(
  `arose arise|ate eat|eaten eat|began begin|begun begin|bore bear|borne bear|bought buy|broke break|broken break|brought bring|built build|burnt burn|came come|caught catch|chose choose|chosen choose|did do|drank drink|drew draw|drawn draw|driven drive|drove drive|fell fall|fallen fall|fed feed|felt feel|flew fly|flown fly|fought fight|forbade forbid|forbidden forbid|forgot forget|found find|gave give|given give|gone go|grew grow|grown grow|held hold|kept keep|knew know|known know|laid lay|led lead|left leave|lent lend|lost lose|made make|meant mean|met meet|paid pay|ran run|rang ring|rose rise|risen rise|said say|sang sing|sung sing|sat sit|saw see|seen see|sent send|shook shake|shown show|shut shut|slept sleep|sold sell|spent spend|spoke speak|spoken speak|stole steal|stolen steal|stood stand|struck strike|swam swim|taken take|taught teach|thought think|threw throw|told tell|took take|went go|woke wake|won win|wore wear|worn wear|wrote write|written write|spun spin|lit light|men man|women woman|children child|feet foot|teeth tooth|mice mouse|wolves wolf|knives knife|lives life|died die|dying die|lying lie|tying tie|has have|is be|was be|were be|are be|been be|hid hide|hidden hide|bitten bite|bit bite|sank sink|sunk sink|hung hang|dug dig|shot shoot|rode ride|ridden ride|swore swear|tore tear|torn tear|withdrew withdraw|became become|overcame overcome|understood understand|shone shine|froze freeze|frozen freeze|bent bend|blew blow|blown blow|bled bleed|bred breed|clung cling|crept creep|dealt deal|dreamt dream|fled flee|flung fling|ground grind|knelt kneel|leapt leap|learnt learn|mown mow|proven prove|sewn sew|shaken shake|shrank shrink|shrunk shrink|slid slide|smelt smell|spelt spell|spilt spill|spoilt spoil|sprang spring|sprung spring|stuck stick|stung sting|strove strive|sworn swear|swept sweep|swollen swell|swung swing|thrown throw|torn tear|trod tread|woven weave|wove weave|wept weep|wound wind|arisen arise|awoke awake|beaten beat|bound bind|woken wake|swam swim|swum swim|rung ring|known know|forgiven forgive|forgave forgive|forgotten forget|undertook undertake|undertaken undertake|overtook overtake|foresaw foresee|foretold foretell|sought seek|caught catch|fought fight|hit hit|hurt hurt|laid lay|led lead|bid bid|cast cast|fit fit|set set|put put|quit quit|shed shed|spread spread|flight fly|growth grow|death die|dead die|sight see|thought think|speech speak|choice choose|loss lose|sale sell|length long|width wide|depth deep|height high|strength strong|warmth warm|truth true|belief believe|proof prove|advice advise|arrival arrive|departure depart|removal remove|renewal renew|refusal refuse|delivery deliver|discovery discover|entrance enter|birth born|weight weigh|gift give|thief steal|theft steal|marriage marry|closure close|failure fail|departure depart|pressure press|signature sign|mixture mix|purchase buy|cost cost|illness ill|injury injure|success succeed|food feed|song sing|singer sing`
    .split("|")
    .map((pair) => pair.split(" ") as [string, string]),
);

const ones = words(
  "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen",
);
const tens = words("twenty thirty forty fifty sixty seventy eighty ninety");
const ordinals = words("zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth");

/** Value of each spelt-out number up to ninety-nine, as digits; ordinals end in a dot. */
export const spelledNumbers: ReadonlyMap<string, string> = new Map([
  ...ones.map((word, value): [string, string] => [word, `${value}`]),
  ...tens.map((word, index): [string, string] => [word, `${20 + 10 * index}`]),
  ...tens.flatMap((ten, index) =>
    ones.slice(1, 10).map((one, unit): [string, string] => [`${ten}-${one}`, `${21 + 10 * index + unit}`]),
  ),
  ...ordinals.slice(3).map((word, index): [string, string] => [word, `${index + 3}.`]),
  ["dozen", "12"],
]);

/** Deny what stands beside them. */
export const denials: ReadonlySet<string> = new Set(
  words(`not no never none nobody nothing neither nor without cannot unless except hardly nowhere refuse refused refuses forbidden
forbid prohibited prohibits banned impossible exempt failed don't doesn't didn't isn't aren't wasn't weren't won't can't couldn't shouldn't haven't hasn't hadn't don’t doesn’t didn’t isn’t aren’t wasn’t weren’t won’t can’t`),
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

/** Ask for a measure or a date: they stand beside any number. */
export const measureWords: readonly string[] =
  words(`time year day date hour number amount pressure temperature weight height length width depth size
price cost age distance speed quantity duration period share rate level`);

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

/** Units that a number may not exchange. */
export const unitWords: readonly string[] =
  words(`second minute hour day week month year decade century metre kilometre centimetre millimetre mile foot inch gram kilogram tonne ton litre millilitre
degree percent euro dollar pound cent volt watt bar`);
