/**
 * @file Passages: what the model is given to learn. A passage has a style (prose, a record, a talk, a notice, a letter), tells six facts
 * in any order, names its person once or in every sentence, and is built from training or from held-out families.
 */
import type { Rng } from "../../util/index.ts";
import { createRng } from "../../util/index.ts";
import type { SourcePassage } from "../documents/index.ts";
import type { Passage } from "../types.ts";
import { aside } from "./asides.ts";
import { fillPerson, fillValue, raiseFirst } from "./mention.ts";
import { menNames, womenNames } from "./names.ts";
import { allQuestions, type WordingSplit } from "./questions.ts";
import { relations } from "./relations.ts";
import { type FamilySplit, narrateFacts, type Told } from "./statements.ts";
import { type PersonAttribute, personAttributes } from "./values.ts";
import type { Person } from "./world.ts";

/** How a passage is laid out, by the split that may use it; training text holds those of the first alone. */
export const passageStyles: Readonly<Record<FamilySplit, readonly PassageStyle[]>> = {
  training: ["prose", "record", "talk", "notice"],
  selection: ["letter", "obituary"],
  report: ["diary", "visit"],
};
/** One of {@link passageStyles}. */
export type PassageStyle = "prose" | "record" | "talk" | "notice" | "letter" | "obituary" | "diary" | "visit";

/** What decides how a passage about a person reads. */
export interface PassageForm {
  readonly style: PassageStyle;
  /** Share of sentences after the first that say the name; 0 uses pronouns alone, 1 the name everywhere. */
  readonly nameRate: number;
  readonly families: FamilySplit;
  /** Sentences without a fact, for each sentence with one. @defaultValue 0 */
  readonly asides?: number;
}

/** Prose with pronouns from the training families: what examinations learn unless they say otherwise. */
export const plainForm: PassageForm = { style: "prose", nameRate: 0, families: "training" };

type Writer = (told: Told, form: PassageForm, rng: Rng) => string;

function sentencesOf(told: Told, { nameRate, families, asides = 0 }: PassageForm, rng: Rng): string {
  const sentences = narrateFacts(told, { nameRate, families }, rng);
  return sentences
    .flatMap((sentence) =>
      rng.uniform() < asides
        ? [sentence, aside(told.person, rng.uniform() < nameRate ? "name" : "pronoun", rng)]
        : [sentence],
    )
    .join(" ");
}

const recordSeparators = ["; ", ". ", ", "] as const;

/** "Ada Shaw. Birthplace: Bexcliff; trade: miller; …" */
const record: Writer = ({ person, attributes, values }, { nameRate }, rng) => {
  const separator = rng.choice(recordSeparators);
  const mark = rng.choice([": ", " - ", " "]);
  const entries = attributes.map((attribute) => {
    const label = rng.choice(relations[attribute].labels);
    const entry = `${nameRate === 1 ? `${person.name}, ` : ""}${label}${mark}${values[attribute]}`;
    return separator === ". " ? raiseFirst(entry) : entry;
  });
  const head = rng.choice([`${person.name}. `, `${person.name}: `, `Name: ${person.name}${separator}`]);
  return `${head}${raiseFirst(entries.join(separator))}.`;
};

/** Questions put to the person, with answers. */
const talk: Writer = ({ person, attributes, values }, { nameRate }, rng) => {
  const [asker, told] = rng.choice([
    ["asked the mayor", "said"],
    ["they asked", "answered"],
    ["asked a visitor", "replied"],
  ] as const);
  const exchanges = attributes.map((attribute, index) => {
    const [question, answer] = rng.choice(relations[attribute].spoken);
    const isNamed = index === 0 || nameRate === 1;
    const speaker = isNamed ? person.name : person.pronoun;
    const says = isNamed || rng.uniform() < 0.4 ? ` ${told} ${speaker}` : "";
    const spoken = fillValue(answer, values[attribute]);
    const line = says === "" ? `"${spoken}"` : `"${spoken.replace(/\.$/, ",")}"${says}.`;
    return `"${question}"${index === 0 ? ` ${asker}.` : ""} ${line}`;
  });
  return exchanges.join(" ");
};

/** "NOTICE. Wanted: news of …" */
const notice: Writer = (told, form, rng) => {
  const head = rng.choice([
    "Notice.",
    "Wanted: news of an old friend.",
    "To all who knew {N}.",
    "From the town register.",
  ]);
  const tail = rng.choice([
    "Please write to the editor.",
    "Signed, the mayor.",
    "Copies may be had at the office.",
    "",
  ]);
  return `${head.replace("{N}", told.person.name)} ${sentencesOf(told, form, rng)} ${tail}`.trim();
};

