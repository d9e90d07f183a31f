/**
 * @file Looks at a self-edit and its passage before anything is measured: does the edit say what the passage says, and
 * does either of them speak to the model instead of about its subject? Words are compared, nothing is understood: what
 * the comparison catches is left out of training or put aside for a person, and `docs/leash.md` says how much it misses.
 *
 * `support` here is not the `faithfulness` of `src/adapt/rewards/proxy.ts`. A gate judges one edit against its own passage and
 * nothing else: were other edits let into the judgement, whoever writes those could move it.
 */
import { claimsOf } from "./claims.ts";
import { findInjections } from "./injections.ts";
import { type Doubt, doubtOf, readPassage } from "./support.ts";
import { contentOf } from "./words.ts";

export { findInjections } from "./injections.ts";
export type { Doubt, DoubtKind } from "./support.ts";

/** A passage and what was trained on for it. */
export interface SourceEdit {
  /** Of the passage. */
  readonly id: string;
  readonly context: string;
  /** Training documents made from the edit, the passage itself left out. */
  readonly documents: readonly string[];
}

/** How much of an edit its own passage holds. */
export interface Support {
  /** Share of the edit's content words and numbers that the passage contains, in [0, 1]; 1 for an empty edit. */
  readonly share: number;
  readonly numClaims: number;
  /** Sentences that the passage does not bear out; a question and its answer are one. */
  readonly unsupported: readonly string[];
  /** What is wrong with each of them, in the same order. */
  readonly doubts?: readonly Doubt[];
}

/** The findings about one passage and its edit. */
export interface Screening {
  readonly id: string;
  readonly support: Support;
  /** Places that address the model, each with the text around it. */
  readonly injections: readonly string[];
}

/** Compares what an edit says with what its passage says. */
export function measureSupport(source: Pick<SourceEdit, "context" | "documents">): Support {
  const passage = readPassage(source.context);
  const unique = new Map(source.documents.flatMap(claimsOf).map((claim) => [claim.text, claim]));
  const claims = [...unique.values()];
  const doubts = claims.flatMap((claim) => doubtOf(passage, claim) ?? []);
  const words = claims.flatMap((claim) => contentOf(claim.words));
  const isHeld = words.filter(
    ({ stem, plain, isRelation }) => isRelation || passage.stems.has(stem) || passage.plain.has(plain),
  );
  return {
    share: words.length === 0 ? 1 : isHeld.length / words.length,
    numClaims: claims.length,
    unsupported: doubts.map(({ claim }) => claim),
    doubts,
  };
}

/** Screens each passage with its edit. */
export function screenSources(sources: readonly SourceEdit[]): Screening[] {
  return sources.map(({ id, context, documents }) => ({
    id,
    support: measureSupport({ context, documents }),
    injections: [...new Set([context, ...documents].flatMap(findInjections))],
  }));
}
