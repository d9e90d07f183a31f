/** @file Optimizers as chains of gradient transforms: clipping, AdamW, Lion, decay, schedules, averaging. */
export { type AdamOptions, type AdamWOptions, adamW, scaleByAdam } from "./adamw.ts";
export { clipByGlobalNorm, clipScale } from "./clip.ts";
export { addDecayedWeights } from "./decay.ts";
export { ema } from "./ema.ts";
export { type LionOptions, lion, scaleByLion } from "./lion.ts";
export { Optimizer, wholeStore } from "./optimizer.ts";
export {
  checkSchedule,
  multiplierAt,
  type Schedule,
  type ScheduleKind,
  scaleByLearningRate,
  scheduled,
} from "./schedule.ts";
export {
  chain,
  type GradientTransform,
  groupNorms,
  type Setting,
  type TransformState,
  type UpdateGroup,
  Updates,
} from "./transform.ts";
