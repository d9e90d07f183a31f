/**
 * @file The main-job table: what each way of learning one passage is worth, on people the model has never read about.
 * Every adapter stands alone (one passage, one edit); edits are chosen by one set of question wordings and all figures
 * are of another, neither of which occurs in any training text. Intervals are paired bootstraps over people.
 */
import {
  type AdaptEvent,
  accuracy,
  bestCandidate,
  type Canaries,
  type CandidateResult,
  type ExamAnswer,
  type ExamItem,
  examine,
  type InnerLoop,
  meanGoldLogprob,
  proposeSelfEdits,
  type StageStore,
  selfEditDocuments,
  stage,
  tryCandidates,
  type Writer,
  withoutExamQuestions,
} from "../adapt/index.ts";
import {
  type EditKind,
  examinationPassage,
  oracleEdit,
  type Person,
  allQuestions as questionsAbout,
} from "../tasks/index.ts";
import { bootstrapMean, createRng, type Interval, mean, type Rng } from "../util/index.ts";

/** Inputs of {@link runMainJobTable}. */
export interface MainJobArgs extends Writer {
  readonly people: readonly Person[];
  readonly canaries: Canaries;
  readonly numEdits: number;
  readonly innerLoop: InnerLoop;
  readonly seed: number;
  /** Adapters trained side by side. */
  readonly bankSize: number;
  readonly store: StageStore;
  readonly onEvent?: (event: AdaptEvent) => void;
}

/** One row of the table. */
export interface ArmRow {
  readonly name: string;
  /** Share of right answers on the report questions, over people. */
  readonly accuracy: Interval;
  /** Paired difference to the raw passage. */
  readonly overRaw: Interval;
  /** Paired difference to the raw passage repeated: what is left at about the same number of updates. */
  readonly overRepeated: Interval;
  /** Share of the canaries the base answers right that are still right, over people; `null` when the base knew none. */
  readonly kept: number | null;
  readonly meanDocuments: number;
}

/** The table and the distribution of edits behind it. */
export interface MainJobTable {
  readonly numPeople: number;
  readonly numEdits: number;
  readonly questionsPerPerson: number;
  readonly rows: readonly ArmRow[];
  /** Mean report accuracy of the model's own edits by kind, and how many there were. */
  readonly byKind: Readonly<Record<string, { readonly count: number; readonly accuracy: number }>>;
  /** Base accuracy on the canaries. */
  readonly canaryAccuracy: number;
}

interface Trial {
  readonly report: number;
  readonly selection: CandidateResult;
  readonly kept: number | null;
  readonly numDocuments: number;
}

interface PersonTrials {
  readonly base: number;
  readonly edits: readonly Trial[];
  readonly kinds: readonly string[];
  /** Arms that are not the model's own edits, by name. */
  readonly fixed: Readonly<Record<string, Trial>>;
}

/** What an arm trains on, besides the passage. */
type FixedArm = (person: Person, context: string, args: MainJobArgs, rng: Rng) => readonly string[];

const rawArm = "raw passage";
const repeatedArm = "raw passage, repeated";

const oracleArm =
  (kind: EditKind): FixedArm =>
  (person, context, { templates }, rng) =>
    selfEditDocuments(
      { kind, text: oracleEdit(person, context, kind, rng.fork(kind)) },
      { title: "", context },
      templates,
    );

/**
 * Arms whose documents do not come from the model. The repeated passage is the control for the number of updates:
 * an edit of a few documents takes as many times more of them as the bare passage.
 */
const fixedArms: Readonly<Record<string, FixedArm>> = {
  [rawArm]: (_person, context) => [context],
  [repeatedArm]: (_person, context, { numEdits }) => Array.from({ length: numEdits }, () => context),
  "all-facts oracle edit (self-qa)": oracleArm("self-qa"),
  "all-facts oracle edit (implications-long)": oracleArm("implications-long"),
  "all-facts oracle edit (implications)": oracleArm("implications"),
  "all-facts oracle edit (rewrite)": oracleArm("rewrite"),
};
const numFixed = Object.keys(fixedArms).length;

const toItems = (questions: readonly { question: string; answer: string }[]): ExamItem[] =>
  questions.map((question) => ({ ...question, title: "" }));

/** Measures all arms on `people`; finished groups of people are read from the store. */
export async function runMainJobTable(args: MainJobArgs): Promise<MainJobTable> {
  const { people, store } = args;
  const known = await stage(store, "canaries", () => knownCanaries(args));
  const perPerson = numFixed + args.numEdits;
  const groupSize = Math.max(1, Math.floor(args.bankSize / perPerson));
  const trials: PersonTrials[] = [];
  for (let from = 0; from < people.length; from += groupSize) {
    args.onEvent?.({ stage: "people", done: from, total: people.length });
    const group = people.slice(from, from + groupSize);
    trials.push(...(await stage(store, `people-${from}-${group.length}`, () => tryPeople(args, group, known.items))));
  }
  return summarise(args, trials, known.accuracy);
}

/** Canaries the base model answers right; what is kept is counted among these. */
async function knownCanaries(args: MainJobArgs): Promise<{ items: ExamItem[]; accuracy: number }> {
  const [answers] = await examine(args, [{ adapter: null, items: args.canaries.items }]);
  return {
    items: args.canaries.items.filter((_, index) => answers![index]!.isRight),
    accuracy: accuracy(answers!) ?? 0,
  };
}

