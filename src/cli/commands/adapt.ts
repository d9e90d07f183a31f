/** @file `selkie adapt`: documents go in, an adapter comes out. */
import type { Command } from "commander";
import type { AdaptationResult } from "../../app/index.ts";
import type { QuantisedFormat } from "../../tensor/index.ts";
import { describeExamples, type Example } from "../examples.ts";
import { shippedModelDirectory } from "../paths.ts";
import { checkRegisterOptions, withWritableStore } from "../store-options.ts";
import {
  type CommonOptions,
  parseCount,
  parsePositive,
  parseSeed,
  rejectedExitCode,
  runVerb,
  type VerbContext,
  weightsOption,
  withCommonOptions,
} from "../verb.ts";

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
  readonly publicKey?: string;
  readonly gate?: string;
}

const examples: readonly Example[] = [
  ["selkie adapt examples", "the example documents, asking the questions beside them"],
  [
    "selkie adapt examples/documents --questions examples/questions.jsonl --out my-adapter",
    "examined with your questions",
  ],
  ["selkie adapt examples/documents --register", "store it, ask the gate; selkie registry promote serves it"],
  [
    "selkie adapt path/to/squad.json --limit 3 --model path/to/checkpoint",
    "any Hugging Face checkpoint of a known architecture",
  ],
];

const more = `Questions are lines of JSON: {"question": "…", "answer": "…", "passage": "notes.md"}
Run the same command again to go on after an interruption.`;

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
    .option("--learning-rate <x>", "peak learning rate of the adapter", parsePositive)
    .option("--rank <n>", "LoRA rank", parseCount)
    .option("--register", "put the adapter into the store as a candidate and have the gate judge it")
    .option("--gate <file>", "thresholds and budgets for --register (default: gate.json in the store)")
    .addHelpText("after", () => describeExamples(examples, more));
  withCommonOptions(withWritableStore(command)).action((paths: string[], options: AdaptOptions) =>
    runVerb(
      options,
      (context) => {
        checkRegisterOptions(command, options);
        return run(paths, options, context);
      },
      "what is finished is kept in runs/",
    ),
  );
}

/** True when the exam kept the change and, where it was asked, the gate would let it serve. */
function isAccepted({ report, registered }: AdaptationResult): boolean {
  if (report.decision !== "kept") return false;
  const outcome = registered?.decision.outcome ?? "promote";
  return outcome === "promote" || outcome === "rescale";
}

async function run(paths: readonly string[], options: AdaptOptions, context: VerbContext): Promise<void> {
  const { readDocuments, resolveModel, runAdaptation, settingsOf } = await import("../../app/index.ts");
  const { adaptationListeners, describeAdaptation } = await import("../adaptation.ts");
  const outputs = ["runs", options.store, ...(options.out === undefined ? [] : [options.out])];
  const reading = { limit: options.limit, questions: options.questions, outputs };
  const documents = await readDocuments(paths, reading, context.output);
  const { passages } = documents;
  const result = await runAdaptation(
    {
      modelDirectory: await resolveModel(options.model, options),
      passages,
      isLarge: options.large ?? false,
      settings: settingsOf({
        numEdits: options.edits,
        epochs: options.epochs,
        learningRate: options.learningRate,
        loraRank: options.rank,
      }),
      seed: options.seed,
      runsRoot: "runs",
      outDirectory: options.out ?? null,
      isFresh: options.fresh ?? false,
      threads: options.threads,
      precision: options.precision,
      register: options.register ? options : null,
      weights: options.weights,
    },
    { ...context, ...adaptationListeners(context.output, passages) },
  );
  context.output.result({ ...result, documents: documents.report }, describeAdaptation(result));
  if (!isAccepted(result)) process.exitCode = rejectedExitCode;
}
