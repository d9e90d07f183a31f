/**
 * @file What the prompt for a self-edit is worth, and what reinforcement adds to it: SEAL's table 10 (Zweiger et al. 2025,
 * arXiv 2506.10943v2). Each prompt has an outer loop of its own, with one and the same passages, replay and random numbers.
 * Deviations: two repetitions of each trial by default, where SEAL takes three; besides SEAL's prompts there is the open
 * one, where the policy names the kind.
 */
import {
  asPolicyEdit,
  type EditWriter,
  examineEdits,
  type KnowledgeExpectation,
  type KnowledgeTask,
  kindWriter,
  type LearnKnowledgeArgs,
  learnKnowledge,
  meanAccuracy,
  policyWriter,
  prepareLearning,
  proposedBy,
  type RoundReport,
  type SelfEditKind,
  type StageStore,
  withKnowledge,
} from "../adapt/index.ts";
import { oracleEdit, type Person } from "../tasks/index.ts";
import { mean, SelkieError } from "../util/index.ts";
import { prefixed } from "./arms.ts";
import { answerCoverage } from "./coverage.ts";
import { meanOfMeasured } from "./table.ts";

/** How edits are asked for: by the prompt of a kind, or by the open prompt, where the policy names the kind. */
export type EditPrompt = SelfEditKind | "open";

/** Inputs of {@link ablatePrompts}. */
export interface PromptAblationArgs extends Omit<LearnKnowledgeArgs, "writer" | "oldText" | "onExamined"> {
  readonly prompts: readonly EditPrompt[];
  /** Writes the best edits of a kind; `null` where nobody knows all facts. */
  readonly oracle: ((kind: SelfEditKind) => EditWriter) | null;
}

/** What edits of the held-out passages are worth. */
export interface WriterFigures {
  /** Share of right answers to the report questions after learning one edit. */
  readonly perPassage: readonly number[];
  /** Share of what the untrained policy knew that is still right after learning an edit; `null` without canaries. */
  readonly kept: number | null;
  /** The same for the policy itself; `null` for the oracle, which writes and is not trained. */
  readonly policyKept: number | null;
  /** Tokens of an edit's documents, the passage among them. */
  readonly meanTokens: number;
  /** Share of the gold answers to the report questions that the edit states. */
  readonly coverage: number;
}

/** Everything about one prompt. */
export interface PromptFigures {
  readonly prompt: EditPrompt;
  /** Of the untrained policy, then after each round. */
  readonly policies: readonly WriterFigures[];
  /** Edits with all facts of the passage, none wrong; `null` where nobody wrote them. */
  readonly oracle: WriterFigures | null;
  /** Of each round: trials, and mean accuracy of all its edits and of those kept. */
  readonly rounds: readonly {
    readonly numTrials: number;
    readonly meanAccuracy: number | null;
    readonly keptAccuracy: number | null;
    readonly keptKinds: Readonly<Record<string, number>>;
    /** Of the reward; `null` with one repetition. */
    readonly reliability: RoundReport["reliability"];
  }[];
}

/** Writes edits about people of the Almanac, whose facts it knows: every fact, none wrong. */
export function oracleWriter(people: readonly Person[], kind: SelfEditKind): EditWriter {
  const byName = new Map(people.map((person) => [person.name, person]));
  return async ({ templates }, sources, count, rng) =>
    sources.map((source) => {
      const person = byName.get(source.id);
      if (person === undefined)
        throw new SelkieError(
          "bad-input",
          `oracleWriter: expected passages about people of the Almanac, got "${source.id}"; leave the oracle out`,
        );
      return Array.from({ length: count }, (_, index) => {
        const text = oracleEdit(person, source.context, kind, rng.fork("oracle", source.id, index));
        return asPolicyEdit({ ...templates, openSelfEdit: null }, source, { kind, text }, true);
      });
    });
}