async function tryPeople(
  args: MainJobArgs,
  people: readonly Person[],
  canaries: readonly ExamItem[],
): Promise<PersonTrials[]> {
  const rng = createRng(args.seed).fork("main-job");
  const sources = people.map((person) => ({
    id: person.name,
    title: "",
    context: examinationPassage(person, "report").context,
  }));
  const proposed = await proposeSelfEdits(args, sources, args.numEdits, rng);
  const exams = people.map((person) => ({
    selection: toItems(questionsAbout(person, "selection")),
    report: toItems(questionsAbout(person, "report")),
  }));
  const bases = await examine(
    args,
    exams.map(({ report }) => ({ adapter: null, items: report })),
  );
  const candidates = people.flatMap((person, index) => {
    const { context } = sources[index]!;
    const { selection, report } = exams[index]!;
    const items = [...selection, ...report, ...canaries];
    const asked = items.map(({ question }) => question);
    const stream = rng.fork("oracle", person.name);
    const own = proposed[index]!.map((edit) => selfEditDocuments(edit, sources[index]!, args.templates));
    const fixed = Object.values(fixedArms).map((arm) => arm(person, context, args, stream));
    return [...fixed, ...own].map((documents, place) => ({
      id: `${person.name}/${place}`,
      documents: withoutExamQuestions(documents, asked),
      items,
    }));
  });
  const onTrain = (done: number, total: number) => args.onEvent?.({ stage: "train", done, total });
  const results = await tryCandidates({ ...args, seed: `main-job-${args.seed}`, onTrain }, candidates);
  const perPerson = candidates.length / people.length;
  return people.map((_, index) => {
    const { selection, report } = exams[index]!;
    const trials = results
      .slice(index * perPerson, (index + 1) * perPerson)
      .map((result) => divide(result, selection.length, report.length));
    const fixed = Object.fromEntries(Object.keys(fixedArms).map((name, place) => [name, trials[place]!]));
    return {
      base: accuracy(bases[index]!)!,
      edits: trials.slice(numFixed),
      kinds: proposed[index]!.map(({ kind }) => kind),
      fixed,
    };
  });
}

/** Splits a candidate's answers into selection, report and canaries. */
function divide(result: CandidateResult, numSelection: number, numReport: number): Trial {
  const part = (from: number, to?: number): readonly ExamAnswer[] => result.answers.slice(from, to);
  const selection = part(0, numSelection);
  return {
    report: accuracy(part(numSelection, numSelection + numReport))!,
    selection: { ...result, answers: [], accuracy: accuracy(selection), goldLogprob: meanGoldLogprob(selection) },
    kept: accuracy(part(numSelection + numReport)),
    numDocuments: result.numDocuments,
  };
}

function summarise(args: MainJobArgs, people: readonly PersonTrials[], canaryAccuracy: number): MainJobTable {
  const best = ({ edits }: PersonTrials) => edits[bestCandidate(edits.map(({ selection }) => selection))]!;
  const arms: Readonly<Record<string, (person: PersonTrials) => Trial | null>> = {
    base: () => null,
    [rawArm]: ({ fixed }) => fixed[rawArm]!,
    "one self-edit": ({ edits }) => edits[0]!,
    [`best of ${args.numEdits}`]: best,
    ...Object.fromEntries(
      Object.keys(fixedArms)
        .filter((name) => name !== rawArm)
        .map((name) => [name, ({ fixed }: PersonTrials) => fixed[name]!]),
    ),
  };
  const rows = Object.entries(arms).map(([name, of]) => {
    const trials = people.map(of);
    const scores = people.map((person, index) => trials[index]?.report ?? person.base);
    const rng = createRng(args.seed).fork("bootstrap", name);
    const over = (arm: string) => {
      const differences = scores.map((score, index) => score - people[index]!.fixed[arm]!.report);
      return bootstrapMean(differences, rng.fork("over", arm));
    };
    return {
      name,
      accuracy: bootstrapMean(scores, rng.fork("accuracy")),
      overRaw: over(rawArm),
      overRepeated: over(repeatedArm),
      kept: trials.every((trial) => trial === null) ? 1 : meanKept(trials),
      meanDocuments: mean(trials.map((trial) => trial?.numDocuments ?? 0)),
    };
  });
  return {
    numPeople: people.length,
    numEdits: args.numEdits,
    questionsPerPerson: questionsAbout(args.people[0]!, "report").length,
    rows,
    byKind: byKind(people),
    canaryAccuracy,
  };
}

/** Mean over people; the base knows the same canaries for all of them, so either all have a share or none has. */
function meanKept(trials: readonly (Trial | null)[]): number | null {
  const shares = trials.map((trial) => trial?.kept ?? null).filter((share) => share !== null);
  return shares.length === 0 ? null : mean(shares);
}

function byKind(people: readonly PersonTrials[]): MainJobTable["byKind"] {
  const scores = new Map<string, number[]>();
  for (const { kinds, edits } of people)
    kinds.forEach((kind, index) => {
      scores.set(kind, [...(scores.get(kind) ?? []), edits[index]!.report]);
    });
  return Object.fromEntries(
    [...scores].sort().map(([kind, values]) => [kind, { count: values.length, accuracy: mean(values) }]),
  );
}
