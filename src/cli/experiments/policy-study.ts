/** @file What experiments on the outer loop's policies share: the runs they come from, opened or made. */
import type { Command } from "commander";
import type { LearnReport, LearnSettings } from "../../adapt/index.ts";
import type { LoopTrials, PolicyRun, PolicyStudy } from "../../lab/index.ts";
import { parseCount } from "../verb.ts";
import type { Experiment, ExperimentOptions, ExperimentRoom } from "./experiment.ts";

/** Options of experiments on policies. */
export interface PolicyOptions extends ExperimentOptions {
  readonly seeds: number;
  readonly rounds: number;
  readonly passages: number;
}

/** Adds the options of {@link PolicyOptions}. */
export const addPolicyOptions = (command: Command): Command =>
  command
    .option(
      "--seeds <n>",
      "runs of the outer loop, each with a seed of its own; at least 2 for an interval over them",
      parseCount,
      5,
    )
    .option("--rounds <n>", "rounds of each run", parseCount, 2)
    .option("--passages <n>", "passages of one round", parseCount, 50);

/** The two sets of the headline, or the passages of a file as one set. */
export const namingSetsOf: NonNullable<Experiment<PolicyOptions>["sets"]> = async ({ people, split }, heldOut) => {
  const { namingSets } = await import("../../lab/index.ts");
  if (people !== null) return namingSets(people, split === "test" ? "test" : "validation");
  return [{ name: "passages", summary: "as they are in the file", split: "validation", passages: heldOut }];
};

/** The trials behind the rewards of every run. */
export async function rewardsOf(
  { options }: ExperimentRoom<PolicyOptions>,
  { randomNumbers }: LearnSettings,
  reports: readonly LearnReport[],
): Promise<{ readonly loops: readonly LoopTrials[] }> {
  const { trialsOfLoop } = await import("../../lab/index.ts");
  return { loops: reports.map((report, index) => trialsOfLoop(report, options.seed + index, randomNumbers)) };
}

/** A study with the runs of the outer loop that it is about. */
export interface StudyRuns {
  /** Without passages: a set brings them. */
  readonly study: Omit<PolicyStudy, "passages" | "traps">;
  readonly settings: LearnSettings;
  /** One per seed. */
  readonly reports: readonly LearnReport[];
}

/** A study whose policies `selkie learn knowledge` makes, or has made already. */
export async function studyPolicies(room: Omit<ExperimentRoom<PolicyOptions>, "sets">): Promise<StudyRuns> {
  const { defaultLearnSettings } = await import("../../adapt/index.ts");
  const { options, templates, canaries, store, signal, onEvent } = room;
  const settings: LearnSettings = {
    ...defaultLearnSettings,
    numRounds: options.rounds,
    passagesPerRound: options.passages,
  };
  const runs: PolicyRun[] = [];
  const reports: LearnReport[] = [];
  for (let seed = options.seed; seed < options.seed + options.seeds; seed++) {
    const { policies, report } = await room.learn(settings, seed);
    runs.push({ seed, policies });
    reports.push(report);
  }
  const study = {
    ...{ modelDirectory: options.model, open: room.open, innerLoop: settings.innerLoop },
    ...{ templates, canaries, runs, store, signal, onEvent },
  };
  return { study, settings, reports };
}
