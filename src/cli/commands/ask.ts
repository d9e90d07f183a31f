/** @file `selkie ask`: a closed-book answer, with the model as it is or as an adapter changed it. */
import { type Command, Option } from "commander";
import type { QuantisedFormat } from "../../tensor/index.ts";
import { describeExamples, type Example } from "../examples.ts";
import { shippedModelDirectory } from "../paths.ts";
import { checkRegisterOptions, withStore } from "../store-options.ts";
import {
  type CommonOptions,
  parseCount,
  runVerb,
  type VerbContext,
  weightsOption,
  withCommonOptions,
} from "../verb.ts";

interface AskOptions extends CommonOptions {
  readonly model: string;
  readonly adapter?: string;
  readonly maxNewTokens: number;
  readonly precision?: string;
  readonly store: string;
  readonly publicKey?: string;
  readonly weights?: QuantisedFormat;
}

const patienceSeconds = 1; // an answer that comes sooner needs no progress

const examples: readonly Example[] = [
  ['selkie ask "Who did Ivy Lynton work for?"', "what the model says by itself"],
  ['selkie ask "Who did Ivy Lynton work for?" --adapter my-adapter', "with an adapter of selkie adapt --out"],
  ['selkie ask "Who did Ivy Lynton work for?" --adapter @current', "with what the store serves"],
  ['selkie ask "What is a selkie?" --model path/to/checkpoint --max-new-tokens 64 --json', ""],
];

/** Adds the verb to `program`. */
export function registerAsk(program: Command): void {
  const command = program
    .command("ask")
    .description("answer a question from memory, with the current weights and nothing else to read")
    .argument("<question>", "the question, in quotes")
    .option("--model <dir>", "Hugging Face checkpoint directory, or @policy from the store", shippedModelDirectory)
    .option(
      "--adapter <dir>",
      "PEFT adapter trained on that model, or the run that made one; @current is what the store serves",
    )
    .option("--max-new-tokens <n>", "longest answer", parseCount, 48)
    .addOption(
      new Option("--precision <type>", "number format (default: what suits the processor)").choices(["f32", "bf16"]),
    )
    .addOption(weightsOption())
    .addHelpText("after", () => describeExamples(examples));
  withCommonOptions(withStore(command)).action((question: string, options: AskOptions) =>
    runVerb(options, (context) => {
      checkRegisterOptions(command, options);
      return run(question, options, context);
    }),
  );
}

async function run(question: string, options: AskOptions, { output, signal }: VerbContext): Promise<void> {
  const { openEngine } = await import("../../engine/index.ts");
  const { threads, precision, weights } = options;
  const open = (directory: string) => openEngine(directory, { threads, precision, weights, warn: output.note });
  const isDirectory = !options.model.startsWith("@");
  const opening = isDirectory ? open(options.model) : null; // loads while the rest of the program does
  opening?.catch(() => {}); // told below
  const { answerQuestion, openAdapter, resolveModel } = await import("../../app/index.ts");
  const { countOf } = await import("../../util/index.ts");
  await using engine = await (opening ?? open(await resolveModel(options.model, options)));
  const adapter = await openAdapter(options.adapter, engine, options);
  const start = performance.now();
  const seconds = () => (performance.now() - start) / 1000;
  const { maxNewTokens } = options;
  const {
    question: asked,
    answer,
    ...details
  } = await answerQuestion(engine, adapter, question, {
    maxNewTokens,
    signal,
    onToken: (numTokens) => {
      if (seconds() > patienceSeconds)
        output.progress(`answering, ${countOf(numTokens, "token")} of at most ${maxNewTokens}`);
    },
  });
  const value = {
    question: asked,
    answer,
    model: options.model,
    adapter: options.adapter ?? null,
    ...details,
    seconds: Number(seconds().toFixed(3)),
  };
  output.result(value, answer === "" ? "(the model gave no answer)" : answer);
}
