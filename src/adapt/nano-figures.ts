/**
 * @file What an Almanac model can do, measured in wordings that training never shows: answer about people it was asked
 * about and people it only read about, read a stranger's passage, and write self-edits (which kinds, how true, how whole).
 */
import { allQuestions, type Person, plainPassage, type World } from "../tasks/index.ts";
import type { Rng } from "../util/index.ts";
import { accuracy, type ExamItem, examine } from "./exam.ts";
import { type SelfEditKind, selfEditKinds } from "./prompts.ts";
import { proposeSelfEdits, type Writer } from "./propose.ts";

/** Shares in [0, 1]; counts are per edit. */
export interface KnowledgeReport {
  /** Right answers about known people whom training also asked about. */
  readonly questionedAccuracy: number;
  /** Right answers about known people whom training only told of. */
  readonly toldOnlyAccuracy: number;
  /** Right answers about strangers, from their passage in the prompt. */
  readonly readingAccuracy: number;
  /** Right answers about people never seen: what guessing gives. */
  readonly unknownAccuracy: number;
  /** How often a sampled edit is of each kind. */
  readonly kindShares: Readonly<Record<SelfEditKind, number>>;
  /** Facts of the passage that appear in a sampled edit, as a share. */
  readonly editCoverage: number;
}

const numEdits = 4;

/** One question per attribute and person, in a wording of the report split. */
function questionsOf(people: readonly Person[], rng: Rng): { person: Person; item: ExamItem }[] {
  return people.flatMap((person) => {
    const all = allQuestions(person, "report");
    const perAttribute = Object.groupBy(all, ({ answer }) => answer);
    return Object.values(perAttribute).map((wordings) => ({ person, item: { ...rng.choice(wordings!), title: "" } }));
  });
}

/** Measures the writer's model on `numPeople` people of each split. */
export async function measureKnowledge(
  writer: Writer,
  world: World,
  rng: Rng,
  numPeople: number,
): Promise<KnowledgeReport> {
  const pick = (people: readonly Person[], name: string) =>
    questionsOf(rng.fork(name).shuffle(people).slice(0, numPeople), rng.fork("wording", name));
  const strangers = Array.from({ length: numPeople }, (_, index) => world.stranger(rng.fork("stranger", index)));
  const passages = new Map(strangers.map((person) => [person, plainPassage(person, rng.fork("passage", person.name))]));
  const reading = questionsOf(strangers, rng.fork("wording", "reading")).map(({ person, item }) => ({
    ...item,
    title: passages.get(person)!,
  }));
  const closed = [
    pick(world.questioned, "questioned"),
    pick(world.toldOnly, "told-only"),
    pick(world.validation, "unknown"),
  ];
  const answers = await examine(
    { ...writer, bank: null },
    closed.map((rows) => ({ adapterIndex: null, items: rows.map(({ item }) => item) })),
  );
  const open = { ...writer.templates, question: `Passage: {title}\n${writer.templates.question}` };
  const [read] = await examine({ ...writer, templates: open, bank: null }, [{ adapterIndex: null, items: reading }]);
  const [questioned, toldOnly, unknown] = answers.map((sheet) => accuracy(sheet)!);
  const edits = await measureEdits(writer, strangers, passages, rng.fork("edits"));
  return {
    questionedAccuracy: questioned!,
    toldOnlyAccuracy: toldOnly!,
    readingAccuracy: accuracy(read!)!,
    unknownAccuracy: unknown!,
    ...edits,
  };
}

async function measureEdits(
  writer: Writer,
  people: readonly Person[],
  passages: ReadonlyMap<Person, string>,
  rng: Rng,
): Promise<Pick<KnowledgeReport, "kindShares" | "editCoverage">> {
  const sources = people.map((person) => ({ id: person.name, title: "", context: passages.get(person)! }));
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
