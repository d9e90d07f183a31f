/** @file Tables of the comparison at equal cost. */
import { mean } from "../util/index.ts";
import type { ScoreFigures } from "./arms.ts";
import { namesOf, type OuterCost, type SpendingArm, type SpendingFindings, type SpendingSet } from "./equal-compute.ts";
import {
  type Cell,
  type Column,
  differenceOver,
  differenceOverSeeds,
  meanOfMeasured,
  meanOver,
  meanOverSeeds,
  type ResultTable,
  type SeedTable,
  type TableRow,
  twoIntervals,
} from "./table.ts";

/** What the tables are about. */
export interface SpendingTables {
  /** By set of passages. */
  readonly sets: readonly SpendingSet<ScoreFigures>[];
  /** One per run of the outer loop. */
  readonly costs: readonly OuterCost[];
  readonly numRounds: number;
}

/** All tables of the experiment. */
export function tabulateEqualCompute(args: SpendingTables): ResultTable[] {
  const { numRounds, sets } = args;
  const names = namesOf(numRounds);
  return sets.flatMap((one) => {
    const suffix = sets.length === 1 ? "" : ` (${one.set})`;
    const budget = (part: Part, reference: string, what: string) => ({
      ...budgetTable(one, part, reference, numRounds),
      title: `At the ${what}${suffix}`,
    });
    return [
      budget("atUpdates", names.round, `updates of the edit of round ${numRounds}`),
      budget("atRound", names.round, `tokens of the edit of round ${numRounds}`),
      budget("atUntrained", names.untrained, "tokens of the untrained policy's edit"),
      { ...sampleTable(one, args), title: `More samples instead of reinforcement${suffix}` },
    ];
  });
}

type Part = "atUpdates" | "atRound" | "atUntrained" | "samples";

/** The same arm of every seed. */
const armOf = (
  findings: readonly SpendingFindings<ScoreFigures>[],
  part: Part,
  name: string,
): SpendingArm<ScoreFigures>[] => findings.map((finding) => finding[part].find((arm) => arm.name === name)!);

const accuracyOf = (arms: readonly SpendingArm<ScoreFigures>[]): SeedTable =>
  arms.map(({ passages }) => passages.map(({ score }) => score.accuracy));

const tokensOf = (arms: readonly SpendingArm<ScoreFigures>[]): number =>
  mean(arms.map(({ passages }) => mean(passages.map(({ numTokens }) => numTokens))));

const keptOf = (arms: readonly SpendingArm<ScoreFigures>[]): number | null =>
  meanOfMeasured(arms.flatMap(({ passages }) => passages.map(({ score }) => score.kept)));

const over = (arms: readonly SpendingArm<ScoreFigures>[], reference: readonly SpendingArm<ScoreFigures>[]): Cell =>
  arms[0]!.name === reference[0]!.name
    ? null
    : differenceOver(accuracyOf(arms), accuracyOf(reference), `${arms[0]!.name} over ${reference[0]!.name}`);

const overSeeds = (
  arms: readonly SpendingArm<ScoreFigures>[],
  reference: readonly SpendingArm<ScoreFigures>[],
): Cell => (arms[0]!.name === reference[0]!.name ? null : differenceOverSeeds(accuracyOf(arms), accuracyOf(reference)));

function sizeOf(findings: readonly SpendingFindings<ScoreFigures>[]): string {
  const seeds = findings.length === 1 ? "one seed" : `${findings.length} seeds`;
  return `${findings[0]!.samples[0]!.passages.length} held-out passages, ${seeds}`;
}

const shared: readonly Column[] = [
  { name: "trained on", unit: "number" },
  { name: "new answers right", unit: "percent" },
  { name: "t over seeds", unit: "percent" },
];

