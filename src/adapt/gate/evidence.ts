/** @file How much a decision rests on: too few questions, canaries or tokens, or a figure that is no number, let nothing through. */
import type { Measurement } from "./measurement.ts";
import type { EvidenceThresholds } from "./thresholds.ts";

const tooFew = (found: number, least: number, what: string): string[] =>
  found >= least ? [] : [`too little was measured: ${found} ${what}, at least ${least} are needed`];

/** What is missing in an examination of an adapter, or of a policy; scaling down mends none of it. */
export function evidenceGaps(
  measured: Measurement,
  { evidence }: { readonly evidence: EvidenceThresholds },
  kind: "adapter" | "policy" = "adapter",
): string[] {
  const { numQuestions, numKnown, numKlTokens, gain } = measured;
  const asked =
    kind === "adapter"
      ? tooFew(numQuestions, evidence.minQuestions, "questions asked about what was learned (--questions gives more)")
      : gain === null
        ? []
        : tooFew(numQuestions, evidence.minHeldOut, "held-out passages (--held-out-limit)");
  return [
    ...asked,
    ...tooFew(numKnown, evidence.minKnown, "canaries that the base answers (selkie registry seal gives others)"),
    ...tooFew(numKlTokens, evidence.minKlTokens, "tokens to measure the divergence on"),
    ...brokenFigures(measured),
  ];
}

/** Figures that are no number. `null` says that there was nothing to measure, which the counts show. */
function brokenFigures({ before, after, gain, keptLow, klNats }: Measurement): string[] {
  const figures = {
    before,
    after,
    "gain.mean": gain?.mean,
    "gain.low": gain?.low,
    "gain.high": gain?.high,
    keptLow,
    klNats,
  };
  return Object.entries(figures)
    .filter(([, value]) => value !== null && value !== undefined && !Number.isFinite(value))
    .map(([name, value]) => `a figure is no number: ${name} is ${value}`);
}
