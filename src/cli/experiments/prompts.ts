/** @file `selkie experiment prompts`: each way of asking for a self-edit, untrained and after each round of the outer loop. */

import type { Command } from "commander";
import type { EditPrompt, PromptFigures, ResultTable, WriterFigures } from "../../lab/index.ts";
import { countOf } from "../../util/index.ts";
import { parseCount } from "../verb.ts";
import { cellOf } from "./cells.ts";
import type { Experiment, ExperimentOptions } from "./experiment.ts";

interface PromptsOptions extends ExperimentOptions {
  readonly passagesPerRound: number;
  readonly edits: number;
  readonly repetitions: number;
}

type Sizes = Pick<PromptsOptions, "passagesPerRound" | "edits" | "repetitions"> & { readonly numPassages: number };

/** What the tables are computed from. */
interface PromptsRecord {
  readonly sizes: Sizes;
  readonly figures: readonly PromptFigures[];
}

/** The ablation of prompts. */
export const promptsExperiment: Experiment<PromptsOptions> = {
  name: "prompts",
  summary: "each way of asking for a self-edit: untrained, after each round, and with all facts",
  addOptions(command: Command): void {
    command
      .option("--passages-per-round <n>", "validation people of each of two rounds, at most 75", parseCount, 50)
      .option("--edits <n>", "self-edits of each passage", parseCount, 5)
      .option("--repetitions <n>", "trainings of each self-edit; 2 show how reliable the reward is", parseCount, 2);
  },
  config: ({ passagesPerRound, edits, repetitions }) => ({ passagesPerRound, edits, repetitions }),
  async run({ options, templates, canaries, heldOut, about, open, store, directoryOf, signal, onEvent }) {
    const { defaultLearnSettings, selfEditKinds, uniformSchedule } = await import("../../adapt/index.ts");
    const { ablatePrompts, oracleWriter } = await import("../../lab/index.ts");
    const { almanacPassages } = await import("../../tasks/index.ts");
    const { roundPeople } = await import("../people.ts");
    const { people } = about;
    const settings = {
      ...defaultLearnSettings,
      passagesPerRound: options.passagesPerRound,
      numEdits: options.edits,
      schedule: uniformSchedule(options.edits, options.repetitions),
    };
    const figures = await ablatePrompts({
      modelDirectory: options.model,
      openPolicy: open,
      prompts: [...selfEditKinds, ...(templates.openSelfEdit === null ? [] : ["open" as const])],
      oracle: people === null ? null : (kind) => oracleWriter(people, kind),
      passages: almanacPassages(roundPeople()),
      seed: options.seed,
      ...{ templates, canaries, heldOut, settings, store, directoryOf, signal, onEvent },
    });
    const { passagesPerRound, edits, repetitions } = options;
    const sizes = { passagesPerRound, edits, repetitions, numPassages: heldOut.length };
    return { record: { sizes, figures } satisfies PromptsRecord, data: { settings } };
  },
  async tabulate({ sizes, figures }: PromptsRecord) {
    const statistics = await import("../../lab/index.ts");
    return { tables: [accuracyTable(sizes, figures, statistics), detailTable(figures)] };
  },
};

type Statistics = Pick<typeof import("../../lab/index.ts"), "differenceOver" | "meanOver">;

const nameOf = (prompt: EditPrompt): string => (prompt === "open" ? "the policy names the kind" : prompt);

