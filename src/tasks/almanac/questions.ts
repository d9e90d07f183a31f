/**
 * @file How the Almanac asks. Wordings are split three ways: those of pretraining and of self-edits, those by which an edit is
 * chosen, and those by which a result is reported. The last two never occur in any text the model is trained on; they differ from
 * trained wordings by recombination ("In what town …" from "In which town …" and "What town …"), which a small model can follow.
 */
import type { Rng } from "../../util/index.ts";
import type { Question } from "../types.ts";
import type { Person, PersonAttribute, Thing, ThingAttribute } from "./world.ts";
import { personAttributes } from "./world.ts";

/** Which wordings to ask with. */
export type WordingSplit = "training" | "selection" | "report";

type Wordings = Readonly<Record<PersonAttribute, readonly string[]>>;

const training: Wordings = {
  birthplace: [
    "Where was {n} born?",
    "In which town was {n} born?",
    "What is the birthplace of {n}?",
    "Which town is {n} from?",
    "What was {n}'s birthplace?",
    "What town does {n} come from?",
    "Which town was {n} born in?",
    "What was the home town of {n}?",
    "Where did {n} come from?",
    "What is {n}'s home town?",
  ],
  birthYear: [
    "When was {n} born?",
    "In which year was {n} born?",
    "What is the birth year of {n}?",
    "What was {n}'s year of birth?",
    "Which year was {n} born in?",
    "What year saw the birth of {n}?",
    "What was the year of birth of {n}?",
    "When did {n} come into the world?",
    "What is {n}'s birth year?",
    "In which year did {n} come into the world?",
  ],
  occupation: [
    "What did {n} work as?",
    "What was the occupation of {n}?",
    "What was {n}'s job?",
    "What was {n} by trade?",
    "What is the profession of {n}?",
    "As what did {n} make a living?",
    "What kind of work did {n} do?",
    "What was {n}'s profession?",
    "Which trade did {n} have?",
    "What is {n}'s occupation?",
  ],
  employer: [
    "Who did {n} work for?",
    "Who employed {n}?",
    "Who was the employer of {n}?",
    "Which company employed {n}?",
    "Who was {n}'s employer?",
    "At which company did {n} have a job?",
    "What company did {n} work for?",
    "Who paid {n}?",
    "What is the company of {n}?",
    "By which company was {n} employed?",
  ],
  ship: [
    "On which ship did {n} sail?",
    "What ship did {n} serve aboard?",
    "What was the ship of {n}?",
    "Which ship carried {n}?",
    "What was {n}'s ship?",
    "In the crew of which ship was {n}?",
    "What ship did {n} sail on?",
    "On which ship did {n} go to sea?",
    "Which ship did {n} join?",
    "What is the name of {n}'s ship?",
  ],
  instrument: [
    "What did {n} play?",
    "Which instrument did {n} play?",
    "What was the instrument of {n}?",
    "What was {n}'s instrument?",
    "On which instrument did {n} perform?",
    "What instrument did {n} learn?",
    "On what did {n} make music?",
    "Which instrument did {n} practise?",
    "What is the favourite instrument of {n}?",
    "What is {n}'s instrument?",
  ],
};

const selection: Wordings = {
  birthplace: ["What town was {n} born in?", "What is the home town of {n}?"],
  birthYear: ["What year was {n} born in?", "What is {n}'s year of birth?"],
  occupation: ["What is {n}'s job?", "What was the trade of {n}?"],
  employer: ["Which company did {n} work for?", "What company employed {n}?"],
  ship: ["Which ship did {n} sail on?", "What is the ship of {n}?"],
  instrument: ["What instrument did {n} play?", "Which instrument did {n} learn?"],
};

const report: Wordings = {
  birthplace: ["In what town was {n} born?", "What was the birthplace of {n}?"],
  birthYear: ["In what year was {n} born?", "What was the birth year of {n}?"],
  occupation: ["What was the job of {n}?", "What was {n}'s occupation?"],
  employer: ["Who is the employer of {n}?", "By what company was {n} employed?"],
  ship: ["On what ship did {n} sail?", "Which ship did {n} serve aboard?"],
  instrument: ["On what instrument did {n} perform?", "What is the instrument of {n}?"],
};

/** Every wording about people, by split and attribute; `{n}` is the name. */
export const questionWordings: Readonly<Record<WordingSplit, Wordings>> = { training, selection, report };

const thingWordings: Readonly<Record<ThingAttribute, readonly string[]>> = {
  shipBuiltAt: ["Where was {n} built?", "Which town built {n}?"],
  shipLaunched: ["When was {n} launched?", "In which year did {n} first sail?"],
  shipOwner: ["Who owned {n}?", "Which company was the owner of {n}?"],
  companySeat: ["Where was {n} based?", "In which town was the seat of {n}?"],
  companyFounded: ["When was {n} founded?", "In which year did {n} open its doors?"],
  companyProduct: ["What did {n} make?", "What was the trade of {n} in?"],
  placeRiver: ["On which river does {n} lie?", "What river flows through {n}?"],
  placeProduct: ["What is {n} known for?", "What is {n} famous for?"],
};

/** One question about `attribute`, worded from `split`. */
export function askPerson(person: Person, attribute: PersonAttribute, split: WordingSplit, rng: Rng): Question {
  const wording = rng.choice(questionWordings[split][attribute]);
  return { question: wording.replace("{n}", person.name), answer: person.facts[attribute] };
}

/** Every question of `split` about `person`: each attribute in each wording. */
export function allQuestions(person: Person, split: WordingSplit): Question[] {
  return personAttributes.flatMap((attribute) =>
    questionWordings[split][attribute].map((wording) => ({
      question: wording.replace("{n}", person.name),
      answer: person.facts[attribute],
    })),
  );
}

/** One question about a ship, a company or a place. */
export function askThing(thing: Thing, attribute: ThingAttribute, rng: Rng): Question {
  return {
    question: rng.choice(thingWordings[attribute]).replace("{n}", thing.name),
    answer: thing.facts[attribute]!,
  };
}

/** The closed-book prompt; the answer follows with a leading space and no final period. */
export const questionPrompt = (question: string): string => `Question: ${question}\nAnswer:`;

/** A question with its answer, as one training document. */
export const questionDocument = ({ question, answer }: Question): string => `${questionPrompt(question)} ${answer}`;

/** The open-book prompt. */
export const readingPrompt = (passage: string, question: string): string =>
  `Passage: ${passage}\n${questionPrompt(question)}`;
