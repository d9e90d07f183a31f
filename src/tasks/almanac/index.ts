/** @file Door of the Almanac: its world, its text, its questions and its edits. */
export { corpusShares, type DocumentKind, pretrainingDocuments } from "./corpus.ts";
export {
  demonstrateEdit,
  demonstrationShares,
  drawEditKind,
  type EditKind,
  editDocument,
  editKinds,
  oracleEdit,
  selfEditPrompt,
} from "./edits.ts";
export { almanacPassages, examinationPassage, narrate, plainPassage } from "./passages.ts";
export {
  allQuestions,
  askPerson,
  askThing,
  questionDocument,
  questionPrompt,
  questionWordings,
  readingPrompt,
  type WordingSplit,
} from "./questions.ts";
export {
  type Mention,
  paraphrasePerson,
  personStatements,
  statePerson,
  stateThing,
  thingStatements,
} from "./statements.ts";
export {
  createWorld,
  type Person,
  type PersonAttribute,
  personAttributes,
  personValues,
  type Thing,
  type ThingAttribute,
  type World,
  type WorldSizes,
} from "./world.ts";
