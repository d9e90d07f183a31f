/** @file `selkie ask`: a closed-book answer, with the model as it is or as an adapter changed it. */
import { type Command, Option } from "commander";
import type { QuantisedFormat } from "../../tensor/index.ts";
import { shippedModelDirectory } from "../paths.ts";
import { withStore } from "../store-options.ts";
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
  readonly weights?: QuantisedFormat;
}

const examples = `
Examples:
  selkie ask "Where was Ada Marsh born?"
  selkie ask "Where was Ada Marsh born?" --adapter runs/adapt-1a2b3c/adapter
  selkie ask "Where was Ada Marsh born?" --adapter @current
  selkie ask "What is a selkie?" --model <dir> --max-new-tokens 64 --json`;

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
    .addHelpText("after", examples);
  withCommonOptions(withStore(command)).action((question: string, options: AskOptions) =>
    runVerb(options, (context) => run(question, options, context)),
  );
}

async function run(question: string, options: AskOptions, { output, signal }: VerbContext): Promise<void> {
  const { SelkieError } = await import("../../util/index.ts");
  if (question.trim() === "")
    throw new SelkieError("bad-input", `ask: expected a question, got an empty text; pass it in quotes`);
  const { openModel } = await import("../model.ts");
  const { openAdapter } = await import("../adapter.ts");
  const { answerStops, decodeContinuation, encodePrompt } = await import("../../models/index.ts");
  const { generate } = await import("../../generate/index.ts");
  const { loadPrompts, questionPrompt } = await import("../../adapt/index.ts");
  const { resolveModel } = await import("../policies.ts");
  const modelDirectory = await resolveModel(options.model, options);
  using model = await openModel(modelDirectory, { ...options, warn: output.note });
  const { lm, tokenizer } = model.checkpoint;
  using adapter = await openAdapter(options.adapter, model.checkpoint, options.store);
  const prompt = questionPrompt(await loadPrompts(modelDirectory), question.trim());
  const start = performance.now();
  const request = {
    promptIds: encodePrompt(tokenizer, prompt),
    maxNewTokens: options.maxNewTokens,
    stopTokens: answerStops(tokenizer),
    adapterIndex: adapter.adapterIndex,
  };
  const [generation] = await generate(lm, [request], {
    bank: adapter.bank,
    signal,
    onProgress: ({ numTokens }) => output.progress(`answering, ${numTokens} tokens`),
  });
  const { tokenIds, logprobs, stopReason } = generation!;
  const written = decodeContinuation(tokenizer, request.promptIds, tokenIds);
  const answer = written.split("\n")[0]!.trim(); // an answer is one line; exams read it the same way
  const value = {
    question: question.trim(),
    answer,
    model: options.model,
    adapter: options.adapter ?? null,
    stopReason,
    numPromptTokens: request.promptIds.length,
    numTokens: tokenIds.length,
    logprobNats: logprobs.reduce((sum, logprob) => sum + logprob, 0),
    seconds: Number(((performance.now() - start) / 1000).toFixed(3)),
  };
  output.result(value, answer === "" ? "(the model gave no answer)" : answer);
}
