/** @file `selkie learn`: trains the policy that writes self-edits, on tasks of a domain. */
import { Argument, type Command, Option } from "commander";
import type { LearnSettings } from "../../adapt/index.ts";
import { SelkieError } from "../../util/index.ts";
import { describeExamples, type Example } from "../examples.ts";
import { shippedModelDirectory } from "../paths.ts";
import { checkRegisterOptions, withWritableStore } from "../store-options.ts";
import { type CommonOptions, parseCount, parseSeed, runVerb, type VerbContext, withCommonOptions } from "../verb.ts";

interface LearnOptions extends CommonOptions {
  readonly model: string;
  readonly passages?: string;
  readonly heldOut?: string;
  readonly heldOutLimit?: number;
  readonly rounds?: number;
  readonly passagesPerRound?: number;
  readonly edits?: number;
  readonly repetitions?: number;
  readonly halving?: number;
  readonly reward?: string;
  readonly update?: "rest-em" | "dpo" | "ipo" | "advantage";
  readonly replay: string;
  readonly prompts?: string;
  readonly teacher?: string;
  readonly teacherModel: string;
  readonly settings?: string;
  readonly seed: number;
  readonly out: string;
  readonly fresh?: boolean;
  readonly precision?: string;
  readonly register?: boolean;
  readonly store: string;
  readonly signingKey?: string;
  readonly publicKey?: string;
  readonly gate?: string;
}

const examples: readonly Example[] = [
  ["selkie learn knowledge --passages almanac --held-out almanac --passages-per-round 50", "as in the README"],
  [
    "selkie learn knowledge --passages path/to/squad.json --model path/to/checkpoint --rounds 2 --edits 5 --reward seal",
    "another model and its passages",
  ],
  [
    "selkie learn knowledge --passages path/to/notes --teacher http://localhost:8000/v1 --teacher-model big",
    "a server writes the edits",
  ],
  [
    "selkie learn curve --passages-per-round 60 --held-out-limit 60",
    "edits that are hyper-parameters; the base is trained first, in a minute",
  ],
];

const more = `Settings files hold any part of LearnSettings, for example
  {"innerLoop": {"lora": {"targets": ["q_proj", "v_proj"]}, "replayShare": 0.3, "unionOf": 2, "maxSteps": 100}}
A key for the teacher's server is read from SELKIE_TEACHER_KEY. Run the same command again to go on after an interruption.`;

/** Adds the verb to `program`. */
export function registerLearn(program: Command): void {
  const command = program
    .command("learn")
    .description("outer loop: train the policy that writes self-edits on those that taught it most")
    .addArgument(new Argument("<domain>", "what to learn").choices(["knowledge", "curve"]))
    .option("--passages <path>", "passages with questions (.jsonl, .json, folders), or almanac; needed for knowledge")
    .option("--held-out <path>", "passages that no round sees, to examine every policy on, or almanac")
    .option("--held-out-limit <n>", "take the first n of them (curve: draw n, default 40)", parseCount)
    .option("--model <dir>", "Hugging Face checkpoint directory, or @policy from the store", shippedModelDirectory)
    .option("--rounds <n>", "rounds (default: 2)", parseCount)
    .option(
      "--passages-per-round <n>",
      "different passages for each round (default: all, divided; curve: 300)",
      parseCount,
    )
    .option("--edits <n>", "self-edits of each passage (default: 5; curve: 12)", parseCount)
    .option(
      "--repetitions <n>",
      "trainings of each self-edit (default: 3; none for the reward proxy; curve: 1)",
      parseCount,
    )
    .option("--halving <n>", "spend n trainings per passage by successive halving instead", parseCount)
    .option("--reward <name>", "seal, binary, dense, shrunk, retention, length or proxy (default: dense)")
    .addOption(
      new Option("--update <name>", "how the policy learns (default: rest-em)").choices([
        "rest-em",
        "dpo",
        "ipo",
        "advantage",
      ]),
    )
    .option(
      "--replay <source>",
      "old text beside what is learned: self, almanac, or a file with one text per line",
      "self",
    )
    .option("--prompts <file>", "how edits are asked for, in the form of selkie.json")
    .option(
      "--teacher <where>",
      "writes the edits instead: a checkpoint directory, or the address of an OpenAI-compatible server",
    )
    .option("--teacher-model <name>", "the server's model", "default")
    .option("--settings <file>", "any other setting, as JSON")
    .option("--seed <n>", "makes the run repeatable", parseSeed, 0)
    .option("--out <dir>", "holds the run's directory", "runs")
    .option("--fresh", "forget an earlier run of the same inputs")
    .option("--precision <type>", "f32 or bf16 (default: what suits the processor)")
    .option("--register", "put every round's policy into the store as a candidate and have the gate judge it")
    .option("--gate <file>", "thresholds and budgets for --register (default: gate.json in the store)")
    .addHelpText("after", () => describeExamples(examples, more));
  withCommonOptions(withWritableStore(command)).action((domain: string, options: LearnOptions) =>
    runVerb(
      options,
      (context) => {
        checkRegisterOptions(command, options);
        return domain === "curve" ? runCurve(command, options, context) : run(options, context);
      },
      `what is finished is kept in ${options.out}/`,
    ),
  );
}

