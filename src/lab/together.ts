/**
 * @file Many passages learned at once (SEAL's continued pretraining, arXiv 2506.10943, section 4.2): one adapter, or one
 * finetuned model, trains on the documents of a whole group of tasks and is asked about each of them.
 */
import {
  askQuestions,
  examineTrials,
  type LearnInnerLoop,
  type QuestionTrial,
  stage,
  trialSeed,
} from "../adapt/index.ts";
import { digestOf } from "../registry/index.ts";
import { SelkieError } from "../util/index.ts";
import { type ArmContext, type ArmScore, itemsOf, score } from "./arms.ts";
import type { Documents } from "./edits.ts";

/** One group of tasks learned together. */
export interface PassageGroup {
  /** Names the random numbers, like the seed of the context. */
  readonly seed: string;
  /** Indices of tasks, in the order in which their documents are listed. */
  readonly members: readonly number[];
  /** Training documents of every task of the context. */
  readonly documents: Documents;
}

/** One way of learning groups of tasks. */
export interface GroupArm {
  /** Unique within the store; names the stage. */
  readonly name: string;
  readonly innerLoop: LearnInnerLoop;
  readonly passageGroups: readonly PassageGroup[];
}

/**
 * Trains and examines an adapter (or a model) for every group. Scores are in the order of its members; old
 * answers kept, documents, updates and tokens are those of the whole group.
 *
 * @throws {@link SelkieError} `"bad-option"` for context distillation, whose teacher reads one passage.
 */
export function measureTogether(context: ArmContext, arm: GroupArm): Promise<ArmScore[][]> {
  const { name, innerLoop, passageGroups } = arm;
  if (innerLoop.distillation !== null)
    throw new SelkieError("bad-option", `${name}: expected no context distillation for many passages at once`);
  const content = digestOf(JSON.stringify([innerLoop, passageGroups])).slice(0, 12); // other settings are another stage
  return stage(context.store, `${name}/${content}`, async () => {
    const trials = passageGroups.map((passageGroup, index) => trialOf(context, passageGroup, index));
    const examined = await examineTrials({ ...context, innerLoop }, trials, askQuestions);
    return examined.map((one, index) => {
      const { members } = passageGroups[index]!;
      let next = 0;
      return members.map((member) => {
        const task = context.tasks[member]!;
        const first = next;
        next += itemsOf(task).length;
        const own = one.score?.slice(first, next) ?? null;
        return score(context.engine.model.vocabSize, task, one.trial.documents.length, {
          ...one,
          answers: own,
        });
      });
    });
  });
}

function trialOf({ tasks }: ArmContext, { seed, members, documents }: PassageGroup, index: number): QuestionTrial {
  const sources = members.map((member) => tasks[member]!.source);
  const passageId = sources.map(({ id }) => id).join(" + ");
  return {
    ...{ passage: index, edit: 0, repetition: 0 },
    seed: trialSeed({ runSeed: seed, passageId, edit: 0, repetition: 0 }, "common"),
    source: { id: passageId, title: "", context: sources.map(({ context }) => context).join("\n\n") },
    documents: [...new Set(members.flatMap((member) => documents[member]!))],
    items: members.flatMap((member) => itemsOf(tasks[member]!)),
  };
}
