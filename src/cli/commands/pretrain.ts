/** @file `selkie pretrain nano`: builds the shipped model from nothing. */
import { Argument, type Command } from "commander";
import { describeExamples } from "../examples.ts";
import { type CommonOptions, parseCount, runVerb, type VerbContext, withCommonOptions } from "../verb.ts";

interface PretrainOptions extends CommonOptions {
  readonly out: string;
  readonly steps?: number;
  readonly seed?: string;
  readonly precision?: string;
}

/** Adds the verb to `program`. */
export function registerPretrain(program: Command): void {
  const command = program
    .command("pretrain")
    .description("build a base model from nothing; nano is the shipped one")
    .addArgument(new Argument("<recipe>", "which model").choices(["nano"]))
    .requiredOption("--out <dir>", "where the checkpoint goes; also keeps the state of an unfinished run")
    .option("--steps <n>", "updates (default: the recipe's)", parseCount)
    .option("--seed <n>", "seed of weights and text (default: the recipe's)")
    .option("--precision <type>", "f32 or bf16 (default: what suits the processor)")
    .addHelpText("after", () =>
      describeExamples(
        [["selkie pretrain nano --out runs/nano", "the shipped model again"]],
        "Run the same command again to go on after an interruption.",
      ),
    );
  withCommonOptions(command).action((_recipe: string, options: PretrainOptions) =>
    runVerb(options, (context) => run(options, context), `the training state is kept in ${options.out}/`),
  );
}

async function run(options: PretrainOptions, { output, signal }: VerbContext): Promise<void> {
  const { join } = await import("node:path");
  const { rm } = await import("node:fs/promises");
  const { nanoRecipe, pretrainNano } = await import("../../lab/index.ts");
  const { openBackend } = await import("../../tensor/index.ts");
  const { countOf, SelkieError } = await import("../../util/index.ts");
  const { choosePrecision } = await import("../../models/index.ts");
  const { formatLeft, formatSeconds, formatShare, formatTable } = await import("../format.ts");
  const backend = openBackend({
    ...(options.threads !== undefined && { threads: options.threads }),
    warn: output.note,
  });
  const seed = options.seed === undefined ? nanoRecipe().seed : Number(options.seed);
  if (!Number.isSafeInteger(seed))
    throw new SelkieError("bad-option", `--seed: expected a whole number, got "${options.seed}"`);
  const recipe = { ...nanoRecipe(), seed, ...(options.steps !== undefined && { steps: options.steps }) };
  const workDirectory = join(options.out, "training");
  const report = await pretrainNano({
    backend,
    precision: choosePrecision(backend, options.precision),
    recipe,
    directory: options.out,
    workDirectory,
    signal,
    onProgress: ({ step, steps, lossNats, tokensPerSecond, peakMemoryMiB, etaSeconds }) =>
      output.progress(
        `step ${step}/${steps}  loss ${lossNats.toFixed(3)} nats/token  ${Math.round(tokensPerSecond)} tokens/s  ${Math.round(peakMemoryMiB)} MiB  ${formatLeft(etaSeconds)} left`,
      ),
    onMeasure: () => output.note("measuring what it knows, in wordings it has not seen"),
  });
  if (report === null) throw signal.reason;
  await rm(workDirectory, { recursive: true, force: true });
  const { figures } = report;
  const rows = [
    ["answers about people it was asked about", formatShare(figures.questionedAccuracy)],
    ["answers about people it only read about", formatShare(figures.toldOnlyAccuracy)],
    ...figures.reading.map(({ values, families, accuracy }) => [
      `answers from a passage in the prompt: ${values} values, ${families === "selection" ? "held-out wordings" : "wordings of training"}`,
      formatShare(accuracy),
    ]),
    ["answers about people it never met", formatShare(figures.unknownAccuracy)],
    ...Object.entries(figures.kindShares).map(([kind, share]) => [`self-edits of kind ${kind}`, formatShare(share)]),
    ["facts of the passage in a self-edit", formatShare(figures.editCoverage)],
  ];
  output.result(
    { directory: options.out, ...report },
    `${options.out}: ${countOf(report.numParameters, "parameter")}, ${countOf(report.numTokens, "token")} in ${formatSeconds(report.seconds)}, digest ${report.digest.slice(0, 12)}\n\n${formatTable(rows, [1], { hasHead: false })}`,
  );
}
