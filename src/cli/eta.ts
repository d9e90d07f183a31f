/**
 * @file How long work still takes, from how it went so far. The rate is an exponential moving average over time, so that
 * the last part counts most and one odd step little; what is shown counts down with the clock and is pulled towards the
 * new estimate, so that it does not jump.
 */

/** Estimates the time left of one piece of work. Times are milliseconds of any clock that does not run backwards. */
export interface Eta {
  /** Seconds left when `done` of `total` is done at `nowMs`; `null` while too little is known. Never negative. */
  update(done: number, total: number, nowMs: number): number | null;
}

/** Nothing is said of the first so many seconds: the first steps are slower than the rest. */
const quietSeconds = 2;
/** Memory of the rate as a share of the time so far, and its least and most, seconds. */
const [memoryShare, leastMemory, mostMemory] = [0.25, 3, 120];

interface State {
  startMs: number;
  lastMs: number;
  lastDone: number;
  total: number;
  /** Sum of rates and of their weights; the quotient is the average without the bias of a start at 0. */
  rate: number;
  weight: number;
  shown: number | null;
}

const begin = (done: number, total: number, nowMs: number): State => ({
  ...{ startMs: nowMs, lastMs: nowMs, lastDone: done, total, rate: 0, weight: 0, shown: null },
});

/** A new estimator; work that starts again, or of another total, starts it again. */
export function createEta(): Eta {
  let state: State | null = null;
  return {
    update(done, total, nowMs) {
      if (![done, total, nowMs].every(Number.isFinite) || total <= 0) return null;
      if (state === null || total !== state.total || done < state.lastDone) {
        state = begin(done, total, nowMs);
        return done >= total ? 0 : null;
      }
      advance(state, done, nowMs);
      if (done >= total) return 0;
      return state.shown;
    },
  };
}

function advance(state: State, done: number, nowMs: number): void {
  const seconds = (nowMs - state.lastMs) / 1000;
  if (seconds <= 0) return;
  const elapsed = (nowMs - state.startMs) / 1000;
  if (done > state.lastDone || elapsed > 0) {
    const memory = Math.min(mostMemory, Math.max(leastMemory, memoryShare * elapsed));
    const alpha = 1 - Math.exp(-seconds / memory);
    state.rate += alpha * ((done - state.lastDone) / seconds - state.rate);
    state.weight += alpha * (1 - state.weight);
  }
  state.lastDone = done;
  state.lastMs = nowMs;
  const rate = state.weight > 0 ? state.rate / state.weight : 0;
  if (elapsed < quietSeconds || rate <= 0) {
    if (state.shown !== null) state.shown = Math.max(0, state.shown - seconds);
    return;
  }
  const estimate = (state.total - done) / rate;
  if (state.shown === null) {
    state.shown = estimate;
    return;
  }
  const expected = Math.max(0, state.shown - seconds);
  const pull = 1 - Math.exp(-seconds / Math.max(2, 0.1 * Math.min(estimate, expected)));
  state.shown = Math.max(0, expected + pull * (estimate - expected));
}

/** Shares of the whole work by stage, in any unit, in the order in which stages run. */
export type StageWeights = Readonly<Record<string, number>>;

/** Estimates the time left of work in stages, each of its own speed, from what each is expected to take. */
export interface StagedEta {
  /** As {@link Eta.update}, for a stage; `null` for stages without a weight. */
  update(stage: string, done: number, total: number, nowMs: number): number | null;
}

/**
 * An estimator over all stages. `secondsOf` holds what each stage is expected to take; how far off that is shows in the
 * rate and corrects the rest. A stage passed over in no time, as after a resumption, says nothing about the rate.
 */
export function createStagedEta(secondsOf: StageWeights): StagedEta {
  const names = Object.keys(secondsOf);
  const starts = new Map<string, number>();
  let whole = 0;
  for (const name of names) {
    starts.set(name, whole);
    whole += Math.max(0, secondsOf[name]!);
  }
  let [skipped, last, lastMs] = [0, 0, Number.NaN];
  const eta = createEta();
  return {
    update(stage, done, total, nowMs) {
      const start = starts.get(stage);
      if (start === undefined || whole <= 0) return null;
      const share = total > 0 ? Math.min(1, Math.max(0, done / total)) : 0;
      const position = Math.max(last, start + secondsOf[stage]! * share);
      const seconds = (nowMs - lastMs) / 1000;
      // twenty times as fast as expected is no speed but work found finished
      if (Number.isNaN(lastMs) || position - last > 20 * Math.max(seconds, 0.05)) skipped += position - last;
      last = position;
      lastMs = nowMs;
      return eta.update(position - skipped, whole - skipped, nowMs);
    },
  };
}
