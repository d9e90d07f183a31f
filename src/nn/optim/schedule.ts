/**
 * @file Learning-rate schedules as data: `multiplierAt` maps the number of updates already done to a factor on the
 * learning rate. The formulas are those of Hugging Face `get_*_schedule_with_warmup`, so the first warm-up update has
 * factor 0 and the factor would reach 0 one update after the last.
 */
import { SelkieError } from "../../util/index.ts";
import { type GradientTransform, noState, type Setting, settingOf } from "./transform.ts";

/** How the learning rate falls after the warm-up. */
export type ScheduleKind = "constant" | "linear" | "cosine";

/** A learning-rate schedule. */
export interface Schedule {
  readonly kind: ScheduleKind;
  /** Updates over which the factor rises linearly from 0 to 1; 0 means no warm-up. @defaultValue 0 */
  readonly warmupSteps?: number;
  /** Factor that the decay ends at, in [0, 1]. @defaultValue 0 */
  readonly minMultiplier?: number;
}

/** Share of the decay left at `progress` in [0, 1]. */
const decays: { readonly [Kind in ScheduleKind]: (progress: number) => number } = {
  constant: () => 1,
  linear: (progress) => 1 - progress,
  cosine: (progress) => 0.5 * (1 + Math.cos(Math.PI * progress)),
};

/**
 * Factor on the learning rate of update `step`.
 *
 * @param step - Updates done before this one, from 0.
 * @param totalSteps - Updates of the whole run, warm-up included.
 */
export function multiplierAt(schedule: Schedule, step: number, totalSteps: number): number {
  const { kind, warmupSteps = 0, minMultiplier = 0 } = schedule;
  if (step < warmupSteps) return step / warmupSteps;
  const progress = Math.min(1, (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps));
  return minMultiplier + (1 - minMultiplier) * decays[kind](progress);
}

/** Throws unless the fields of `schedule` are within their bounds. */
export function checkSchedule(schedule: Schedule): void {
  const { kind, warmupSteps = 0, minMultiplier = 0 } = schedule;
  if (!Object.hasOwn(decays, kind))
    throw new SelkieError(
      "bad-option",
      `schedule: expected ${Object.keys(decays).join(", ")}, got ${JSON.stringify(kind)}`,
    );
  if (!(warmupSteps >= 0) || !(minMultiplier >= 0 && minMultiplier <= 1))
    throw new SelkieError(
      "bad-option",
      `schedule: expected warmupSteps of at least 0 and minMultiplier in [0, 1], got ${warmupSteps} and ${minMultiplier}`,
    );
}

/** `peak` times the multiplier of a schedule over `totalSteps` updates of a group, as a learning rate. */
export function scheduled(peak: number, schedule: Schedule, totalSteps: number): Setting {
  checkSchedule(schedule);
  return ({ step }) => peak * multiplierAt(schedule, step, totalSteps);
}

/** `updates ← -learningRate · updates`, so that adding them descends; alone it is stochastic gradient descent. */
export function scaleByLearningRate(learningRate: Setting): GradientTransform {
  return {
    name: "scaleByLearningRate",
    learningRate,
    init: noState,
    update(updates) {
      updates.groups.forEach((group, index) => {
        updates.multiply(index, -settingOf(learningRate, group));
      });
    },
  };
}
