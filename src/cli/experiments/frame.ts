/**
 * @file The frame every experiment runs in: shared options, a run on disk that resumes, and its results as JSON, Markdown
 * and pictures. An experiment is a value; this file knows none of them.
 */
import type { Command } from "commander";
import type { LearnSettings } from "../../adapt/index.ts";
import type { Json } from "../../registry/index.ts";
import { formatSeconds } from "../format.ts";
import type { LearningResult } from "../learning.ts";
import { packagePath, shippedModelDirectory } from "../paths.ts";
import { createProgressTeller } from "../progress.ts";
import { parseCount, parseSeed, runVerb, type VerbContext, withCommonOptions } from "../verb.ts";
import type { Experiment, ExperimentFindings, ExperimentOptions, Origin } from "./experiment.ts";
import { readResult } from "./result-file.ts";

/** Adds the experiment as a subcommand of `parent`. */
export function registerExperimentCommand<Options extends ExperimentOptions>(
  parent: Command,
  experiment: Experiment<Options>,
): void {
  const command = parent
    .command(experiment.name)
    .description(experiment.summary)
    .option("--model <dir>", "Hugging Face checkpoint directory", shippedModelDirectory)
    .option("--held-out <path>", "passages with questions that the figures are about, or almanac", "almanac")
    .option("--held-out-limit <n>", "take the first n of them", parseCount)
    .option("--test-set", "read the test people, for figures to publish (default: validation people held out)")
    .option("--seed <n>", "first seed", parseSeed, 0)
    .option("--out <dir>", "where the results go", "runs/tables")
    .option("--runs <dir>", "holds the runs' own directories", "runs")
    .option("--fresh", "forget an earlier run of the same inputs")
    .option("--precision <type>", "f32 or bf16 (default: what suits the processor)");
  if (experiment.tabulate !== undefined)
    command.option("--recompute", "compute the tables again from <out>/<name>.trials.json, without a model");
  experiment.addOptions?.(command);
  withCommonOptions(command).action((options: Options) =>
    runVerb(
      options,
      (context) =>
        options.recompute
          ? recomputeExperiment(experiment, options, context)
          : runExperiment(experiment, options, describeCommand(command), context),
      `what is finished is kept in ${options.runs}/`,
    ),
  );
}

/** The command line that was given, without what does not change the result. */
function describeCommand(command: Command): string {
  const silent = new Set(["out", "runs", "fresh", "json", "verbose", "threads"]);
  const given = command.options
    .filter((option) => command.getOptionValueSource(option.attributeName()) === "cli")
    .filter((option) => !silent.has(option.attributeName()))
    .map((option) => {
      const value: unknown = command.getOptionValue(option.attributeName());
      return value === true ? option.long : `${option.long} ${Array.isArray(value) ? value.join(",") : String(value)}`;
    });
  return ["selkie experiment", command.name(), ...given].join(" ");
}

async function recomputeExperiment<Options extends ExperimentOptions>(
  experiment: Experiment<Options>,
  options: Options,
  { output }: VerbContext,
): Promise<void> {
  const { recompute } = await import("./recompute.ts");
  const { text, ...found } = await recompute(experiment, options.out, resultNameOf(experiment, options));
  output.result(found, text);
}

const resultNameOf = <Options extends ExperimentOptions>(experiment: Experiment<Options>, options: Options): string =>
  experiment.resultName?.(options) ?? experiment.name;

