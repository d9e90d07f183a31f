/**
 * @file `selkie demo` (`npm start`): the main job on the shipped model and the documents in `examples/`.
 * Next on the tour: `src/adapt/adapt.ts`.
 */
import type { Command } from "commander";
import { commandAgain } from "../invocation.ts";
import { packagePath, shippedModelDirectory } from "../paths.ts";
import { type CommonOptions, runVerb, type VerbContext, withCommonOptions } from "../verb.ts";

interface DemoOptions extends CommonOptions {
  readonly fresh?: boolean;
}

/** Adds the verb to `program`. */
export function registerDemo(program: Command): void {
  const command = program
    .command("demo")
    .description("teach the shipped model the documents in examples/ and show what changed (npm start)");
  command.option("--fresh", "run it again even if it finished before");
  withCommonOptions(command).action((options: DemoOptions) =>
    runVerb(options, (context) => run(options, context), "what is finished is kept in runs/"),
  );
}

async function run(options: DemoOptions, context: VerbContext): Promise<void> {
  const { attachQuestions, loadPassages } = await import("../../tasks/index.ts");
  const { defaultSettings } = await import("../../adapt/index.ts");
  const { runAdaptation } = await import("../../app/index.ts");
  const { describeAdaptation, adaptationListeners } = await import("../adaptation.ts");
  const { output } = context;
  const examples = packagePath("examples");
  const passages = await attachQuestions(await loadPassages([`${examples}/documents`]), `${examples}/questions.jsonl`);
  if (!output.isJson) for (const { id, context: text } of passages) output.note(`${id}\n  ${text}\n`);
  const result = await runAdaptation(
    {
      modelDirectory: shippedModelDirectory,
      passages,
      isLarge: false,
      settings: defaultSettings,
      seed: 0,
      runsRoot: "runs",
      outDirectory: null,
      isFresh: options.fresh ?? false,
      threads: options.threads,
      precision: undefined,
      weights: undefined,
    },
    { ...context, ...adaptationListeners(context.output, passages) },
  );
  const { adapterDirectory } = result;
  const learned = result.report.passages
    .flatMap(({ answers }) => answers)
    .find(({ base, adapted }) => adapted.isRight && !base.isRight);
  const next =
    adapterDirectory === null || learned === undefined
      ? ""
      : `\n\nAsk it yourself:\n  ${commandAgain(["ask", learned.question, "--adapter", adapterDirectory])}`;
  output.result(result, `${describeAdaptation(result, 20)}${next}`);
}