/** The defaults, then the file, then what the command line says. */
async function settingsOf(options: LearnOptions, domain: "knowledge" | "curve"): Promise<LearnSettings> {
  const {
    applyLearnSettings,
    curveLearnSettings,
    defaultLearnSettings,
    halvingRounds,
    loadLearnSettings,
    rewardNamed,
    uniformSchedule,
  } = await import("../../adapt/index.ts");
  const { edits, halving, update } = options;
  const defaults = domain === "curve" ? curveLearnSettings : defaultLearnSettings;
  const fromFile = options.settings === undefined ? defaults : await loadLearnSettings(defaults, options.settings);
  const reward = options.reward ?? fromFile.reward;
  const usual = reward === "proxy" ? 0 : domain === "curve" ? 1 : 3;
  const repetitions = options.repetitions ?? Math.max(rewardNamed(reward).minRepetitions, usual);
  const scheduled = (numEdits: number) => ({
    numEdits,
    schedule: halving === undefined ? uniformSchedule(numEdits, repetitions) : halvingRounds(numEdits, halving),
  });
  const isScheduled = edits !== undefined || halving !== undefined || options.repetitions !== undefined;
  const objectives = {
    "rest-em": { kind: "rest-em" },
    dpo: { kind: "preference", loss: "dpo" },
    ipo: { kind: "preference", loss: "ipo" },
    advantage: { kind: "advantage" },
  };
  const chosen = {
    ...(options.rounds !== undefined && { numRounds: options.rounds }),
    ...(options.passagesPerRound !== undefined && { passagesPerRound: options.passagesPerRound }),
    ...((isScheduled || reward === "proxy") && scheduled(edits ?? fromFile.numEdits)),
    reward,
    ...(update !== undefined && { update: { objective: objectives[update] } }),
  };
  return applyLearnSettings(fromFile, chosen, "the command line");
}

/** Options that curves have no use for, and why. */
const foreignToCurves = {
  passages: "tasks are drawn from --seed",
  heldOut: "held-out tasks are drawn from --seed; --held-out-limit says how many",
  prompts: "its prompts are fixed",
  teacher: "the policy alone writes edits",
  replay: "old text is drawn from the family of its own base",
  precision: "it computes in f32",
  register: "without canaries no gate can judge its policies",
} as const;

/** Rewards that a curve cannot give, and why. */
const foreignRewards: Readonly<Record<string, string>> = {
  proxy: "proxy reads prose, and edits are settings",
  retention: "retention counts canaries, of which there are none",
};

async function runCurve(command: Command, options: LearnOptions, context: VerbContext): Promise<void> {
  for (const [name, reason] of Object.entries(foreignToCurves))
    if (command.getOptionValueSource(name) === "cli")
      throw new SelkieError(
        "bad-option",
        `learn curve: expected no --${name.replace(/[A-Z]/, (letter) => `-${letter.toLowerCase()}`)}, because ${reason}; leave it out`,
      );
  const settings = await settingsOf(options, "curve");
  const reason = foreignRewards[settings.reward];
  if (reason !== undefined)
    throw new SelkieError(
      "bad-option",
      `learn curve: expected a reward of what was measured, got ${settings.reward} (${reason}); take dense, seal, binary, shrunk or length`,
    );
  const { runCurveLearning } = await import("../curve-learning.ts");
  const { describeLearning } = await import("../learning.ts");
  const isOwnModel = command.getOptionValueSource("model") === "cli";
  const result = await runCurveLearning(
    {
      modelDirectory: isOwnModel ? options.model : null,
      settings,
      ...{ numHeldOut: options.heldOutLimit ?? 40, seed: options.seed, root: options.out },
      ...{ isFresh: options.fresh ?? false, threads: options.threads },
    },
    context,
  );
  context.output.result(result, describeLearning(result));
}

async function run(options: LearnOptions, context: VerbContext): Promise<void> {
  if (options.passages === undefined)
    throw new SelkieError("bad-option", "learn knowledge: expected --passages with what to learn, got none; add it");
  const { resolveModel } = await import("../../app/index.ts");
  const { describeLearning, runLearning } = await import("../learning.ts");
  const { teacher, teacherModel } = options;
  const result = await runLearning(
    {
      modelDirectory: await resolveModel(options.model, options),
      passages: options.passages,
      heldOut: options.heldOut ?? null,
      heldOutLimit: options.heldOutLimit,
      prompts: options.prompts ?? null,
      teacher:
        teacher === undefined
          ? null
          : { address: teacher, model: teacherModel, apiKey: process.env["SELKIE_TEACHER_KEY"] },
      replay: options.replay,
      settings: await settingsOf(options, "knowledge"),
      seed: options.seed,
      root: options.out,
      isFresh: options.fresh ?? false,
      threads: options.threads,
      precision: options.precision,
      register: options.register ? options : null,
    },
    context,
  );
  context.output.result(result, describeLearning(result));
}