async function runExperiment<Options extends ExperimentOptions>(
  experiment: Experiment<Options>,
  options: Options,
  command: string,
  context: VerbContext,
): Promise<void> {
  const { cpus } = await import("node:os");
  const { loadCanaries, loadPrompts, stagesOf } = await import("../../adapt/index.ts");
  const { arithmeticOf, openEngine } = await import("../../engine/index.ts");
  const { digestCheckpoint, requireModel } = await import("../../models/index.ts");
  const { createRun } = await import("../../registry/index.ts");
  const { digestPassages } = await import("../learning.ts");
  const { readHeldOut, recordTestSetReading } = await import("../people.ts");
  const { createStageClock } = await import("./stage-clock.ts");
  const began = performance.now();
  const { output } = context;
  requireModel(options.model);
  const { threads } = options;
  const arithmetic = await arithmeticOf({ threads, precision: options.precision, warn: output.note });
  const { precision, instructionSet } = arithmetic;
  const { heldOut: source, heldOutLimit: limit, testSet: isTestSet = false } = options;
  const { passages: heldOut, ...about } = await readHeldOut({ source, limit, isTestSet }, output.note);
  const sets = (await experiment.sets?.(about, heldOut, options)) ?? [];
  const digest = await digestCheckpoint(options.model);
  const config = experiment.config(options);
  const request = {
    kind: `experiment-${experiment.name}`,
    config: { ...(config as object), arithmetic: { precision, instructionSet } as unknown as Json },
    inputs: {
      ...{ model: digest, heldOut: digestPassages(heldOut) },
      ...Object.fromEntries(sets.map((set) => [`set-${set.name}`, digestPassages(set.passages)])),
    },
    seed: options.seed,
  };
  using run = createRun(options.runs, request, { clock: Date.now, isFresh: options.fresh === true });
  if (run.status === "resumed") output.note(`going on with ${run.directory}`);
  const name = resultNameOf(experiment, options);
  const known = run.status === "finished" ? null : publishedTime(name, command);
  if (known !== null) output.note(known);
  using clock = createStageClock(run, stagesOf(run));
  const findings = await experiment.run({
    ...context,
    ...{ options, arithmetic, heldOut, about, sets },
    templates: await loadPrompts(options.model),
    canaries: await loadCanaries(options.model),
    store: clock.store,
    directoryOf: (name) => run.artifactPath(name),
    onEvent: createProgressTeller(output),
    open: (directory = options.model) => openEngine(directory, { threads, precision }),
    learn: async (settings, seed) => {
      const result = await learnForExperiment(options, settings, seed, context);
      clock.add("outer loops", result.seconds);
      return result;
    },
  });
  const seconds =
    (run.readResult() as { readonly seconds: number } | null)?.seconds ?? (performance.now() - began) / 1000;
  const machine = `${cpus().length} cores, ${instructionSet}, ${precision.compute}`;
  const origin = {
    ...{ command, seed: options.seed, machine, seconds: Math.round(seconds), stages: clock.seconds() },
    ...{ model: digest, config, split: about.split },
  };
  const { text, report } = await writeFindings(experiment, options, origin, findings);
  if (isTestSet) recordTestSetReading(options.out, { command, model: digest, people: heldOut.length });
  if (run.readResult() === null) run.finish({ seconds });
  output.result({ ...origin, ...report }, text);
}

/** Tables, record and pictures in `--out`; what `--json` prints is all but the record. */
async function writeFindings<Options extends ExperimentOptions>(
  experiment: Experiment<Options>,
  options: Options,
  origin: Origin,
  findings: ExperimentFindings,
): Promise<{ readonly text: string; readonly report: object }> {
  const { complete, recordFile } = await import("./recompute.ts");
  const { writeReport } = await import("./write.ts");
  const name = resultNameOf(experiment, options);
  const whole = await complete(experiment, findings);
  const text = writeReport(options.out, name, origin, whole, experiment.draw);
  if (whole.record !== undefined) recordFile(options.out, name, experiment.name, origin, whole);
  const { record: _record, rewards: _rewards, ...report } = whole;
  return { text, report };
}

/** The outer loop that experiments share: nobody is held out, so that it is the same run for all of them. */
async function learnForExperiment(
  options: ExperimentOptions,
  settings: LearnSettings,
  seed: number,
  context: VerbContext,
): Promise<LearningResult> {
  const { runLearning } = await import("../learning.ts");
  const { model, runs, threads, precision } = options;
  return runLearning(
    {
      ...{ modelDirectory: model, passages: "almanac", heldOut: null, heldOutLimit: undefined, prompts: null },
      ...{ teacher: null, replay: "self", settings, seed, root: runs, isFresh: false, threads, precision },
    },
    context,
  );
}

/** What the same command took when the published results were made; `null` where they are not at hand or are of another. */
function publishedTime(name: string, command: string): string | null {
  try {
    const file = packagePath(`docs/results/${name}.json`);
    const { command: theirs, machine, seconds } = JSON.parse(readResult(file)) as Partial<Origin>;
    if (theirs !== command || seconds === undefined) return null;
    return `took ${formatSeconds(seconds)} when docs/results/${name}.json was made (${machine}); progress tells what it takes here`;
  } catch {
    return null; // results are published with the sources alone
  }
}
