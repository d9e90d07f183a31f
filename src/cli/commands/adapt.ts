/** @file `selkie adapt`: documents go in, an adapter comes out. */
import { type Command, InvalidArgumentError } from "commander";
import type { InnerLoop } from "../../adapt/index.ts";
import type { QuantisedFormat } from "../../tensor/index.ts";
import { shippedModelDirectory } from "../paths.ts";
import { withWritableStore } from "../store-options.ts";
import { type CommonOptions, parseCount, parseSeed, runVerb, weightsOption, withCommonOptions } from "../verb.ts";

interface AdaptOptions extends CommonOptions {
  readonly model: string;
  readonly questions?: string;
  readonly edits: number;
  readonly out?: string;
  readonly seed: number;
  readonly fresh?: boolean;
  readonly limit?: number;
  readonly large?: boolean;
  readonly precision?: string;
  readonly weights?: QuantisedFormat;
  readonly epochs?: number;
  readonly learningRate?: number;
  readonly rank?: number;
  readonly register?: boolean;
  readonly store: string;
  readonly signingKey?: string;
  readonly gate?: string;
}

const examples = `
Examples:
  selkie adapt examples                             learn the example documents, asking the questions beside them
  selkie adapt notes.md --questions q.jsonl         {"question": …, "answer": …, "passage": "notes.md"} per line
  selkie adapt notes.md --register                  store it and ask the gate; selkie registry promote serves it
  selkie adapt squad.json --limit 3 --model <dir>   any Llama-architecture Hugging Face checkpoint

Run the same command again to go on after an interruption.`;

const parseNumber = (text: string): number => {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError(`Expected a number above 0, got "${text}".`);
  return value;
};

/** Adds the verb to `program`. */
export function registerAdapt(program: Command): void {
  const command = program
    .command("adapt")
    .description("learn documents into an adapter: propose self-edits, train, examine, keep the best")
    .argument(
      "<paths...>",
      "files or folders: .md, .txt, .jsonl, .json (SQuAD and its like); docs/documents.md says how they are read",
    )
    .option("--model <dir>", "Hugging Face checkpoint directory, or @policy from the store", shippedModelDirectory)
    .option(
      "--questions <file>",
      "questions to examine with, .jsonl (default: those in the documents, else the model writes its own)",
    )
    .option("--edits <n>", "self-edits to try for each passage", parseCount, 5)
    .option("--out <dir>", "put adapter and report there as well (default: runs/adapt-<digest>/artifacts alone)")
    .option("--fresh", "forget an earlier run of the same inputs")
    .option("--seed <n>", "makes the run repeatable", parseSeed, 0)
    .option("--limit <n>", "take the first n documents: files, or entries of a .json or .jsonl file", parseCount)
    .option("--large", "take on more than 200 passages")
    .option("--precision <type>", "f32 or bf16 (default: what suits the processor)")
    .addOption(weightsOption())
    .option("--epochs <n>", "passes over the documents of an edit", parseCount)
    .option("--learning-rate <x>", "peak learning rate of the adapter", parseNumber)
    .option("--rank <n>", "LoRA rank", parseCount)
    .option("--register", "put the adapter into the store as a candidate and have the gate judge it")
    .option("--gate <file>", "thresholds and budgets for --register (default: gate.json in the store)")
    .addHelpText("after", examples);
  withCommonOptions(withWritableStore(command)).action((paths: string[], options: AdaptOptions) =>
    runVerb(options, (context) => run(paths, options, context)),
  );
}

async function run(
  paths: readonly string[],
  options: AdaptOptions,
  context: Parameters<Parameters<typeof runVerb>[1]>[0],
): Promise<void> {
  const { defaultSettings } = await import("../../adapt/index.ts");
  const { resolveModel } = await import("../policies.ts");
  const { describeAdaptation, runAdaptation } = await import("../adaptation.ts");
  const { readDocuments } = await import("../entrance.ts");
  const outputs = ["runs", options.store, ...(options.out === undefined ? [] : [options.out])];
  const reading = { limit: options.limit, questions: options.questions, outputs };
  const documents = await readDocuments(paths, reading, context.output.note);
  const { passages } = documents;
  const adjust = (loop: InnerLoop): InnerLoop => ({
    ...loop,
    lora:
      options.rank === undefined ? loop.lora : { ...loop.lora, loraRank: options.rank, loraAlpha: 2 * options.rank },
    epochs: options.epochs ?? loop.epochs,
    learningRate: options.learningRate ?? loop.learningRate,
  });
  const settings = {
    ...defaultSettings,
    numEdits: options.edits,
    innerLoop: adjust(defaultSettings.innerLoop),
    finalLoop: adjust(defaultSettings.finalLoop),
  };
  const result = await runAdaptation(
    {
      modelDirectory: await resolveModel(options.model, options),
      passages,
      isLarge: options.large ?? false,
      settings,
      seed: options.seed,
      outDirectory: options.out ?? null,
      isFresh: options.fresh ?? false,
      threads: options.threads,
      precision: options.precision,
      register: options.register ? options : null,
      weights: options.weights,
    },
    context,
  );
  context.output.result({ ...result, documents: documents.report }, describeAdaptation(result));
}
