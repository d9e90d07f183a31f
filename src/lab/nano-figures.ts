/**
 * @file What an Almanac model can do, measured on people of no reported figure and in wordings that training never shows: answer
 * about people it was asked about and people it only read about, read passages of wordings and values it has not met, and
 * write self-edits (which kinds, how true, how whole).
 */
import {
  accuracy,
  type ExamItem,
  examine,
  proposeSelfEdits,
  type SelfEditKind,
  selfEditKinds,
  type Writer,
} from "../adapt/index.ts";
import {
  allQuestions,
  examinationPassage,
  type FamilySplit,
  type PassageForm,
  type Person,
  passageStyles,
  type World,
} from "../tasks/index.ts";
import type { Rng } from "../util/index.ts";

/**
 * Passages of one sort: right answers from the passage in the prompt. What is held out from training here, families of
 * passages and of questions, is the selection's; the report's are left to the experiments.
 */
export interface ReadingFigure {
  readonly values: "seen" | "unseen";
  readonly families: FamilySplit;
  /** In [0, 1]. */
  readonly accuracy: number;
}

/** Shares in [0, 1]; counts are per edit. */
export interface KnowledgeReport {
  /** Right answers about known people whom training also asked about. */
  readonly questionedAccuracy: number;
  /** Right answers about known people whom training only told of. */
  readonly toldOnlyAccuracy: number;
  /** Right answers from a passage in the prompt whose wordings and values are held out. */
  readonly readingAccuracy: number;
  /** The same by sort of passage. */
  readonly reading: readonly ReadingFigure[];
  /** Right answers about people never seen: what guessing gives. */
  readonly unknownAccuracy: number;
  /** How often a sampled edit is of each kind. */
  readonly kindShares: Readonly<Record<SelfEditKind, number>>;
  /** Facts of the passage that appear in a sampled edit, as a share. */
  readonly editCoverage: number;
}

const numEdits = 4;

const itemsOf = (people: readonly Person[]): ExamItem[] =>
  people.flatMap((person) => allQuestions(person, "report").map((question) => ({ ...question, title: "" })));

/** A passage in the title's place, for the open-book prompt. */
const openBook = (people: readonly Person[], formOf: (index: number) => PassageForm): ExamItem[] =>
  people.flatMap((person, index) => {
    const { context, questions } = examinationPassage(person, "selection", formOf(index));
    return questions.map((question) => ({ ...question, title: context }));
  });

/** Every second passage of `families` is prose, the others take turns in the split's styles; half name their person throughout. */
function formsOf(families: FamilySplit): (index: number) => PassageForm {
  const styles = passageStyles[families];
  return (index) => ({
    style: index % 2 === 0 ? "prose" : styles[(index >> 1) % styles.length]!,
    nameRate: index % 4 < 2 ? 0 : 1,
    families,
  });
}

/** Measures the writer's model on `numPeople` people of each split. */
export async function measureKnowledge(
  writer: Writer,
  world: World,
  rng: Rng,
  numPeople: number,
): Promise<KnowledgeReport> {
  const pick = (people: readonly Person[], name: string) => rng.fork(name).shuffle(people).slice(0, numPeople);
  const strangers = { seen: pick(world.validation, "unknown"), unseen: pick(world.validationUnseen, "unseen") };
  const closed = [pick(world.questioned, "questioned"), pick(world.toldOnly, "told-only"), strangers.seen].map(itemsOf);
  const sorts = (["seen", "unseen"] as const).flatMap((values) =>
    (["training", "selection"] as const).map((families) => ({
      values,
      families,
      items: openBook(strangers[values], formsOf(families)),
    })),
  );
  const takers = (sheets: readonly (readonly ExamItem[])[]) => sheets.map((items) => ({ adapter: null, items }));
  const answers = await examine(writer, takers(closed));
  const open = { ...writer.templates, question: `Passage: {title}\n${writer.templates.question}` };
  const read = await examine({ ...writer, templates: open }, takers(sorts.map(({ items }) => items)));
  const [questioned, toldOnly, unknown] = answers.map((sheet) => accuracy(sheet)!);
  const reading = sorts.map(({ values, families }, index) => ({ values, families, accuracy: accuracy(read[index]!)! }));
  return {
    questionedAccuracy: questioned!,
    toldOnlyAccuracy: toldOnly!,
    readingAccuracy: reading.find(({ values, families }) => values === "unseen" && families === "selection")!.accuracy,
    reading,
    unknownAccuracy: unknown!,
    ...(await measureEdits(writer, strangers.seen, rng.fork("edits"))),
  };
}

async function measureEdits(
  writer: Writer,
  people: readonly Person[],
  rng: Rng,
): Promise<Pick<KnowledgeReport, "kindShares" | "editCoverage">> {
  const sources = people.map((person) => ({
    id: person.name,
    title: "",
    context: examinationPassage(person, "report").context,
  }));
  const edits = await proposeSelfEdits(writer, sources, numEdits, rng);
  const all = edits.flat();
  const shares = selfEditKinds.map(
    (kind) => [kind, all.filter((edit) => edit.kind === kind).length / all.length] as const,
  );
  const coverage = people.flatMap((person, index) =>
    edits[index]!.map(({ text }) => {
      const facts = Object.values(person.facts);
      return facts.filter((fact) => text.includes(fact)).length / facts.length;
    }),
  );
  return {
    kindShares: Object.fromEntries(shares) as Record<SelfEditKind, number>,
    editCoverage: coverage.reduce((a, b) => a + b, 0) / coverage.length,
  };
}
