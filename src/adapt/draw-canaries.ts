/**
 * @file Draws canaries that stand for everything a model knows. What gets lost first is what the model was least sure of, so the
 * draw is spread evenly over how sure it is, within each relation and each family of wordings: the share of canaries kept then
 * estimates the share of all known facts kept (stratified systematic sampling).
 */
import { type Rng, SelkieError } from "../util/index.ts";
import type { ExamAnswer, ExamItem } from "./exam.ts";

/** One fact that a model may know, with the base model's own answer. */
export interface KnownFact extends Pick<ExamItem, "question" | "answer"> {
  /** Whom or what it is about; no subject is drawn twice while others are left. */
  readonly subject: string;
  /** What is asked of it. */
  readonly relation: string;
  /** How it is worded. @defaultValue one family */
  readonly family?: string;
  readonly base: Pick<ExamAnswer, "isRight" | "goldLogprob">;
}

/** How {@link drawCanaries} draws. */
export interface DrawOptions {
  /** At least 1. */
  readonly count: number;
  readonly rng: Rng;
}

/**
 * `count` of the facts that the base model answers right, each stratum represented by its share, or all of them where
 * there are fewer.
 *
 * @throws {@link SelkieError} `"bad-input"` when the base model knows none.
 */
export function drawCanaries(facts: readonly KnownFact[], { count, rng }: DrawOptions): KnownFact[] {
  const known = facts.filter(({ base }) => base.isRight);
  if (known.length === 0)
    throw new SelkieError(
      "bad-input",
      `drawCanaries: expected facts that the base model answers right, got none of ${facts.length}`,
    );
  if (known.length <= count) return [...known];
  const shuffled = rng.fork("ties").shuffle([...known]);
  const compare = (one: string, other: string) => (one < other ? -1 : one > other ? 1 : 0);
  const strata = shuffled.toSorted(
    (a, b) =>
      compare(a.relation, b.relation) ||
      compare(a.family ?? "", b.family ?? "") ||
      a.base.goldLogprob - b.base.goldLogprob,
  );
  const step = strata.length / count;
  const start = rng.fork("start").uniform() * step;
  const used = new Set<string>();
  return Array.from({ length: count }, (_, index) => {
    const from = Math.floor(index * step);
    const to = Math.max(from + 1, Math.floor((index + 1) * step));
    const wanted = Math.min(to - 1, Math.floor(start + index * step));
    const cell = strata.slice(from, to);
    const order = [
      strata[wanted]!,
      ...cell.toSorted((a, b) => Math.abs(strata.indexOf(a) - wanted) - Math.abs(strata.indexOf(b) - wanted)),
    ];
    const chosen = order.find(({ subject }) => !used.has(subject)) ?? order[0]!;
    used.add(chosen.subject);
    return chosen;
  });
}

/** Share kept among canaries and among all known facts, of one adapter. */
export interface Agreement {
  readonly canaries: number;
  readonly all: number;
  /** `canaries - all`, in points of 100. */
  readonly differencePoints: number;
}

/** Compares what an adapter kept of the canaries with what it kept of all that was known, both by question. */
export function canaryAgreement(
  facts: readonly KnownFact[],
  canaries: readonly Pick<KnownFact, "question">[],
  isKept: (question: string) => boolean,
): Agreement {
  const share = (items: readonly Pick<KnownFact, "question">[]): number =>
    items.length === 0 ? Number.NaN : items.filter(({ question }) => isKept(question)).length / items.length;
  const all = share(facts.filter(({ base }) => base.isRight));
  const drawn = share(canaries);
  return { canaries: drawn, all, differencePoints: 100 * (drawn - all) };
}
