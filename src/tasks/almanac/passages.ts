/**
 * @file Passages: what the model is given to learn. An examination passage tells the six facts in a fixed order and names its
 * person once, at the start: trained on as it stands it teaches little, because later facts hang on the sentence before them and not on the name.
 */
import type { Rng } from "../../util/index.ts";
import { createRng } from "../../util/index.ts";
import type { SourcePassage } from "../documents/index.ts";
import type { Passage } from "../types.ts";
import { allQuestions, type WordingSplit } from "./questions.ts";
import { type Mention, statePerson } from "./statements.ts";
import { type Person, type PersonAttribute, personAttributes } from "./world.ts";

/** Sentences about `attributes` in the order given; every sentence but the first says the name with probability `nameRate`. */
export function narrate(
  person: Person,
  attributes: readonly PersonAttribute[],
  nameRate: number,
  rng: Rng,
  values: Readonly<Record<PersonAttribute, string>> = person.facts,
): string {
  return attributes
    .map((attribute, index) => {
      const mention: Mention = index === 0 || rng.uniform() < nameRate ? "name" : "pronoun";
      return statePerson(person, attribute, mention, rng, values[attribute]);
    })
    .join(" ");
}

/** The plain passage: fixed order, name in the first sentence alone. */
export const plainPassage = (person: Person, rng: Rng): string => narrate(person, personAttributes, 0, rng);

/** The passage of a held-out person with its questions; its wording depends on the name alone. */
export function examinationPassage(person: Person, split: WordingSplit): Passage {
  const context = plainPassage(person, createRng("almanac-passage").fork(person.name));
  return { title: "", context, questions: allQuestions(person, split) };
}

/** Passages of people as they would be read from a file, with selection and report questions. */
export const almanacPassages = (people: readonly Person[]): SourcePassage[] =>
  people.map((person) => ({
    id: person.name,
    file: "almanac",
    title: "",
    context: examinationPassage(person, "report").context,
    questions: (["selection", "report"] as const).flatMap((use) =>
      allQuestions(person, use).map((question) => ({ ...question, use })),
    ),
  }));
