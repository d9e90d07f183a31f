/** @file `selkie experiment rewards`: rewards, ways of spending trials and policy updates at equal inner-loop cost. */

import type { Command } from "commander";
import type { ReliabilityResult, ResultTable, RewardComparison } from "../../lab/index.ts";
import { countOf } from "../../util/index.ts";
import { parseCount } from "../verb.ts";
import { cellOf } from "./cells.ts";
import type { Experiment, ExperimentOptions } from "./experiment.ts";

interface RewardsOptions extends ExperimentOptions {
  readonly seeds: number;
  readonly passages: number;
  readonly edits: number;
  readonly repetitions: number;
}

/** Asked in every trial of the shared plan, for the reward that counts what was forgotten. */
const numTrialCanaries = 12;

type Sizes = Pick<RewardsOptions, "passages" | "edits" | "repetitions" | "seeds">;

/** What the tables are computed from; the reliabilities are in it as they were measured. */
interface RewardsRecord {
  readonly sizes: Sizes;
  readonly numHeldOut: number;
  readonly found: RewardComparison;
}

/** The comparison of rewards. */
export const rewardsExperiment: Experiment<RewardsOptions> = {
  name: "rewards",
  summary: "rewards, ways of spending trials and policy updates at equal inner-loop cost, with their reliability",
  addOptions(command: Command): void {
    command
      .option("--seeds <n>", "seeds, from --seed on", parseCount, 3)
      .option(
        "--passages <n>",
        "validation people of a round; one arm takes --repetitions times as many",
        parseCount,
        50,
      )
      .option("--edits <n>", "self-edits of each passage", parseCount, 5)
      .option("--repetitions <n>", "trainings of each self-edit, at least 2", parseCount, 3);
  },
  config: ({ seeds, passages, edits, repetitions }) => ({ seeds, passages, edits, repetitions, numTrialCanaries }),
  async run({ options, templates, canaries, heldOut, open, store, directoryOf, signal, onEvent }) {
    const { defaultLearnSettings } = await import("../../adapt/index.ts");
    const { compareRewards } = await import("../../lab/index.ts");
    const { almanacPassages } = await import("../../tasks/index.ts");
    const { roundPeople } = await import("../people.ts");
    const { SelkieError } = await import("../../util/index.ts");
    const { passages: numPassages, edits: numEdits, repetitions, seeds, seed } = options;
    if (repetitions < 2)
      throw new SelkieError(
        "bad-option",
        `--repetitions: expected at least 2, to tell signal from luck, got ${repetitions}`,
      );
    const settings = defaultLearnSettings;
    const found = await compareRewards({
      modelDirectory: options.model,
      openPolicy: open,
      passages: almanacPassages(roundPeople()),
      seeds: Array.from({ length: seeds }, (_, index) => seed + index),
      ...{ numPassages, numEdits, repetitions, numTrialCanaries },
      ...{ templates, canaries, heldOut, settings, store, directoryOf, signal, onEvent },
    });
    const sizes = { passages: numPassages, edits: numEdits, repetitions, seeds };
    return { record: { sizes, numHeldOut: heldOut.length, found } satisfies RewardsRecord, data: { settings } };
  },
  async tabulate({ sizes, numHeldOut, found }: RewardsRecord) {
    const statistics = await import("../../lab/index.ts");
    return { tables: [armTable(sizes, numHeldOut, found, statistics), reliabilityTable(found)] };
  },
};

type Statistics = Pick<
  typeof import("../../lab/index.ts"),
  "differenceOver" | "meanOver" | "meanOfMeasured" | "sealArmName"
>;

