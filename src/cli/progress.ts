/** @file Progress of long work in words: which part it is at, how far that is, and how long it still takes. */
import type { AdaptEvent } from "../adapt/index.ts";
import type { Estimate } from "../app/index.ts";
import { createEta, createStagedEta, type Eta, type StagedEta, type StageWeights } from "./eta.ts";
import { formatBar, formatBytes, formatLeft } from "./format.ts";
import type { Output } from "./output.ts";

/** How to tell it. */
export interface ProgressOptions {
  /** What stages are called; others go by their own name. */
  readonly names?: Readonly<Record<string, string>>;
  /** Milliseconds of any clock. @defaultValue the process's own */
  readonly now?: () => number;
}

/** Tells events. */
export interface ProgressTeller {
  (event: AdaptEvent): void;
  /** Seconds that stages are expected to take, for the time left of all of them. */
  expect(secondsOf: StageWeights): void;
}

/**
 * Shows each stage as it begins for the first time and, now and then, how far it is and how long it still takes. Where
 * lines stay, as in a file, a stage begins without a bar.
 */
export function createProgressTeller(
  output: Pick<Output, "progress" | "isTerminal">,
  options: ProgressOptions = {},
): ProgressTeller {
  const { names = {}, now = () => performance.now() } = options;
  const seen = new Set<string>();
  const etas = new Map<string, Eta>(); // by stage: stages take turns, and each goes on where it was
  let whole: StagedEta | null = null;
  const tell = (event: AdaptEvent): void => {
    const { stage, done, total } = event;
    const nowMs = now();
    const eta = etas.get(stage) ?? createEta();
    etas.set(stage, eta);
    const left = eta.update(done, total, nowMs);
    const inAll = whole?.update(stage, done, total, nowMs) ?? null;
    const name = names[stage] ?? stage;
    const isEmpty = !output.isTerminal && done === 0 && total > 0;
    const bar = isEmpty ? "" : `${formatBar(total === 0 ? 1 : done / total, 16)} `;
    output.progress(bar + describeProgress(event, name, left, inAll), { isStage: !seen.has(stage) });
    seen.add(stage);
  };
  return Object.assign(tell, {
    expect(secondsOf: StageWeights) {
      whole = createStagedEta(secondsOf);
    },
  });
}

/** What the work will take, before it begins, and how that is known. */
export const describeEstimate = ({ seconds, bytes }: Pick<Estimate, "seconds" | "bytes">, counts: string): string =>
  `about ${formatLeft(seconds)} and ${formatBytes(bytes)} of memory, for ${counts} at the speed just measured with this model; good to a factor of two`;

/** One line: the time left in all where it is known, else that of the stage. */
function describeProgress(event: AdaptEvent, name: string, left: number | null, inAll: number | null): string {
  const { done, total, note } = event;
  const count = total > 1 ? ` ${Math.floor(done)}/${total}` : "";
  const time =
    inAll !== null && inAll > 0
      ? `, ${formatLeft(inAll)} left in all`
      : left !== null && left > 0
        ? `, ${formatLeft(left)} left`
        : "";
  const more = note === undefined || note === "" ? "" : `  ${note}`;
  return `${name}${count}${time}${more}`;
}