/** A letter of somebody who knew the person. */
const letter: Writer = (told, form, rng) => {
  const [writer, reader] = [rng.choice(womenNames), rng.choice(menNames)];
  const opening = rng.choice([
    "you ask me what I remember.",
    "here is what you wanted to hear.",
    "I hope that this finds you well.",
  ]);
  return `Dear ${reader}, ${opening} ${sentencesOf(told, form, rng)} That is all I know. Yours, ${writer}`;
};

/** The facts first, in apposition, the rest in sentences. */
const obituary: Writer = (told, form, rng) => {
  const [first, ...rest] = told.attributes;
  const relation = relations[first!];
  const fact = fillPerson(fillValue(rng.choice(relation.appositions), told.values[first!]), told.person, "name");
  const opening = rng.choice(["We mourn", "We have lost", "With sorrow we part from"]);
  return `${opening} ${told.person.name}, ${fact}. ${sentencesOf({ ...told, attributes: rest }, form, rng)} Many came to say goodbye.`;
};

/** A page of somebody's diary. */
const diary: Writer = (told, form, rng) => {
  const day = `${rng.choice(["Monday", "Tuesday", "Thursday", "Saturday"])}, the ${2 + rng.integer(27)}th`;
  const close = rng.choice(["More tomorrow.", "And so to bed.", "I must remember all this."]);
  return `${day}. Read about ${told.person.name} until late. ${sentencesOf(told, form, rng)} ${close}`;
};

/** What a guide tells visitors, with the person's sentences in quotation marks. */
const visit: Writer = (told, form, rng) => {
  const place = rng.choice(["At the museum", "In the old town hall", "On the quay"]);
  return `${place}, our guide stopped before a picture. "You see ${told.person.name}. ${sentencesOf(told, form, rng)}" Then we went on to the next room.`;
};

const writers: Readonly<Record<PassageStyle, Writer>> = {
  prose: (told, form, rng) => sentencesOf(told, form, rng),
  record,
  talk,
  notice,
  letter,
  obituary,
  diary,
  visit,
};

/** A passage that tells `told`'s facts in their order. */
export const writePassage = (told: Told, form: PassageForm, rng: Rng): string => writers[form.style](told, form, rng);

/** All six facts of `person` in an order of `rng`. */
export const everyFact = (person: Person, rng: Rng): Told => ({
  person,
  attributes: rng.shuffle(personAttributes),
  values: person.facts,
});

/** Sentences about `attributes` in the order given, in training families. */
export function narrate(
  person: Person,
  attributes: readonly PersonAttribute[],
  nameRate: number,
  rng: Rng,
  values: Readonly<Record<PersonAttribute, string>> = person.facts,
): string {
  return narrateFacts({ person, attributes, values }, { nameRate, families: "training" }, rng).join(" ");
}

/** All six facts in prose, the name in the first sentence alone. */
export const plainPassage = (person: Person, rng: Rng): string => writePassage(everyFact(person, rng), plainForm, rng);

/** The passage of a held-out person with its questions; its wording depends on the name and the form alone. */
export function examinationPassage(person: Person, split: WordingSplit, form: PassageForm = plainForm): Passage {
  const rng = createRng("almanac-passage").fork(person.name);
  const context = writePassage(everyFact(person, rng), form, rng);
  return { title: "", context, questions: allQuestions(person, split) };
}

/** Passages of people as they would be read from a file, with selection and report questions. */
export const almanacPassages = (people: readonly Person[], form: PassageForm = plainForm): SourcePassage[] =>
  people.map((person) => ({
    id: person.name,
    file: "almanac",
    title: "",
    context: examinationPassage(person, "report", form).context,
    questions: (["selection", "report"] as const).flatMap((use) =>
      allQuestions(person, use).map((question) => ({ ...question, use })),
    ),
  }));

/** A form as training text draws them: any training style, names rare, common or everywhere, asides or none. */
export const drawForm = (rng: Rng): PassageForm => ({
  style: rng.uniform() < 0.55 ? "prose" : rng.choice(passageStyles.training),
  nameRate: rng.choice([0, 0, 0.5, 1]),
  families: "training",
  asides: rng.choice([0, 0, 0.3, 0.6]),
});
