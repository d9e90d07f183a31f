/**
 * @file The single-passage table: what one passage is worth when it is learned raw, by a rule that puts the name into every
 * sentence, by the untrained policy's edit, by the policies of the outer loop, and by an editor who knows everything. As in SEAL (arXiv 2506.10943, table 2), the edit of the
 * policy after round r is learned by that very policy; two more rows, each round's edit learned by the other model, part
 * better writing from better learning.
 */
import { type KnowledgeCandidate, selfEditDocuments, withoutExamQuestions } from "../adapt/index.ts";
import { drawEditKind, type EditKind, oracleEdit } from "../tasks/index.ts";
import { createRng } from "../util/index.ts";
import { type Arm, type ArmScore, figuresOnly, measureArm, type ScoreFigures, scoreUntrained } from "./arms.ts";
import { type EditFigures, measureEdit, peopleOf } from "./edit-figures.ts";
import { onSet, type PassageSet } from "./passage-sets.ts";
import {
  checkRuns,
  documentsOf,
  type Edits,
  openTrained,
  openUntrained,
  type PolicyContext,
  type PolicyRun,
  type PolicyStudy,
  policyKept,
  rawOf,
  ruleOf,
  stepsOf,
  withPolicy,
  writeEdits,
} from "./policies.ts";

/** One way of learning a passage, for one seed. */
export interface SeedArm<Score extends ScoreFigures = ArmScore> {
  readonly name: string;
  /** The model that the adapters are trained on. */
  readonly base: string;
  readonly scores: readonly Score[];
}

/** One writer's edits, for one seed. */
export interface SeedWriter {
  readonly name: string;
  readonly figures: readonly EditFigures[];
  /** Share of the canaries that the writer itself still answers; `null` for a writer that is no policy. */
  readonly kept: number | null;
}

/** All of one seed. */
export interface SeedFindings<Score extends ScoreFigures = ArmScore> {
  readonly seed: number;
  readonly arms: readonly SeedArm<Score>[];
  readonly writers: readonly SeedWriter[];
}

/** What was found on one set of passages. */
export interface SetFindings<Score extends ScoreFigures = ArmScore> {
  /** Name of the set. */
  readonly set: string;
  readonly summary: string;
  readonly findings: readonly SeedFindings<Score>[];
}

/** Findings as they are recorded: what tables show and nothing more. */
export const recordFindings = (sets: readonly SetFindings[]): SetFindings<ScoreFigures>[] =>
  sets.map(({ findings, ...set }) => ({
    ...set,
    findings: findings.map(({ arms, ...seed }) => ({
      ...seed,
      arms: arms.map(({ scores, ...arm }) => ({ ...arm, scores: scores.map(figuresOnly) })),
    })),
  }));

/** Names of the rows that tables refer to. */
export const armNames = {
  base: "nothing",
  raw: "raw passage",
  rawAtUntrained: "raw, updates of the untrained edit",
  rawAtRound: (round: number) => `raw, updates of round ${round}'s edit`,
  rule: (round: number) => `rule without a model, updates of round ${round}'s edit`,
  untrained: "self-edit of the untrained policy",
  round: (round: number) => `SEAL, round ${round}`,
  swapped: (round: number) => `edit of round ${round}, learned by untrained`,
} as const;

/** Name of a model. */
export const modelName = (round: number): string => (round === 0 ? "untrained" : `round ${round}`);

/** Measures every arm for every run of the outer loop; finished parts are read from the store. */
export async function runSinglePassage(study: PolicyStudy): Promise<SeedFindings[]> {
  checkRuns("single-passage", study.runs, 1);
  const findings: SeedFindings[] = [];
  for (const run of study.runs) findings.push(await measureSeed(study, run));
  return findings;
}

/** {@link runSinglePassage} on every set. */
export async function runSinglePassageSets(
  study: Omit<PolicyStudy, "passages" | "traps">,
  sets: readonly PassageSet[],
): Promise<SetFindings[]> {
  const found: SetFindings[] = [];
  for (const set of sets) {
    const { name, summary } = set;
    found.push({ set: name, summary, findings: await runSinglePassage(onSet(study, set)) });
  }
  return found;
}

/** What came of one policy. */
interface Visit {
  readonly edits: Edits;
  readonly arms: readonly SeedArm[];
  readonly writer: SeedWriter;
}

async function measureSeed(study: PolicyStudy, run: PolicyRun): Promise<SeedFindings> {
  const numRounds = Math.min(...study.runs.map(({ policies }) => policies.length));
  const { seed } = run;
  const { untrained, first } = await withPolicy(openUntrained(study, seed), async (context) => ({
    untrained: context,
    first: { edits: await writeEdits(context, seed, 1), kept: await policyKept(context) },
  }));
  const visits: Visit[] = [];
  for (let round = 1; round <= numRounds; round++)
    visits.push(
      await withPolicy(openTrained(study, run, round, untrained), (context) =>
        visitPolicy(study, context, seed, round, round === numRounds ? first.edits : null),
      ),
    );
  const last = visits.at(-1)!;
  const plain = await withPolicy(openUntrained(study, seed), (context) =>
    visitUntrained(study, context, first.edits, last, numRounds),
  );
  return {
    seed,
    arms: [...plain.before, ...visits.flatMap(({ arms }) => arms), ...plain.after],
    writers: [
      { name: modelName(0), figures: figuresOf(untrained, first.edits), kept: first.kept },
      ...visits.map(({ writer }) => writer),
      ...plain.writers,
    ],
  };
}

