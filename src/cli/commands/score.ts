/** @file `selkie score`: how probable a model finds a text, token by token. */
import { type Command, Option } from "commander";
import type { QuantisedFormat } from "../../tensor/index.ts";
import { describeExamples, type Example } from "../examples.ts";
import { shippedModelDirectory } from "../paths.ts";
import { type CommonOptions, runVerb, type VerbContext, weightsOption, withCommonOptions } from "../verb.ts";

interface ScoreOptions extends CommonOptions {
  readonly model: string;
  readonly adapter?: string;
  readonly ids?: string;
  readonly specialTokens?: boolean;
  readonly precision: string;
  readonly weights?: QuantisedFormat;
}

const examples: readonly Example[] = [
  ["selkie score examples/documents/ivy-lynton.txt", ""],
  ['echo "The sea is calm." | selkie score - --json', ""],
  ["selkie score --ids 12,7,101", "token ids instead of a text"],
];

const more = `The first token has nothing before it and is not scored, unless the model has a token that begins every text. Text that spells a control token is text, unless --special-tokens asks for the token. A text longer than the model's context is read in windows that overlap by half; every token is scored once. Of a text of more than a million characters the sums are given, not the tokens. A named pipe is read to its end; devices are refused.`;

/** Adds the verb to `program`. */
export function registerScore(program: Command): void {
  const command = program
    .command("score")
    .description("log-probability of each token of a text in nats, their sum, and bits per byte")
    .argument("[file]", "UTF-8 text file or pipe, or - for standard input; at most 256 MiB")
    .option("--model <dir>", "Hugging Face checkpoint directory", shippedModelDirectory)
    .option("--adapter <dir>", "PEFT adapter trained on that model, or the run that made one")
    .option("--ids <list>", "token ids instead of a text, separated by commas")
    .option("--special-tokens", "read text that spells a control token, such as <|im_end|>, as that token")
    .addOption(new Option("--precision <type>", "number format").choices(["f32", "bf16"]).default("f32"))
    .addOption(weightsOption())
    .addHelpText("after", () => describeExamples(examples, more));
  withCommonOptions(command).action((file: string | undefined, options: ScoreOptions) =>
    runVerb(options, (context) => run(file, options, context)),
  );
}

async function run(file: string | undefined, options: ScoreOptions, { output, signal }: VerbContext): Promise<void> {
  const { parseIds, readText } = await import("../score-input.ts");
  const { countOf, SelkieError } = await import("../../util/index.ts");
  if ((file === undefined) === (options.ids === undefined))
    throw new SelkieError(
      "bad-option",
      `score: expected a file or --ids, got ${file === undefined ? "neither" : "both"}`,
    );
  const text = file === undefined ? null : await readText(file, { signal, tell: output.note });
  const ids = options.ids === undefined ? null : parseIds(options.ids);
  const { longTextLength, openAdapter, scoreLongText, scoreText } = await import("../../app/index.ts");
  const { openEngine } = await import("../../engine/index.ts");
  const { createProgressTeller } = await import("../progress.ts");
  const { threads, precision, weights } = options;
  await using engine = await openEngine(options.model, { threads, precision, weights, warn: output.note });
  const adapter = await openAdapter(options.adapter, engine);
  const work = { signal, onEvent: createProgressTeller(output) };
  const controlTokens = options.specialTokens === true;
  const score =
    text !== null && text.length > longTextLength
      ? await scoreLongText(engine, adapter, { text, controlTokens }, work)
      : await scoreText(engine, adapter, text === null ? { ids: ids! } : { text, controlTokens }, work);
  const { tokens, totalNats, bitsPerByte, windows } = score;
  const lines = (tokens ?? []).map(
    ({ id, text, logprob }) =>
      `${logprob === null ? "        -" : logprob.toFixed(4).padStart(9)}  ${String(id).padStart(6)}  ${JSON.stringify(text)}`,
  );
  const note =
    windows === null
      ? []
      : [
          `read in ${countOf(windows.count, "window")} of at most ${countOf(windows.maxTokens, "token")}, overlapping by ${windows.overlap}`,
        ];
  if (tokens === null) note.unshift("the tokens are left out, the text being long");
  const total = `total ${totalNats.toFixed(4)} nats over ${countOf(score.numScored, "token")}${bitsPerByte === null ? "" : `, ${bitsPerByte.toFixed(4)} bits per byte`}`;
  output.result(
    { model: options.model, adapter: options.adapter ?? null, ...score },
    [...lines, ...note, total].join("\n"),
  );
}
