/** @file Optimizers: AdamW, schedules, clipping, averaging. */
export { AdamW, type AdamWOptions, type AdamWState } from "./adamw.ts";
export { clipScale, globalNorm } from "./clip.ts";
export { Ema } from "./ema.ts";
export { checkSchedule, multiplierAt, type Schedule, type ScheduleKind } from "./schedule.ts";