/** Edits of the policy after `round`, learned by itself; `others` are learned by it as well. */
async function visitPolicy(
  { innerLoop }: PolicyStudy,
  context: PolicyContext,
  seed: number,
  round: number,
  others: Edits | null,
): Promise<Visit> {
  const base = modelName(round);
  const edits = await writeEdits(context, seed, 1);
  const arm = async (name: string, slug: string, from: Edits): Promise<SeedArm> => ({
    ...{ name, base },
    scores: await measureArm(context, { name: slug, innerLoop, documents: documentsOf(from) }),
  });
  return {
    edits,
    arms: [
      await arm(armNames.round(round), "own", edits),
      ...(others === null ? [] : [await arm(`untrained edit, learned by round ${round}`, "others", others)]),
    ],
    writer: { name: modelName(round), figures: figuresOf(context, edits), kept: await policyKept(context) },
  };
}

/** Everything that the untrained model learns. */
async function visitUntrained(
  { innerLoop }: PolicyStudy,
  context: PolicyContext,
  own: Edits,
  last: Visit,
  numRounds: number,
): Promise<{ before: SeedArm[]; after: SeedArm[]; writers: SeedWriter[] }> {
  const base = modelName(0);
  const measure = async (name: string, arm: Omit<Arm, "innerLoop">): Promise<SeedArm> => ({
    ...{ name, base },
    scores: await measureArm(context, { ...arm, innerLoop }),
  });
  const passages = rawOf(context);
  const untrained = await measure(armNames.untrained, { name: "own", documents: documentsOf(own) });
  const atRound = stepsOf(last.arms[0]!.scores);
  const before = [
    { name: armNames.base, base, scores: (await scoreUntrained(context)).map((score) => ({ ...score, kept: 1 })) },
    await measure(armNames.raw, { name: "raw", documents: passages }),
    await measure(armNames.rawAtUntrained, {
      ...{ name: "raw-long", documents: passages, numSteps: stepsOf(untrained.scores) },
    }),
    await measure(armNames.rawAtRound(numRounds), { name: "raw-longer", documents: passages, numSteps: atRound }),
    await measure(armNames.rule(numRounds), { name: "rule", documents: ruleOf(context), numSteps: atRound }),
    untrained,
  ];
  const after = [
    await measure(armNames.swapped(numRounds), { name: `round-${numRounds}`, documents: documentsOf(last.edits) }),
  ];
  const writers: SeedWriter[] = [];
  for (const { name, slug, edits } of oracleEditors(context)) {
    after.push(await measure(name, { name: slug, documents: documentsOf(edits) }));
    writers.push({ name, figures: figuresOf(context, edits), kept: null });
  }
  return { before, after, writers };
}

const oracleKinds: readonly { readonly name: string; readonly slug: string; readonly kind: EditKind | null }[] = [
  { name: "stronger writer: all facts, mixed kinds", slug: "oracle", kind: null },
  { name: "all facts, self-qa", slug: "oracle-self-qa", kind: "self-qa" },
  { name: "all facts, implications-long", slug: "oracle-long", kind: "implications-long" },
];

/** Edits of the all-knowing editor; none where the passages are not about people of the Almanac. */
function oracleEditors(context: PolicyContext): { name: string; slug: string; edits: Edits }[] {
  const people = peopleOf(context.tasks);
  if (people === null) return [];
  const rng = createRng(context.seed).fork("oracle");
  const edit = (passage: number, slug: string, wanted: EditKind | null): KnowledgeCandidate => {
    const { source } = context.tasks[passage]!;
    const person = people[passage]!;
    const stream = rng.fork(slug, person.name);
    const kind = wanted ?? drawEditKind(stream.fork("kind"));
    const text = oracleEdit(person, source.context, kind, stream.fork("text"));
    const documents = withoutExamQuestions(
      selfEditDocuments({ kind, text }, source, context.templates),
      context.forbidden,
    );
    const numTokens = documents.reduce((sum, words) => sum + context.engine.tokenizer.encode(words).length, 0);
    return { members: [{ kind, text, prompt: "", completion: text, isFinished: true }], documents, numTokens };
  };
  return oracleKinds.map(({ name, slug, kind }) => ({
    ...{ name, slug },
    edits: people.map((_, passage) => [edit(passage, slug, kind)]),
  }));
}

/** Figures of the first edit of every task. */
function figuresOf({ tasks }: Pick<PolicyContext, "tasks">, edits: Edits): EditFigures[] {
  const people = peopleOf(tasks);
  return tasks.map((task, index) => measureEdit(edits[index]![0]!, task, people?.[index] ?? null));
}
