/** @file Tables of the comparison at equal cost. */
import { mean } from "../../util/index.ts";
import { namesOf, type OuterCost, type SpendingArm, type SpendingFindings } from "./equal-compute.ts";
import {
  type Cell,
  type Column,
  differenceOver,
  meanOfMeasured,
  meanOver,
  type ResultTable,
  type SeedTable,
  type TableRow,
} from "./table.ts";

/** What the tables are about. */
export interface SpendingTables {
  readonly findings: readonly SpendingFindings[];
  /** One per run of the outer loop. */
  readonly costs: readonly OuterCost[];
  readonly numRounds: number;
}

/** All tables of the experiment. */
export function tabulateEqualCompute(args: SpendingTables): ResultTable[] {
  const names = namesOf(args.numRounds);
  return [
    budgetTable(args, "atRound", names.round, `At the tokens of the edit of round ${args.numRounds}`),
    budgetTable(args, "atUntrained", names.untrained, "At the tokens of the untrained policy's edit"),
    sampleTable(args),
  ];
}

type Part = "atRound" | "atUntrained" | "samples";

/** The same arm of every seed. */
const armOf = (findings: readonly SpendingFindings[], part: Part, name: string): SpendingArm[] =>
  findings.map((finding) => finding[part].find((arm) => arm.name === name)!);

const accuracyOf = (arms: readonly SpendingArm[]): SeedTable =>
  arms.map(({ passages }) => passages.map(({ score }) => score.accuracy));

const tokensOf = (arms: readonly SpendingArm[]): number =>
  mean(arms.map(({ passages }) => mean(passages.map(({ numTokens }) => numTokens))));

const keptOf = (arms: readonly SpendingArm[]): number | null =>
  meanOfMeasured(arms.flatMap(({ passages }) => passages.map(({ score }) => score.kept)));

const over = (arms: readonly SpendingArm[], reference: readonly SpendingArm[]): Cell =>
  arms[0]!.name === reference[0]!.name
    ? null
    : differenceOver(accuracyOf(arms), accuracyOf(reference), `${arms[0]!.name} over ${reference[0]!.name}`);

function sizeOf(findings: readonly SpendingFindings[]): string {
  const seeds = findings.length === 1 ? "one seed" : `${findings.length} seeds`;
  return `${findings[0]!.samples[0]!.passages.length} held-out passages, ${seeds}; 95 % bootstraps over seeds and passages at once, differences paired`;
}

const shared: readonly Column[] = [
  { name: "trained on", unit: "number" },
  { name: "new answers right", unit: "percent" },
];

/** Competitors at the tokens of one arm, passage by passage. */
function budgetTable({ findings }: SpendingTables, part: Part, reference: string, title: string): ResultTable {
  const rows = findings[0]![part].map(({ name, base }): TableRow => {
    const arms = armOf(findings, part, name);
    const updates = mean(arms.flatMap(({ passages }) => passages.map(({ score }) => score.numSteps)));
    return {
      name,
      cells: [
        base,
        meanOver(accuracyOf(arms), name),
        over(arms, armOf(findings, part, reference)),
        keptOf(arms),
        updates,
        tokensOf(arms),
      ],
    };
  });
  return {
    title,
    caption: `${sizeOf(findings)}. One adapter for each passage. Every arm is trained for as many updates as bring its tokens nearest to those of “${reference}” of the same passage, the learning rate falling to 0 over these. Tokens are the rows really computed.`,
    columns: [
      ...shared,
      { name: `over ${reference}`, unit: "points" },
      { name: "old answers kept", unit: "percent" },
      { name: "updates", unit: "number" },
      { name: "tokens", unit: "number" },
    ],
    rows,
    drawn: null,
  };
}

/** More samples in place of reinforcement. */
function sampleTable({ findings, costs, numRounds }: SpendingTables): ResultTable {
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
        over(arms, armOf(findings, "samples", names.untrained)),
        over(arms, armOf(findings, "samples", names.round)),
        keptOf(arms),
        numEdits,
        asks ? "yes" : "no",
        tokens,
        base === "untrained" ? tokens : tokens + share,
      ],
    };
  });
  return {
    title: "More samples instead of reinforcement",
    caption: `${sizeOf(findings)}. The outer loop trained ${Math.round(mean(costs.map(({ trialTokens }) => trialTokens)) / 1000)}k tokens in trials and at most ${Math.round(mean(costs.map(({ updateTokens }) => updateTokens)) / 1000)}k in updates of the policy: ${Math.round(share)} for each of these ${numPassages} passages, which is what the last column adds. It is paid once; more passages make it smaller.`,
    columns: [
      ...shared,
      { name: "over one untrained edit", unit: "points" },
      { name: `over one edit of round ${numRounds}`, unit: "points" },
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