function armTable(
  { passages, edits, repetitions, seeds }: Sizes,
  numHeldOut: number,
  { untrained, untrainedKept, arms }: RewardComparison,
  { differenceOver, meanOver, meanOfMeasured, sealArmName }: Statistics,
): ResultTable {
  const seal = arms.find(({ name }) => name === sealArmName)!;
  return {
    title: "Rewards, trials and updates: one round each from the untrained policy",
    caption: `Right answers after one edit of the new policy, over ${countOf(seeds, "seed")} × ${countOf(numHeldOut, "held-out passage")}; 95 % crossed bootstrap intervals over seeds and passages, differences paired. A round has ${countOf(passages, "passage")} × ${countOf(edits, "edit")} × ${repetitions} repetitions unless the row says otherwise; arms without a word on trials share one and the same. ICC: share of signal in what the reward says of the edits of one passage, from one trial and from all of an edit, with intervals over passages. SEAL's own rewards have an ICC of .09 to .21 from one training and .24 to .45 from three.`,
    columns: [
      { name: "new answers right", unit: "percent" },
      { name: "over untrained", unit: "points" },
      { name: "over seal", unit: "points" },
      { name: "ICC, one trial", unit: "number", digits: 3 },
      { name: "ICC, all", unit: "number", digits: 3 },
      { name: "trials", unit: "number" },
      { name: "thousand tokens", unit: "number" },
      { name: "canary questions", unit: "number" },
      { name: "edits written", unit: "number" },
      { name: "updates", unit: "number" },
      { name: "right after the edits learned from", unit: "percent" },
      { name: "old answers kept by the policy", unit: "percent" },
    ],
    rows: [
      {
        name: "untrained",
        cells: [
          meanOver(untrained, "untrained"),
          null,
          differenceOver(untrained, seal.scores, "untrained"),
          ...[null, null, 0, 0, 0, 0, 0, null],
          meanOfMeasured(untrainedKept),
        ],
      },
      ...arms.map(({ name, scores, reliability, cost, chosenAccuracy, policyKept }) => ({
        name,
        cells: [
          meanOver(scores, name),
          differenceOver(scores, untrained, name),
          name === sealArmName ? null : differenceOver(scores, seal.scores, `${name}, seal`),
          cellOf(reliability?.ofOne),
          cellOf(reliability?.ofAll),
          cost.numTrials,
          cost.numTokens / 1000,
          cost.numCanaryQuestions,
          cost.numWritten,
          cost.numUpdates,
          chosenAccuracy,
          meanOfMeasured(policyKept),
        ],
      })),
    ],
    drawn: "new answers right",
    notes: [
      "Right after the edits learned from: accuracy on the selection questions that rewards are made of, mean of the plan's trials; where the arm chose by these very trials it is optimistic. Several arms keep more than one edit of a passage and so make more updates. The reward `shrunk` needs several trials; the reliability shown is that of the accuracy it is made of. The proxy reads the text and is always of one opinion, so it has no ICC. Equal rewards are told apart by the gold log-probability of the trials an arm sees. Learning rates of the updates are those of ReST-EM, not tuned for each.",
      "The random edit is the control: an arm that does no better than it owes nothing to its reward.",
    ],
  };
}

const reliabilityTable = ({ reliability }: RewardComparison): ResultTable => ({
  title: "Why the reward is reliable here, and when it is not",
  caption:
    "Trials of the untrained policy's edits. Spread: standard deviation, within a passage, of what its edits are worth and of one trial's luck, in the reward's own unit (nats per token, or share of right answers). Edits of mixed kinds differ by their kind as well; the rows of one kind say what is left without that. SEAL's conditions are five questions per passage, accuracy, independent random numbers and edits of one kind: the last row.",
  columns: [
    { name: "ICC, one trial", unit: "number", digits: 3 },
    { name: "ICC, all", unit: "number", digits: 3 },
    { name: "spread of edits", unit: "number", digits: 3 },
    { name: "spread of luck", unit: "number", digits: 3 },
    { name: "questions", unit: "number" },
    { name: "passages", unit: "number" },
  ],
  rows: reliability.map(({ name, ofOne, ofAll, spread, numQuestions, numPassages }: ReliabilityResult) => ({
    name,
    cells: [cellOf(ofOne), cellOf(ofAll), spread.edits, spread.luck, numQuestions, numPassages],
  })),
  drawn: null,
});
