/** @file What experiments on the outer loop's policies share: the runs they come from, opened or made. */
import type { Command } from "commander";
import type { LearnReport, LearnSettings, PolicyRun, PolicyStudy } from "../../adapt/index.ts";
import { parseCount } from "../verb.ts";
import type { ExperimentOptions, ExperimentRoom } from "./frame.ts";

/** Options of experiments on policies. */
export interface PolicyOptions extends ExperimentOptions {
  readonly seeds: number;
  readonly rounds: number;
  readonly passages: number;
}

/** Adds the options of {@link PolicyOptions}. */
export const addPolicyOptions = (command: Command): Command =>
  command
    .option("--seeds <n>", "runs of the outer loop, each with a seed of its own", parseCount, 3)
    .option("--rounds <n>", "rounds of each run", parseCount, 2)
    .option("--passages <n>", "passages of one round", parseCount, 50);

/** A study with the runs of the outer loop that it is about. */
export interface StudyRuns {
  readonly study: PolicyStudy;
  readonly settings: LearnSettings;
  /** One per seed. */
  readonly reports: readonly LearnReport[];
}

/** A study whose policies `selkie learn knowledge` makes, or has made already. */
export async function studyPolicies(room: ExperimentRoom<PolicyOptions>): Promise<StudyRuns> {
  const { defaultLearnSettings } = await import("../../adapt/index.ts");
  const { options, templates, canaries, heldOut, store, signal, onEvent } = room;
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
  const study: PolicyStudy = {
    ...{ modelDirectory: options.model, open: room.open, innerLoop: settings.innerLoop },
    ...{ templates, canaries, passages: heldOut, runs, store, signal, onEvent },
  };
  return { study, settings, reports };
}