function accuracyTable(
  { passagesPerRound, edits, repetitions, numPassages }: Sizes,
  figures: readonly PromptFigures[],
  { differenceOver, meanOver }: Statistics,
): ResultTable {
  return {
    title: "What a prompt is worth, before and after reinforcement",
    caption: `Share of right answers after learning one edit, over ${countOf(numPassages, "held-out passage")}; 95 % bootstrap intervals over passages, differences paired, one seed. Each row is an outer loop of its own: two rounds of ${countOf(passagesPerRound, "passage")} × ${countOf(edits, "edit")} × ${repetitions} repetitions, dense reward, ReST-EM; passages, replay and random numbers are the same in all rows. The oracle's edits state all facts and no wrong one; the untrained policy learns them. ICC: share of signal in what the reward says of the edits of one passage after one training, round 1, with an interval over passages.`,
    columns: [
      { name: "untrained", unit: "percent" },
      { name: "round 1", unit: "percent" },
      { name: "round 2", unit: "percent" },
      { name: "round 2 over untrained", unit: "points" },
      { name: "all-facts oracle", unit: "percent" },
      { name: "round 2 over oracle", unit: "points" },
      { name: "ICC, one trial", unit: "number", digits: 2 },
    ],
    rows: figures.map(({ prompt, policies, oracle, rounds }) => {
      const scores = policies.map(({ perPassage }) => [perPassage]);
      const [untrained, last] = [scores[0]!, scores.at(-1)!];
      return {
        name: nameOf(prompt),
        cells: [
          ...scores.map((score, round) => meanOver(score, `${prompt}-${round}`)),
          differenceOver(last, untrained, prompt),
          oracle && meanOver([oracle.perPassage], `${prompt}-oracle`),
          oracle && differenceOver(last, [oracle.perPassage], `${prompt}-oracle`),
          cellOf(rounds[0]!.reliability?.ofOne),
        ],
      };
    }),
    drawn: "round 2",
    notes: [
      "SEAL's own table 10 (Qwen2.5-7B, SQuAD; untrained, round 1, round 2, GPT-4.1 as writer): implications 39.7, 43.7, 47.0, 46.3; implications-long 49.3, 52.4, 54.4, 54.1; rewrite 49.4, 55.3, 55.6, 54.4; self-qa 37.3, 42.8, 48.7, 39.2; no prompt 13.8, 12.7, 18.9, 28.6.",
      "Edits of mixed kinds differ by their kind as well, edits of one kind in what they say alone: the ICC of the rows of one kind is what compares with SEAL's, whose runs have one prompt each (.09 to .21).",
    ],
  };
}

function detailTable(figures: readonly PromptFigures[]): ResultTable {
  const before = (of: (figures: WriterFigures) => number | null) => (prompt: PromptFigures) => of(prompt.policies[0]!);
  const after = (of: (figures: WriterFigures) => number | null) => (prompt: PromptFigures) =>
    of(prompt.policies.at(-1)!);
  const parts = [
    ["answers stated, untrained", "percent", before(({ coverage }) => coverage)],
    ["answers stated, round 2", "percent", after(({ coverage }) => coverage)],
    ["tokens, untrained", "number", before(({ meanTokens }) => meanTokens)],
    ["tokens, round 2", "number", after(({ meanTokens }) => meanTokens)],
    ["tokens, oracle", "number", ({ oracle }: PromptFigures) => oracle?.meanTokens ?? null],
    ["old answers kept after an edit, untrained", "percent", before(({ kept }) => kept)],
    ["kept, round 2", "percent", after(({ kept }) => kept)],
    ["kept, oracle", "percent", ({ oracle }: PromptFigures) => oracle?.kept ?? null],
    ["old answers kept by the policy", "percent", after(({ policyKept }) => policyKept)],
  ] as const;
  return {
    title: "What the edits are like",
    caption:
      "Answers stated: share of the gold answers to the held-out questions that occur in the edit (a plain edit may copy the passage, which states all of them and teaches little). Tokens: of an edit's documents, the passage among them. Old answers kept: share of what the untrained policy answered right that is right after learning an edit, and in the policy of round 2 itself.",
    columns: parts.map(([name, unit]) => ({ name, unit })),
    rows: figures.map((prompt) => ({ name: nameOf(prompt.prompt), cells: parts.map(([, , of]) => of(prompt)) })),
    drawn: null,
  };
}
