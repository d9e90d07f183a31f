/**
 * @file Does reinforcement pay, at equal cost? The edit of the last round against the untrained policy's trained for as many
 * tokens, and against spending tokens on more samples instead. Cost is counted in inner-loop tokens, the rows computed in
 * training adapters, epochs and trials that were not chosen included; writing edits and answering questions are not
 * counted. SEAL's outer loop is 1,500 trials and two updates for its two rounds: its share of them is named beside its rows.
 */

import { type LearnReport, type LearnSettings, rewards } from "../adapt/index.ts";
import { type ArmScore, figuresOnly, measureArm, type ScoreFigures, stepsForTokens } from "./arms.ts";
import { onSet, type PassageSet } from "./passage-sets.ts";
import {
  checkRuns,
  type Documents,
  documentsOf,
  type Edits,
  openTrained,
  openUntrained,
  type PolicyContext,
  type PolicyRun,
  type PolicyStudy,
  rawOf,
  ruleOf,
  stepsOf,
  unionOf,
  withPolicy,
  writeEdits,
} from "./policies.ts";
import { modelName } from "./single-passage.ts";

/** How many samples are bought instead. */
export interface SampleCounts {
  /** @defaultValue 5, as many as a round of SEAL tries */
  readonly few: number;
  /** @defaultValue 16: one and the 15 that the trials of two rounds would buy for each of 100 passages */
  readonly many: number;
}

/** What was made of one passage's tokens. */
export interface Spent<Score extends ScoreFigures = ArmScore> {
  /** Of the adapter that was kept. */
  readonly score: Score;
  /** Of all adapters trained for it. */
  readonly numTokens: number;
}

/** One way of spending tokens, for one seed. */
export interface SpendingArm<Score extends ScoreFigures = ArmScore> {
  readonly name: string;
  /** The model that the adapters are trained on. */
  readonly base: string;
  /** Edits written for each passage. */
  readonly numEdits: number;
  /** True when an adapter is chosen by questions that the reader of the passage would have to bring. */
  readonly asks: boolean;
  readonly passages: readonly Spent<Score>[];
}

/** All of one seed. */
export interface SpendingFindings<Score extends ScoreFigures = ArmScore> {
  readonly seed: number;
  /** The last round's edit and what competes with it at as many optimizer updates, passage by passage. */
  readonly atUpdates: readonly SpendingArm<Score>[];
  /** The last round's edit and what competes with it at its tokens. */
  readonly atRound: readonly SpendingArm<Score>[];
  /** The untrained policy's edit and what competes with it at its tokens. */
  readonly atUntrained: readonly SpendingArm<Score>[];
  /** One edit of either, and more samples. */
  readonly samples: readonly SpendingArm<Score>[];
}

/** What was found on one set of passages. */
export interface SpendingSet<Score extends ScoreFigures = ArmScore> {
  readonly set: string;
  readonly summary: string;
  readonly findings: readonly SpendingFindings<Score>[];
}

const recordArm = ({ passages, ...arm }: SpendingArm): SpendingArm<ScoreFigures> => ({
  ...arm,
  passages: passages.map(({ score, numTokens }) => ({ numTokens, score: figuresOnly(score) })),
});

/** Findings as they are recorded: what tables show and nothing more. */
export const recordSpending = (sets: readonly SpendingSet[]): SpendingSet<ScoreFigures>[] =>
  sets.map(({ findings, ...set }) => ({
    ...set,
    findings: findings.map(({ seed, atUpdates, atRound, atUntrained, samples }) => ({
      seed,
      atUpdates: atUpdates.map(recordArm),
      atRound: atRound.map(recordArm),
      atUntrained: atUntrained.map(recordArm),
      samples: samples.map(recordArm),
    })),
  }));

/** Inner-loop tokens that a run of the outer loop spent in all. */
export interface OuterCost {
  readonly trialTokens: number;
  /** At most: old text is counted as if it were as long as the edits beside it. */
  readonly updateTokens: number;
}

/** Tokens of all trials and updates behind the last policy, for settings without a limit of steps and without replay in trials. */
export function outerCost({ rounds }: LearnReport, { innerLoop, update }: LearnSettings): OuterCost {
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const candidates = rounds.flatMap((round) => round.candidates);
  const kept = sum(candidates.map(({ isKept, numTokens }) => (isKept ? numTokens : 0)));
  return {
    trialTokens: sum(candidates.map(({ numTokens, trials }) => numTokens * trials.length * innerLoop.epochs)),
    updateTokens: Math.round((kept * update.epochs) / (1 - update.replayShare)),
  };
}

