/**
 * @file From rewards to what the policy learns from: completions with weights, or pairs of completions. A candidate that
 * is a union of several completions counts as all of them.
 */
import { digestOf } from "../../registry/index.ts";
import { mean } from "../../util/index.ts";
import type { DomainEdit, DomainTask } from "../domain.ts";
import type { SourceEdit } from "../gate/screen.ts";
import { advantages, preferencePairs, rankEdits, selectAboveBase, selectTop } from "../rewards/selection.ts";
import type { WrittenEdit } from "../rewards/trials.ts";
import type { EditCandidate, Expectation } from "./expectation.ts";
import type { PolicyObjective } from "./settings.ts";

/** Completions that count as one example. */
export interface KeptExample {
  readonly passage: number;
  readonly edit: number;
  readonly completions: readonly DomainEdit[];
  readonly weight: number;
}

/** A better and a worse candidate of one passage. */
export interface KeptPair {
  readonly chosen: KeptExample;
  readonly rejected: KeptExample;
}

/** What an M-step trains on. */
export type Kept =
  | { readonly kind: "examples"; readonly examples: readonly KeptExample[] }
  | { readonly kind: "pairs"; readonly pairs: readonly KeptPair[] };

/** An edit that the policy was drawn towards, with its passage: what a record of the policy keeps. */
export interface LearnedEdit extends SourceEdit {
  /** As they were written; several where a candidate is a union. */
  readonly edits: readonly WrittenEdit[];
}

/** What a round's policy was made from. */
export interface LearnedRound {
  /** All passages of the round, with the SHA-256 of their text as it was learned. */
  readonly passages: readonly { readonly name: string; readonly sha256: string }[];
  readonly edits: readonly LearnedEdit[];
}

/** Examples the policy was drawn towards. */
export const keptExamples = (kept: Kept): readonly KeptExample[] =>
  kept.kind === "pairs" ? kept.pairs.map(({ chosen }) => chosen) : kept.examples;

/** The passages, and the edits that were kept; the passage itself, which is trained on beside them, is no claim of theirs. */
export function describeLearned(
  tasks: readonly DomainTask[],
  candidates: readonly (readonly EditCandidate[])[],
  kept: Kept,
): LearnedRound {
  const passages = tasks.map(({ source }) => ({ name: source.id, sha256: digestOf(source.context) }));
  const edits = keptExamples(kept).map(({ passage, edit, completions }) => {
    const { id, title, context } = tasks[passage]!.source;
    const bare = candidates[passage]![edit]!.documents.map((document) =>
      title !== "" && document.startsWith(`${title}\n`) ? document.slice(title.length + 1) : document,
    );
    return {
      id,
      context: title === "" ? context : `${title}\n${context}`,
      documents: bare.filter((document) => document !== context),
      edits: completions.map(({ kind, text }) => ({ kind, text })),
    };
  });
  return { passages, edits };
}

/** What there is to choose from. */
export type Choice = Pick<Expectation, "candidates" | "trials" | "rewards">;

/** The same order as the rewards, with ties broken by the mean log-probability of the gold answers: 0 is the best. */
function places({ rewards, trials }: Choice): number[][] {
  return rewards.map((row, passage) => {
    const logprobs = trials[passage]!.edits.map((edit) => mean(edit.trials.map(({ goldLogprob }) => goldLogprob)));
    const order = rankEdits(row).sort((a, b) => row[b]! - row[a]! || logprobs[b]! - logprobs[a]! || 0 || a - b);
    return row.map((_, edit) => order.indexOf(edit));
  });
}

const exampleOf = (
  candidates: readonly (readonly EditCandidate[])[],
  passage: number,
  edit: number,
  weight = 1,
): KeptExample => ({ passage, edit, completions: candidates[passage]![edit]!.members, weight });

/**
 * Chooses by the objective. Passages whose candidates are all worth nothing may contribute nothing.
 *
 * @param baseScores - What changing nothing is worth, one per passage.
 */
export function choose(objective: PolicyObjective, found: Choice, baseScores: readonly number[]): Kept {
  switch (objective.kind) {
    case "rest-em":
      return { kind: "examples", examples: chooseBest(objective, found, baseScores) };
    case "preference":
      return { kind: "pairs", pairs: choosePairs(objective.minGap, found) };
    case "advantage":
      return { kind: "examples", examples: weighAll(objective, found) };
  }
}

function chooseBest(
  { keep, aboveBase }: Extract<PolicyObjective, { kind: "rest-em" }>,
  found: Choice,
  baseScores: readonly number[],
): KeptExample[] {
  const top = selectTop(keep)(
    places(found).map((row) => row.map((place) => -place)),
    baseScores,
  );
  const isWorth = selectAboveBase(found.rewards, baseScores);
  return top.flatMap((row, passage) =>
    [...row.keys()]
      .filter((edit) => row[edit] === 1 && (!aboveBase || isWorth[passage]![edit] === 1))
      .map((edit) => exampleOf(found.candidates, passage, edit)),
  );
}

function choosePairs(minGap: number, { rewards, candidates }: Choice): KeptPair[] {
  return preferencePairs(rewards, { minGap }).map(({ passage, chosen, rejected }) => ({
    chosen: exampleOf(candidates, passage, chosen),
    rejected: exampleOf(candidates, passage, rejected),
  }));
}

/** Weights have mean 1, so that a learning rate means the same as for other objectives. */
function weighAll(
  { temperature, maxWeight }: Extract<PolicyObjective, { kind: "advantage" }>,
  { rewards, candidates }: Choice,
): KeptExample[] {
  const gains = advantages(rewards, []);
  const spread = Math.sqrt(mean(gains.flat().map((gain) => gain ** 2)));
  if (spread === 0) return []; // nothing to tell the candidates apart by
  const weights = gains.map((row) => row.map((gain) => Math.min(maxWeight, Math.exp(gain / spread / temperature))));
  const scale = 1 / mean(weights.flat());
  return weights.flatMap((row, passage) =>
    row.map((weight, edit) => exampleOf(candidates, passage, edit, weight * scale)),
  );
}