/** Stages that do not depend on who writes the edits. */
const commonStages: ReadonlySet<string> = new Set(["exam", "exam-held-out", "split", "replay", "canaries"]);

/** The stages of one prompt; what all have in common is done once. */
function stagesOfPrompt(store: StageStore, prompt: EditPrompt): StageStore {
  const own = prefixed(store, prompt);
  const holder = (name: string) => (commonStages.has(name) ? store : own);
  return {
    read: (name) => holder(name).read(name),
    write: (name, value) => holder(name).write(name, value),
  };
}

function figuresOf(
  tasks: readonly KnowledgeTask[],
  found: KnowledgeExpectation,
  policyKept: number | null,
): WriterFigures {
  const edits = found.trials.flatMap((passage) => passage.edits);
  const coverages = found.trials.flatMap((passage, index) =>
    passage.edits.map(({ edit }) => answerCoverage(tasks[index]!.exam.report, edit.text)),
  );
  return {
    perPassage: found.trials.map((passage) => meanOfMeasured(passage.edits.map(meanAccuracy)) ?? 0),
    kept: meanOfMeasured(edits.flatMap(({ trials }) => trials.map(({ kept }) => kept))),
    policyKept,
    meanTokens: mean(edits.map(({ numTokens }) => numTokens)),
    coverage: mean(coverages),
  };
}

/** Runs an outer loop for every prompt, and examines the oracle's edits; finished stages are read from the store. */
export async function ablatePrompts(args: PromptAblationArgs): Promise<PromptFigures[]> {
  const oracles = args.oracle === null ? new Map<EditPrompt, WriterFigures>() : await examineOracles(args, args.oracle);
  const results: PromptFigures[] = [];
  for (const prompt of args.prompts) {
    const policies = await learnWith(args, prompt);
    results.push({ prompt, ...policies, oracle: oracles.get(prompt) ?? null });
  }
  return results;
}

/** The outer loop of one prompt. */
async function learnWith(
  args: PromptAblationArgs,
  prompt: EditPrompt,
): Promise<Pick<PromptFigures, "policies" | "rounds">> {
  const seen: ((policyKept: number | null) => WriterFigures)[] = [];
  const { rounds, evaluations } = await learnKnowledge({
    ...args,
    writer: prompt === "open" ? policyWriter : kindWriter(prompt),
    oldText: null,
    store: stagesOfPrompt(args.store, prompt),
    directoryOf: (name) => args.directoryOf(`${prompt}/${name}`),
    onEvent: (event) => args.onEvent?.({ ...event, stage: `${prompt}: ${event.stage}` }),
    onExamined: (_round, found, tasks) => seen.push((policyKept) => figuresOf(tasks, found, policyKept)),
  });
  return {
    policies: evaluations.map(({ policyKept }, index) => seen[index]!(policyKept)),
    rounds: rounds.map(({ numTrials, meanAccuracy: all, keptAccuracy, keptKinds, reliability }) => ({
      numTrials,
      meanAccuracy: all,
      keptAccuracy,
      keptKinds,
      reliability,
    })),
  };
}

/** What the untrained policy learns from the oracle's edits of each kind. */
async function examineOracles(
  args: PromptAblationArgs,
  oracle: NonNullable<PromptAblationArgs["oracle"]>,
): Promise<Map<EditPrompt, WriterFigures>> {
  await using engine = await args.openPolicy(args.modelDirectory);
  const context = await prepareLearning({ ...withKnowledge(args), oldText: null }, engine);
  const figures = new Map<EditPrompt, WriterFigures>();
  for (const prompt of args.prompts) {
    if (prompt === "open") continue; // it has no kind of its own
    const propose = proposedBy(oracle(prompt));
    const name = `oracle/${prompt}`;
    const found = await examineEdits(context, engine, { name, title: `${prompt}: all-facts oracle`, propose });
    figures.set(prompt, figuresOf(context.heldOutTasks, found, null));
  }
  return figures;
}
