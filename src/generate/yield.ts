/** @file Lets timers, signals and input run between steps of a long synchronous computation. */
import { setImmediate } from "node:timers/promises";

/** Resolves after pending events had their turn; costs microseconds. */
export function yieldToEvents(): Promise<void> {
  return setImmediate();
}