/** Measures every arm for every run of the outer loop; finished parts are read from the store. */
export async function runEqualCompute(study: PolicyStudy, counts: SampleCounts): Promise<SpendingFindings[]> {
  checkRuns("equal-compute", study.runs, 1);
  const findings: SpendingFindings[] = [];
  for (const run of study.runs) findings.push(await measureSeed(study, run, counts));
  return findings;
}

/** {@link runEqualCompute} on every set. */
export async function runEqualComputeSets(
  study: Omit<PolicyStudy, "passages" | "traps">,
  sets: readonly PassageSet[],
  counts: SampleCounts,
): Promise<SpendingSet[]> {
  const found: SpendingSet[] = [];
  for (const set of sets) {
    const { name, summary } = set;
    found.push({ set: name, summary, findings: await runEqualCompute(onSet(study, set), counts) });
  }
  return found;
}

const asSpent = (scores: readonly ArmScore[]): Spent[] =>
  scores.map((score) => ({ score, numTokens: score.numTokens }));

/** Every edit of every task learned by itself, `[edit][passage]`. */
async function measureEdits({ innerLoop }: PolicyStudy, context: PolicyContext, edits: Edits, count: number) {
  const scores: ArmScore[][] = [];
  for (let edit = 0; edit < count; edit++)
    scores.push(await measureArm(context, { name: `edit-${edit}`, innerLoop, documents: documentsOf(edits, edit) }));
  return scores;
}

/** The edit of each passage whose adapter answers the most selection questions, the surest of equals. */
function bestBySelection(scores: readonly (readonly ArmScore[])[]): Spent[] {
  return scores[0]!.map((_, passage) => {
    const tried = scores.map((row) => row[passage]!);
    const score = tried.reduce((best, next) =>
      next.selection > best.selection ||
      (next.selection === best.selection && next.selectionLogprob > best.selectionLogprob)
        ? next
        : best,
    );
    return { score, numTokens: tried.reduce((total, { numTokens }) => total + numTokens, 0) };
  });
}

/** The edit of each passage that the free proxy likes best; only that one need be trained. */
function bestByProxy({ tasks }: PolicyContext, edits: Edits, scores: readonly (readonly ArmScore[])[]): Spent[] {
  const worth = rewards.proxy.score(
    tasks.map(({ source }, passage) => ({
      ...{ passageId: source.id, passage: source.context, baseAccuracy: 0, baseGoldLogprob: 0 },
      edits: edits[passage]!.map(({ members, numTokens }) => ({ edit: members[0]!, numTokens, trials: [] })),
    })),
  );
  return worth.map((row, passage) => {
    const score = scores[row.indexOf(Math.max(...row))]![passage]!;
    return { score, numTokens: score.numTokens };
  });
}

async function measureSeed(study: PolicyStudy, run: PolicyRun, { few, many }: SampleCounts): Promise<SpendingFindings> {
  const { seed } = run;
  const numRounds = Math.min(...study.runs.map(({ policies }) => policies.length));
  const written = await withPolicy(openUntrained(study, seed), async (context) => {
    const edits = await writeEdits(context, seed, Math.max(few, many));
    return { context, edits, scores: await measureEdits(study, context, edits, Math.max(few, many)) };
  });
  const own = written.scores[0]!;
  const trained = await withPolicy(openTrained(study, run, numRounds, written.context), async (context) => {
    const edits = await writeEdits(context, seed, few);
    const scores = await measureEdits(study, context, edits, few);
    const { innerLoop } = study;
    return {
      ...{ edits, scores, cut: await measureAt(study, context, "cut", documentsOf(edits), own) },
      union: await measureArm(context, { name: "union-few", innerLoop, documents: unionOf(edits, few) }),
    };
  });
  const [last, whole] = [trained.scores[0]!, documentsOf(trained.edits)];
  const names = namesOf(numRounds);
  const plain = await withPolicy(openUntrained(study, seed), (context) =>
    measureByUntrained(study, context, { ...written, last, whole, names, few, many }),
  );
  const arm = (name: string, scores: readonly ArmScore[], base = modelName(0), numEdits = 1): SpendingArm => ({
    ...{ name, base, numEdits, asks: false, passages: asSpent(scores) },
  });
  const untrained = arm(names.untrained, own);
  const round = arm(names.round, last, modelName(numRounds));
  const best = (passages: readonly Spent[], name: string, numEdits: number, asks: boolean, base = modelName(0)) => ({
    ...{ name, base, numEdits, asks, passages },
  });
  return {
    seed,
    atUpdates: [round, ...plain.atUpdates],
    atRound: [round, ...plain.atRound],
    atUntrained: [untrained, arm(`${names.round}, cut`, trained.cut, modelName(numRounds)), ...plain.atUntrained],
    samples: [
      untrained,
      round,
      best(bestBySelection(written.scores.slice(0, few)), `untrained, best of ${few} by questions`, few, true),
      best(bestBySelection(written.scores.slice(0, many)), `untrained, best of ${many} by questions`, many, true),
      best(
        bestByProxy(
          written.context,
          written.edits.map((list) => list.slice(0, many)),
          written.scores,
        ),
        `untrained, best of ${many} by the free proxy`,
        many,
        false,
      ),
      ...plain.unions,
      best(
        bestBySelection(trained.scores),
        `round ${numRounds}, best of ${few} by questions`,
        few,
        true,
        modelName(numRounds),
      ),
      arm(`round ${numRounds}, union of ${few}`, trained.union, modelName(numRounds), few),
    ],
  };
}

