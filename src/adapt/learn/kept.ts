/**
 * @file From rewards to what the policy learns from: completions with weights, or pairs of completions. A candidate that
 * is a union of several completions counts as all of them.
 */
import { mean } from "../../util/index.ts";
import type { SampledEdit } from "../propose.ts";
import { bestOf, type EditCandidate, type Expectation } from "./expectation.ts";
import type { PolicyObjective } from "./settings.ts";

/** Completions that count as one example. */
export interface KeptExample {
  readonly passage: number;
  readonly edit: number;
  readonly completions: readonly SampledEdit[];
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

/** Rewards with ties broken by the mean log-probability of the gold answers, then by order. */
function rank({ rewards, trials }: Expectation): readonly (readonly number[])[] {
  return rewards.map((row, passage) => {
    const logprobs = trials[passage]!.edits.map((edit) => mean(edit.trials.map(({ goldLogprob }) => goldLogprob)));
    const order = [...row.keys()].sort((a, b) => row[b]! - row[a]! || logprobs[b]! - logprobs[a]! || a - b);
    return row.map((_, edit) => -order.indexOf(edit));
  });
}

const exampleOf = (
  candidates: readonly (readonly EditCandidate[])[],
  passage: number,
  edit: number,
  weight = 1,
): KeptExample => ({ passage, edit, completions: candidates[passage]![edit]!.members, weight });

/** Chooses by the objective. Passages whose candidates are all worth nothing may contribute nothing. */
export function choose(objective: PolicyObjective, found: Expectation): Kept {
  switch (objective.kind) {
    case "rest-em":
      return { kind: "examples", examples: chooseBest(objective, found) };
    case "preference":
      return { kind: "pairs", pairs: choosePairs(objective.minMargin, found) };
    case "advantage":
      return { kind: "examples", examples: weighAll(objective, found) };
  }
}

function chooseBest(
  { keep, minReward }: Extract<PolicyObjective, { kind: "rest-em" }>,
  found: Expectation,
): KeptExample[] {
  return bestOf(rank(found), keep).flatMap((edits, passage) =>
    edits
      .filter((edit) => minReward === null || found.rewards[passage]![edit]! > minReward)
      .map((edit) => exampleOf(found.candidates, passage, edit)),
  );
}

function choosePairs(minMargin: number, found: Expectation): KeptPair[] {
  return rank(found).flatMap((row, passage) => {
    const order = bestOf([row], row.length)[0]!;
    const [best, worst] = [order[0]!, order.at(-1)!];
    const rewards = found.rewards[passage]!;
    const margin = rewards[best]! - rewards[worst]!;
    if (!(margin > 0) || margin < minMargin) return [];
    const { candidates } = found;
    return [{ chosen: exampleOf(candidates, passage, best), rejected: exampleOf(candidates, passage, worst) }];
  });
}

/** Weights have mean 1, so that a learning rate means the same as for other objectives. */
function weighAll(
  { temperature, maxWeight }: Extract<PolicyObjective, { kind: "advantage" }>,
  { rewards, candidates }: Expectation,
): KeptExample[] {
  const advantages = rewards.map((row) => row.map((reward) => reward - mean(row)));
  const spread = Math.sqrt(mean(advantages.flat().map((advantage) => advantage ** 2)));
  if (spread === 0) return []; // nothing to tell the candidates apart by
  const weights = advantages.map((row) =>
    row.map((advantage) => Math.min(maxWeight, Math.exp(advantage / spread / temperature))),
  );
  const scale = 1 / mean(weights.flat());
  return weights.flatMap((row, passage) =>
    row.map((weight, edit) => exampleOf(candidates, passage, edit, weight * scale)),
  );
}
