/** @file What an experiment is: a value with a name, options of its own, and a function from a room to tables. */
import type { Command } from "commander";
import type { AdaptEvent, Canaries, LearnSettings, PromptTemplates, StageStore } from "../../adapt/index.ts";
import type { Engine, EngineArithmetic } from "../../engine/index.ts";
import type { PassageSet, ResultTable } from "../../lab/index.ts";
import type { Json } from "../../registry/index.ts";
import type { SourcePassage } from "../../tasks/index.ts";
import type { LearningResult } from "../learning.ts";
import type { HeldOut } from "../people.ts";
import type { CommonOptions, VerbContext } from "../verb.ts";

/** Where figures come from. */
export interface Origin {
  readonly command: string;
  readonly machine: string;
  readonly seconds: number;
  /** Seconds by part of the work. */
  readonly stages?: Readonly<Record<string, number>>;
  /** SHA-256 of the model. */
  readonly model?: string;
  /** Of which split the people are. */
  readonly split?: string;
}

/** SVG by suffix of the file's name, from what a results file holds; `""` is the main picture. */
export type Draw = (saved: SavedResults) => Readonly<Record<string, string>>;

/** What pictures need of a results file; experiments with pictures of their own read more of it. */
export interface SavedResults {
  readonly tables: readonly ResultTable[];
}

/** Options of every experiment. */
export interface ExperimentOptions extends CommonOptions {
  readonly model: string;
  readonly heldOut: string;
  readonly heldOutLimit?: number;
  /** Read the test people instead of validation people. */
  readonly testSet?: boolean;
  /** Compute the tables from the record beside them and nothing else. */
  readonly recompute?: boolean;
  readonly seed: number;
  readonly out: string;
  readonly runs: string;
  readonly fresh?: boolean;
  readonly precision?: string;
}

/** What an experiment works with. */
export interface ExperimentRoom<Options extends ExperimentOptions = ExperimentOptions> extends VerbContext {
  readonly options: Options;
  /** How the models that are opened compute. */
  readonly arithmetic: EngineArithmetic;
  /** How the model in `options.model` is asked. */
  readonly templates: PromptTemplates;
  readonly canaries: Canaries;
  /** Passages that the figures are about: of people whom no round learns from, where they are the Almanac's. */
  readonly heldOut: readonly SourcePassage[];
  /** Who they are about, and of which split. */
  readonly about: Omit<HeldOut, "passages">;
  /** The sets of the experiment; empty for one without. */
  readonly sets: readonly PassageSet[];
  /** Finished stages of this very experiment. */
  readonly store: StageStore;
  /** A directory of this very experiment for checkpoints, by name. */
  readonly directoryOf: (name: string) => string;
  readonly onEvent: (event: AdaptEvent) => void;
  /** The caller disposes of the model. @defaultValue the model in `options.model` */
  open(directory?: string): Promise<Engine>;
  /**
   * A run of `selkie learn knowledge` on the Almanac's people for rounds, which examines nobody held out: that is the
   * experiment's business. A finished run of the same settings is reused, whichever experiment made it; an interrupted one goes on.
   */
  learn(settings: LearnSettings, seed: number): Promise<LearningResult>;
}

/** Tables and pictures. */
export interface Tabulation {
  readonly tables: readonly ResultTable[];
  /** What pictures are drawn from, besides tables; kept in the JSON file. @defaultValue nothing more */
  readonly drawing?: object;
}

/** What an experiment found: its tables, or what {@link Experiment.tabulate} makes them from. */
export type ExperimentFindings = {
  /** Figures for the JSON file. */
  readonly data: object;
  /** Trials of the outer loops behind it, for a file of their own. */
  readonly rewards?: object;
} & (Tabulation | { readonly record: object });

/** Findings with their tables. */
export interface ExperimentReport extends Tabulation {
  readonly data: object;
  readonly rewards?: object;
  /** What the tables were computed from, as it is kept. */
  readonly record?: object;
}

/** An experiment. Modules that load the engine are imported inside `run`, so that help is instant. */
export interface Experiment<Options extends ExperimentOptions = ExperimentOptions> {
  readonly name: string;
  readonly summary: string;
  /** Name of the result files, where options make different tables. @defaultValue the experiment's name */
  resultName?(options: Options): string;
  /** Adds options of its own. */
  addOptions?(command: Command): void;
  /** What of the options determines the result, besides model, held-out passages and seed. */
  config(options: Options): Json;
  /** Sets of passages that it measures; part of what names its run. */
  sets?(about: Omit<HeldOut, "passages">, heldOut: readonly SourcePassage[], options: Options): Promise<PassageSet[]>;
  run(room: ExperimentRoom<Options>): Promise<ExperimentFindings>;
  /** Tables from the record alone, so that every figure can be computed again without a model. */
  tabulate?(record: never): Promise<Tabulation>;
  /** Draws what a results file of it holds. @defaultValue bars of the first table that names a column to draw */
  draw?: Draw;
}
