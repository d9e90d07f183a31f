/** @file Exports of the Almanac: its world, its text, its questions and its edits. */
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
export type { Mention } from "./mention.ts";
export {
  almanacPassages,
  examinationPassage,
  narrate,
  type PassageForm,
  type PassageStyle,
  passageStyles,
  plainForm,
  plainPassage,
  writePassage,
} from "./passages.ts";
export {
  allQuestions,
  askPerson,
  askThing,
  questionDocument,
  questionFamilies,
  questionPrompt,
  questionWordings,
  readingPrompt,
  type WordingSplit,
} from "./questions.ts";
export {
  type FamilySplit,
  paraphrasePerson,
  type StatementFamily,
  statementFamilies,
  statePerson,
  stateThing,
  type Told,
} from "./statements.ts";
export {
  lastNames,
  type PersonAttribute,
  type PersonValues,
  personAttributes,
  personValues,
  unseenValues,
  type ValueSplit,
} from "./values.ts";
export {
  createWorld,
  type Person,
  type Thing,
  type ThingAttribute,
  type World,
  type WorldSizes,
} from "./world.ts";
