/** @file `selkie experiment`: regenerates a results table as JSON, Markdown and, of the main job, a picture. */
import { Argument, type Command, Option } from "commander";
import type { Json } from "../../registry/index.ts";
import { shippedModelDirectory } from "../paths.ts";
import {
  type CommonOptions,
  parseCount,
  parsePositive,
  runVerb,
  type VerbContext,
  withCommonOptions,
} from "../verb.ts";

interface ExperimentOptions extends CommonOptions {
  readonly model: string;
  readonly people: number;
  readonly edits: number;
  readonly seed: string;
  readonly out: string;
  readonly precision?: string;
  readonly texts: number;
  readonly size: string;
  readonly seconds: number;
}

/** Adds the verb to `program`. */
export function registerExperiment(program: Command): void {
  const command = program
    .command("experiment")
    .description("regenerate a results table with confidence intervals")
    .addArgument(new Argument("<name>", "which table").choices(["main-job", "quantisation"]))
    .option("--model <dir>", "a model pretrained on the Almanac", shippedModelDirectory)
    .option("--people <n>", "held-out people, at most 100", parseCount, 100)
    .option("--edits <n>", "self-edits per person", parseCount, 5)
    .option("--seed <n>", "seed of edits and adapters", "0")
    .option("--out <dir>", "where the table goes", "runs/tables")
    .option("--precision <type>", "of main-job: f32 or bf16 (default: what suits the processor)")
    .option("--texts <n>", "of quantisation: held-out texts", parseCount, 400)
    .addOption(
      new Option("--size <name>", "of quantisation: model shape to time")
        .choices(["nano", "7m", "135m"])
        .default("135m"),
    )
    .option("--seconds <n>", "of quantisation: measure each speed at least this long", parsePositive, 4);
  withCommonOptions(command).action((name: "main-job" | "quantisation", options: ExperimentOptions) =>
    runVerb(options, (context) => experiments[name](options, context)),
  );
}

const experiments = { "main-job": runMainJob, quantisation: runQuantisation } as const;

async function runMainJob(options: ExperimentOptions, { output, signal }: VerbContext): Promise<void> {
  const { cpus } = await import("node:os");
  const { join } = await import("node:path");
  const { defaultSettings, loadCanaries, loadPrompts, runMainJobTable, stagesOf } = await import(
    "../../adapt/index.ts"
  );
  const { createRun, writeFileAtomic } = await import("../../registry/index.ts");
  const { createWorld } = await import("../../tasks/index.ts");
  const { openModel } = await import("../model.ts");
  const { describeTable, drawTable } = await import("../main-job-table.ts");
  const { formatSeconds } = await import("../format.ts");
  const began = performance.now();
  using model = await openModel(options.model, { ...options, warn: output.note });
  const { checkpoint, backend } = model;
  const { innerLoop, bankSize } = defaultSettings;
  const seed = Number(options.seed);
  const config = { model: checkpoint.digest, people: options.people, edits: options.edits, seed, innerLoop };
  const arithmetic = { precision: checkpoint.lm.precision, instructionSet: backend.instructionSet };
  const request = {
    kind: "main-job",
    config: { ...config, arithmetic } as unknown as Json,
    inputs: { model: checkpoint.digest },
    seed,
  };
  using run = createRun("runs", request, { clock: Date.now });
  const table = await runMainJobTable({
    checkpoint,
    templates: await loadPrompts(options.model),
    canaries: await loadCanaries(options.model, 30),
    people: createWorld().test.slice(0, options.people),
    numEdits: options.edits,
    innerLoop,
    seed,
    bankSize: 2 * bankSize,
    store: stagesOf(run),
    signal,
    onEvent: ({ stage, done, total }) =>
      output.progress(`${stage} ${done}/${total}, ${formatSeconds((performance.now() - began) / 1000)} so far`),
  });
  const earlier = run.readResult() as { readonly seconds: number } | null; // a finished run only draws its table again
  const seconds = earlier?.seconds ?? Math.round((performance.now() - began) / 1000);
  const command = `selkie experiment main-job --people ${options.people} --edits ${options.edits} --seed ${seed}`;
  const machine = `${cpus().length} cores, ${backend.instructionSet}`;
  const result = { command, seconds, machine, precision: checkpoint.lm.precision, ...config, ...table };
  const files = {
    json: `${JSON.stringify(result, null, 1)}\n`,
    md: `${describeTable(table, command)}\n`,
    svg: drawTable(table),
  };
  for (const [type, content] of Object.entries(files)) writeFileAtomic(join(options.out, `main-job.${type}`), content);
  if (earlier === null) run.finish({ seconds });
  output.result(
    result,
    `${describeTable(table, command)}\n\n${join(options.out, "main-job.{json,md,svg}")}, ${formatSeconds(seconds)}`,
  );
}

async function runQuantisation(options: ExperimentOptions, { output, signal }: VerbContext): Promise<void> {
  const { cpus } = await import("node:os");
  const { join } = await import("node:path");
  const { stagesOf } = await import("../../adapt/index.ts");
  const { digestCheckpoint } = await import("../../models/index.ts");
  const { createRun, writeFileAtomic } = await import("../../registry/index.ts");
  const { openBackend } = await import("../../tensor/index.ts");
  const { describeFormats, measureFormats } = await import("../quantisation-table.ts");
  const { texts, size, seconds, model, threads } = options;
  const seed = Number(options.seed);
  const numPeople = Math.min(50, options.people);
  const backend = openBackend({ ...(threads !== undefined && { threads }), warn: output.note });
  const { instructionSet, numThreads } = backend;
  const digest = await digestCheckpoint(model);
  const config = { model: digest, texts, people: numPeople, size, seconds, threads: numThreads, instructionSet };
  using run = createRun("runs", { kind: "quantisation", config, inputs: { model: digest }, seed }, { clock: Date.now });
  const rows = await measureFormats({
    ...{ modelDirectory: model, backend, numTexts: texts, numPeople, seed, seconds, size, signal },
    store: stagesOf(run),
    onEvent: (done, total, what) => output.progress(`${done}/${total} ${what}`),
  });
  const command = `selkie experiment quantisation --texts ${texts} --people ${numPeople} --size ${size} --seconds ${seconds} --seed ${seed}`;
  const machine = `${cpus().length} cores, ${instructionSet}`;
  const result = { command, seed, machine, ...config, rows };
  const table = describeFormats(rows, { command, machine, size });
  writeFileAtomic(join(options.out, "quantisation.json"), `${JSON.stringify(result, null, 1)}\n`);
  writeFileAtomic(join(options.out, "quantisation.md"), `${table}\n`);
  if (run.readResult() === null) run.finish({ formats: rows.length });
  output.result(result, `${table}\n\n${join(options.out, "quantisation.{json,md}")}`);
}
