/**
 * @file Many passages learned at once (SEAL's continued pretraining, arXiv 2506.10943, section 4.2): one adapter, or one
 * finetuned model, trains on the documents of a whole group of lessons and is asked about each of them.
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
import { type ArmRoom, itemsOf, type LessonScore, score } from "./arms.ts";
import type { Documents } from "./edits.ts";

/** One group of lessons learned together. */
export interface Course {
  /** Names the random numbers, like a room's. */
  readonly seed: string;
  /** Indices of lessons, in the order in which their documents are listed. */
  readonly members: readonly number[];
  /** Training documents of every lesson of the room. */
  readonly documents: Documents;
}

/** One way of learning groups of lessons. */
export interface CourseArm {
  /** Unique within the store; names the stage. */
  readonly name: string;
  readonly innerLoop: LearnInnerLoop;
  readonly courses: readonly Course[];
}

/**
 * Trains and examines an adapter (or a model) for every course. Scores are in the order of each course's members; old
 * answers kept, documents, updates and tokens are those of the whole course.
 *
 * @throws {@link SelkieError} `"bad-option"` for context distillation, whose teacher reads one passage.
 */
export function measureTogether(room: ArmRoom, arm: CourseArm): Promise<LessonScore[][]> {
  const { name, innerLoop, courses } = arm;
  if (innerLoop.distillation !== null)
    throw new SelkieError("bad-option", `${name}: expected no context distillation for many passages at once`);
  const content = digestOf(JSON.stringify([innerLoop, courses])).slice(0, 12); // other settings are another stage
  return stage(room.store, `${name}/${content}`, async () => {
    const trials = courses.map((course, index) => trialOf(room, course, index));
    const examined = await examineTrials({ ...room, innerLoop }, trials, askQuestions);
    return examined.map((one, index) => {
      const { members } = courses[index]!;
      let next = 0;
      return members.map((member) => {
        const lesson = room.lessons[member]!;
        const first = next;
        next += itemsOf(lesson).length;
        const own = one.score?.slice(first, next) ?? null;
        return score(room.checkpoint.lm.vocabSize, lesson, one.trial.documents.length, {
          ...one,
          answers: own,
        });
      });
    });
  });
}

function trialOf({ lessons }: ArmRoom, { seed, members, documents }: Course, index: number): QuestionTrial {
  const sources = members.map((member) => lessons[member]!.source);
  const passageId = sources.map(({ id }) => id).join(" + ");
  return {
    ...{ passage: index, edit: 0, repetition: 0 },
    seed: trialSeed({ runSeed: seed, passageId, edit: 0, repetition: 0 }, "common"),
    source: { id: passageId, title: "", context: sources.map(({ context }) => context).join("\n\n") },
    documents: [...new Set(members.flatMap((member) => documents[member]!))],
    items: members.flatMap((member) => itemsOf(lessons[member]!)),
  };
}