/** What is held equal. */
const costOf = (part: Part, reference: string, numRounds: number): string =>
  part === "atUpdates"
    ? `Every arm makes exactly as many optimizer updates, one document each, as the training on round ${numRounds}'s edit of the same passage and seed.`
    : `Every arm is trained for as many updates as bring its tokens nearest to those of “${reference}” of the same passage.`;

/** Competitors at the tokens of one arm, passage by passage. */
function budgetTable(
  { findings, summary }: SpendingSet<ScoreFigures>,
  part: Part,
  reference: string,
  numRounds: number,
): ResultTable {
  const rows = findings[0]![part].map(({ name, base }): TableRow => {
    const arms = armOf(findings, part, name);
    const updates = mean(arms.flatMap(({ passages }) => passages.map(({ score }) => score.numSteps)));
    return {
      name,
      cells: [
        base,
        meanOver(accuracyOf(arms), name),
        meanOverSeeds(accuracyOf(arms)),
        over(arms, armOf(findings, part, reference)),
        overSeeds(arms, armOf(findings, part, reference)),
        keptOf(arms),
        updates,
        tokensOf(arms),
      ],
    };
  });
  return {
    title: "",
    caption: `${sizeOf(findings)} (${summary}). ${twoIntervals} One adapter for each passage. ${costOf(part, reference, numRounds)} The learning rate falls to 0 over the updates made. Tokens are the rows really computed.`,
    columns: [
      ...shared,
      { name: `over ${reference}`, unit: "points" },
      { name: "over it, t over seeds", unit: "points" },
      { name: "old answers kept", unit: "percent" },
      { name: "updates", unit: "number" },
      { name: "tokens", unit: "number" },
    ],
    rows,
    drawn: null,
  };
}

/** More samples in place of reinforcement. */
function sampleTable({ findings }: SpendingSet<ScoreFigures>, { costs, numRounds }: SpendingTables): ResultTable {
  const names = namesOf(numRounds);
  const numPassages = findings[0]!.samples[0]!.passages.length;
  const inAll = mean(costs.map(({ trialTokens, updateTokens }) => trialTokens + updateTokens));
  const share = inAll / numPassages;
  const rows = findings[0]!.samples.map(({ name, base, numEdits, asks }): TableRow => {
    const arms = armOf(findings, "samples", name);
    const tokens = tokensOf(arms);
    return {
      name,
      cells: [
        base,
        meanOver(accuracyOf(arms), name),
        meanOverSeeds(accuracyOf(arms)),
        over(arms, armOf(findings, "samples", names.untrained)),
        over(arms, armOf(findings, "samples", names.round)),
        overSeeds(arms, armOf(findings, "samples", names.round)),
        keptOf(arms),
        numEdits,
        asks ? "yes" : "no",
        tokens,
        base === "untrained" ? tokens : tokens + share,
      ],
    };
  });
  return {
    title: "",
    caption: `${sizeOf(findings)}. ${twoIntervals} The outer loop trained ${Math.round(mean(costs.map(({ trialTokens }) => trialTokens)) / 1000)}k tokens in trials and at most ${Math.round(mean(costs.map(({ updateTokens }) => updateTokens)) / 1000)}k in updates of the policy: ${Math.round(share)} for each of these ${numPassages} passages, which is what the last column adds. It is paid once; more passages make it smaller.`,
    columns: [
      ...shared,
      { name: "over one untrained edit", unit: "points" },
      { name: `over one edit of round ${numRounds}`, unit: "points" },
      { name: "over it, t over seeds", unit: "points" },
      { name: "old answers kept", unit: "percent" },
      { name: "edits written", unit: "number" },
      { name: "needs questions", unit: "number" },
      { name: "tokens per passage", unit: "number" },
      { name: "with the outer loop's share", unit: "number" },
    ],
    rows,
    drawn: "new answers right",
    notes: [
      "Choosing by questions needs questions about the passage, with their answers, at the time it is learned (other wordings than those reported); the policies of the outer loop needed them for their own passages only. The proxy and the unions need none.",
    ],
  };
}
