/** @file How long the parts of an experiment took: measured where stages are computed, kept across interruptions. */
import type { StageStore } from "../../adapt/index.ts";
import type { Run } from "../../registry/index.ts";

/** A store that takes the time of what is computed between a miss and the write of the same stage. */
export interface StageClock extends Disposable {
  readonly store: StageStore;
  /** Seconds that were spent elsewhere, by the name of the part. */
  add(part: string, seconds: number): void;
  /** Whole seconds by part, those of earlier processes included. */
  seconds(): Readonly<Record<string, number>>;
}

const file = "stage-times.json";

/** A stage's name without what only counts: seeds, groups, streams, digests. */
const partOf = (stage: string): string =>
  stage
    .split("/")
    .map((word) =>
      word
        .replace(/^(?:seed|stream|policy)-[0-9a-f]+$/, "")
        .replace(/-?\d+$/, (end) => (/^-?\d+$/.test(word) ? "" : end)),
    )
    .filter((word) => word !== "" && word !== "held-out")
    .join("/");

/** The clock of a run; when it is disposed of, the times are kept beside the stages. */
export function createStageClock(run: Run, store: StageStore, now: () => number = () => performance.now()): StageClock {
  const earlier = run.readArtifact(file);
  const spent = new Map<string, number>(
    Object.entries(earlier === null ? {} : (JSON.parse(earlier.toString("utf8")) as Record<string, number>)),
  );
  const began = new Map<string, number>();
  const elsewhere = new Map<string, number>();
  let isChanged = false;
  return {
    store: {
      async read(name) {
        const value = await store.read(name);
        if (value === null || value === undefined) began.set(name, now());
        return value;
      },
      async write(name, value) {
        const since = began.get(name);
        if (since !== undefined) {
          const part = partOf(name);
          spent.set(part, (spent.get(part) ?? 0) + (now() - since) / 1000);
          isChanged = true;
        }
        await store.write(name, value);
      },
    },
    add: (part, seconds) => elsewhere.set(part, (elsewhere.get(part) ?? 0) + seconds),
    seconds: () =>
      Object.fromEntries([...elsewhere, ...spent].map(([part, seconds]) => [part, Math.round(seconds)] as const)),
    [Symbol.dispose]() {
      if (isChanged) run.writeArtifact(file, JSON.stringify(Object.fromEntries(spent)));
    },
  };
}
