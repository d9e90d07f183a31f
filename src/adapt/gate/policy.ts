/**
 * @file The gate of policies. A policy is judged as a writer by its held-out gain, which the run that made it measured,
 * and as a model by what the grader measures: canaries kept and divergence from the base. It differs from the
 * gate of adapters (`gate.ts`) in three ways:
 *  1. a gain is asked for where there were held-out passages, and by default there must be some;
 *  2. of many edits some invent: a share of them may, but none may carry text that speaks to the model;
 *  3. nothing is rescaled: its weights are whole, not an adapter beside them.
 */
import { evidenceGaps } from "./evidence.ts";
import {
  describeAccepted,
  describeLoosened,
  type GateDecision,
  type GateInputs,
  harms,
  inventions,
  orders,
  overruns,
  percent,
  shortfalls,
} from "./gate.ts";
import { loosenedThresholds } from "./looseness.ts";
import type { Measurement } from "./measurement.ts";
import type { GatePolicy } from "./thresholds.ts";

/** What is known of a policy before it is examined. */
export interface PolicyGateInputs extends GateInputs {
  /** Policies it was trained from that were quarantined: whatever was wrong with them is in its weights. */
  readonly suspectParents: readonly string[];
}

/** Reasons to put a policy aside for a person. */
export function policySuspicions({ screenings, suspectParents }: PolicyGateInputs, gate: GatePolicy): string[] {
  const found = [
    ...suspectParents.map((id) => `it was trained from policy ${id.slice(0, 12)}, which is quarantined`),
    ...screenings.flatMap(orders),
  ];
  const invented = screenings.flatMap((screening) =>
    inventions(screening, { thresholds: { ...gate.thresholds, maxUnsupported: gate.policies.maxUnsupported } }).slice(
      0,
      1,
    ),
  );
  const { maxUnfaithful } = gate.policies;
  if (invented.length > maxUnfaithful * screenings.length)
    found.push(
      `${invented.length} of the ${screenings.length} edits it learned from are not in their passages, at most ${percent(maxUnfaithful)} may be so; such as ${invented[0]}`,
    );
  return found;
}

/** Decides about a policy; `measure` examines it and is called at most once. */
export async function decidePolicyGate(
  gate: GatePolicy,
  inputs: PolicyGateInputs,
  measure: () => Promise<Measurement>,
): Promise<GateDecision> {
  const { suspectParents: _, ...shown } = inputs;
  const examinations: Measurement[] = [];
  const loosened = loosenedThresholds(gate);
  const decide = (outcome: GateDecision["outcome"], reasons: readonly string[]): GateDecision => ({
    ...shown,
    outcome,
    scale: outcome === "promote" ? 1 : null,
    reasons,
    examinations,
    policy: gate,
    loosened,
  });
  const suspicious = policySuspicions(inputs, gate).filter((reason) => !inputs.accepted?.includes(reason));
  if (suspicious.length > 0) return decide("quarantine", suspicious);
  const excess = overruns(inputs.usage, gate, "policy");
  if (excess.length > 0) return decide("reject", excess);
  const measured = await measure();
  examinations.push(measured);
  const missing = measured.gain === null ? unmeasured(gate) : shortfalls(measured, { thresholds: gate.policies });
  const harm = harms(measured, { thresholds: { ...gate.policies, maxLost: 1, minNearKept: 0 } });
  const reasons = [...evidenceGaps(measured, gate, "policy"), ...missing, ...harm];
  if (reasons.length > 0) return decide("reject", reasons);
  return decide("promote", [describePass(measured), ...describeAccepted(inputs), ...describeLoosened(loosened)]);
}

const unmeasured = ({ policies }: GatePolicy): string[] =>
  policies.requireHeldOut ? ["its edits were not examined on held-out passages; learn with --held-out"] : [];

function describePass({ gain, before, after, numKept, numKnown, klNats }: Measurement): string {
  const points = (value: number) => (100 * value).toFixed(1);
  const worth =
    gain === null
      ? "its edits were not examined on held-out passages"
      : `${percent(after ?? 0)} right after one edit of held-out passages, ${percent(before ?? 0)} before: ${points(gain.mean)} points [${points(gain.low)}, ${points(gain.high)}]`;
  return `${worth}; ${numKept} of ${numKnown} known answers kept; ${klNats.toFixed(3)} nats per token from the base`;
}