/** Names of the arms that tables refer to. */
export const namesOf = (numRounds: number) => ({
  untrained: "edit of the untrained policy",
  round: `edit of round ${numRounds}`,
});

/** An arm that is trained for about as many tokens as another. */
async function measureAt(
  { innerLoop }: PolicyStudy,
  context: PolicyContext,
  name: string,
  documents: Documents,
  like: readonly ArmScore[],
): Promise<ArmScore[]> {
  const budgets = like.map(({ numTokens }) => numTokens);
  return measureArm(context, {
    name,
    innerLoop,
    documents,
    numSteps: await stepsForTokens(context, { innerLoop, documents }, budgets),
  });
}

interface ByUntrained extends SampleCounts {
  readonly edits: Edits;
  /** Of single edits, `[edit][passage]`. */
  readonly scores: readonly (readonly ArmScore[])[];
  /** The last round's edit and what it was worth to its own writer. */
  readonly whole: Documents;
  readonly last: readonly ArmScore[];
  readonly names: ReturnType<typeof namesOf>;
}

/** Everything else that the untrained model learns. */
async function measureByUntrained(
  study: PolicyStudy,
  context: PolicyContext,
  { edits, scores, whole, last, names, few, many }: ByUntrained,
): Promise<
  Pick<SpendingFindings, "atUpdates" | "atRound" | "atUntrained"> & { readonly unions: readonly SpendingArm[] }
> {
  const { innerLoop } = study;
  const row = async (name: string, numEdits: number, measured: Promise<ArmScore[]>): Promise<SpendingArm> => ({
    ...{ name, base: modelName(0), numEdits, asks: false, passages: asSpent(await measured) },
  });
  const at = (slug: string, documents: Documents, like: readonly ArmScore[]) =>
    measureAt(study, context, slug, documents, like);
  const freely = (slug: string, documents: Documents) => measureArm(context, { name: slug, innerLoop, documents });
  const [passages, rule] = [rawOf(context), ruleOf(context)];
  const updates = stepsOf(last);
  const atUpdates = (slug: string, documents: Documents) =>
    measureArm(context, { name: slug, innerLoop, documents, numSteps: updates });
  return {
    atUpdates: [
      await row("raw passage", 0, atUpdates("raw-updates", passages)),
      await row("rule without a model", 0, atUpdates("rule-updates", rule)),
      await row("untrained edit, trained for longer", 1, atUpdates("long-updates", documentsOf(edits))),
    ],
    atRound: [
      await row(`${names.round}, learned by untrained`, 1, freely("round", whole)),
      await row("untrained edit, trained for longer", 1, at("long", documentsOf(edits), last)),
      await row("union of 2 untrained edits", 2, at("union-2-at", unionOf(edits, 2), last)),
      await row(`union of ${few} untrained edits`, few, at("union-few-at", unionOf(edits, few), last)),
      await row("raw passage", 0, at("raw-at", passages, last)),
      await row("rule without a model", 0, at("rule-at", rule, last)),
    ],
    atUntrained: [
      await row(`${names.round}, cut, learned by untrained`, 1, at("round-cut", whole, scores[0]!)),
      await row("raw passage", 0, at("raw-cut", passages, scores[0]!)),
      await row("rule without a model", 0, at("rule-cut", rule, scores[0]!)),
    ],
    unions: [
      await row(`untrained, union of ${few}`, few, freely("union-few", unionOf(edits, few))),
      await row(`untrained, union of ${many}`, many, freely("union-many", unionOf(edits, many))),
    ],
  };
}
