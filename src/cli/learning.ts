/** @file What `learn` does with its options: opening models and passages, running the outer loop, telling what happened. */

import { rm } from "node:fs/promises";
import {
  checkpointTeacher,
  type EditWriter,
  type EvaluationReport,
  endpointTeacher,
  finishedTrials,
  keptStage,
  type LearnedRound,
  type LearnKnowledgeArgs,
  type LearnReport,
  type LearnSettings,
  learnKnowledge,
  loadCanaries,
  loadPrompts,
  loadPromptsFile,
  type PromptTemplates,
  policyWriter,
  type RoundReport,
  stagesOf,
} from "../adapt/index.ts";
import {
  checkTarget,
  describePolicies,
  gradeRecord,
  loadGate,
  measureRates,
  openVerbStore,
  predictLearning,
  registerPolicies,
} from "../app/index.ts";
import { arithmeticOf, type Engine, openEngine } from "../engine/index.ts";
import { digestCheckpoint, requireModel } from "../models/index.ts";
import { createRun, digestOf, type Json, type Run, type StoredRecord } from "../registry/index.ts";
import {
  almanacPassages,
  createWorld,
  loadPassages,
  pretrainingDocuments,
  readText,
  type SourcePassage,
} from "../tasks/index.ts";
import { countOf, type Rng } from "../util/index.ts";
import { formatSeconds, formatShare, formatTable, wrapProse } from "./format.ts";
import { asStarted } from "./invocation.ts";
import { isAlmanac, readHeldOut, refuseTestPeople, roundPeople } from "./people.ts";
import { createProgressTeller, describeEstimate } from "./progress.ts";
import type { RegisterTarget } from "./store-options.ts";
import type { VerbContext } from "./verb.ts";

/** What to learn from, and how. */
export interface LearningArgs {
  readonly modelDirectory: string;
  /** Files, folders, or `almanac` for people the shipped model has never read about. */
  readonly passages: string;
  readonly heldOut: string | null;
  /** First so many held-out passages. */
  readonly heldOutLimit: number | undefined;
  readonly prompts: string | null;
  readonly teacher: { readonly address: string; readonly model: string; readonly apiKey: string | undefined } | null;
  /** `self`, `almanac` or a text file with one document per line. */
  readonly replay: string;
  readonly settings: LearnSettings;
  readonly seed: number;
  /** Holds the run's own directory. */
  readonly root: string;
  readonly isFresh: boolean;
  readonly threads: number | undefined;
  readonly precision: string | undefined;
  /** Store that receives every round's policy as a candidate. @defaultValue none is stored */
  readonly register?: RegisterTarget | null;
}

/** The report and where everything is. */
export interface LearningResult {
  readonly runDirectory: string;
  /** One per round; each is a checkpoint directory like the one it came from. */
  readonly policies: readonly string[];
  readonly report: LearnReport;
  readonly seconds: number;
  readonly isRepeated: boolean;
  /** Records of the policies, with the gate's judgements, where they were stored. */
  readonly registered?: readonly StoredRecord[];
}

/** Passages of files and folders, or of the Almanac's people that rounds learn from; nobody of the test set. */
export async function readPassages(source: string): Promise<readonly SourcePassage[]> {
  if (isAlmanac(source)) return almanacPassages(roundPeople());
  return refuseTestPeople(await loadPassages([source]), source);
}

function* take<T>(items: Iterator<T>, count: number): Generator<T> {
  for (let index = 0; index < count; index++) {
    const { value, done } = items.next();
    if (done) return;
    yield value;
  }
}

/** Old text by the name of its source; `null` samples it from the model. */
async function readReplay(
  source: string,
): Promise<{ text: string; of: (count: number, rng: Rng) => Promise<string[]> } | null> {
  if (source === "self") return null;
  if (isAlmanac(source))
    return { text: source, of: async (count, rng) => [...take(pretrainingDocuments(createWorld(), rng), count)] };
  const text = await readText(source);
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return { text, of: async (count, rng) => rng.shuffle(lines).slice(0, count) };
}

const isAddress = (text: string): boolean => /^https?:\/\//.test(text);

/** Who writes the edits, and what names them in the run. */
async function openWriter(
  { teacher, prompts }: LearningArgs,
  templates: PromptTemplates,
  open: (directory: string) => Promise<Engine>,
): Promise<{ writer: EditWriter; name: Json } & AsyncDisposable> {
  if (teacher === null) return { writer: policyWriter, name: "policy", [Symbol.asyncDispose]: async () => {} };
  if (isAddress(teacher.address)) {
    const { address: url, model, apiKey } = teacher;
    const writer = endpointTeacher({ url, model, apiKey, ...(prompts !== null && { templates }) });
    return { writer, name: { url, model }, [Symbol.asyncDispose]: async () => {} };
  }
  const engine = await open(teacher.address);
  const own = await loadPrompts(teacher.address);
  return {
    writer: checkpointTeacher({ engine, templates: own }),
    name: { engine: engine.model.digest, templates: own as unknown as Json },
    [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
  };
}

/** SHA-256 of all that an examination sees of them. */
export const digestPassages = (passages: readonly SourcePassage[]): string =>
  digestOf(JSON.stringify(passages.map(({ id, title, context, questions }) => [id, title, context, questions])));

/** Tells what the outer loop will take, from a moment's measurement with the model that is opened first. */
async function tellEstimate(
  engine: Engine,
  { settings }: LearningArgs,
  { passages, heldOut, canaries, store }: Pick<LearnKnowledgeArgs, "passages" | "heldOut" | "canaries" | "store">,
  { output, signal }: VerbContext,
): Promise<void> {
  const rates = await measureRates(engine, settings.innerLoop.lora, signal);
  const passagesPerRound = settings.passagesPerRound ?? Math.floor(passages.length / settings.numRounds);
  const share = await finishedTrials(store, { settings, passagesPerRound, numHeldOut: heldOut.length });
  const questions = passages.reduce((sum, passage) => sum + passage.questions.length, 0);
  const estimate = predictLearning(
    {
      passageTokens: passages.map(({ context }) => engine.tokenizer.encode(context).length),
      numHeldOut: heldOut.length,
      questionsPerPassage: passages.length === 0 ? 0 : questions / passages.length / 2, // half of them select, half report
      numCanaries: canaries.items.length,
      ...{ settings, layers: engine.model.linearLayers },
    },
    rates,
    process.memoryUsage.rss(),
  );
  output.note(
    describeEstimate(
      { ...estimate, seconds: (1 - share) * estimate.seconds },
      `${countOf(settings.numRounds, "round")} and ${countOf(heldOut.length, "held-out passage")}`,
    ),
  );
}

/** Runs the outer loop, goes on with one that was interrupted, or repeats the result of one that finished. */
export async function runLearning(args: LearningArgs, context: VerbContext): Promise<LearningResult> {
  const began = performance.now();
  const { output, signal } = context;
  requireModel(args.modelDirectory);
  if (args.register) checkTarget(args.register); // what is needed after hours of work is opened before it
  const passages = await readPassages(args.passages);
  const { heldOut: source, heldOutLimit: limit } = args;
  const heldOut = source === null ? [] : (await readHeldOut({ source, limit, isTestSet: false }, output.note)).passages;
  const replay = await readReplay(args.replay);
  const templates =
    args.prompts === null ? await loadPrompts(args.modelDirectory) : await loadPromptsFile(args.prompts);
  const { threads } = args;
  const arithmetic = { threads, precision: args.precision };
  const { precision, instructionSet } = await arithmeticOf({ ...arithmetic, warn: output.note });
  const open = (directory: string) => openEngine(directory, arithmetic);
  await using written = await openWriter(args, templates, open);
  const canaries = await loadCanaries(args.modelDirectory);
  const config = { settings: args.settings, templates, writer: written.name, precision, instructionSet };
  const request = {
    kind: "learn",
    config: config as unknown as Json,
    inputs: {
      base: await digestCheckpoint(args.modelDirectory),
      passages: digestPassages(passages),
      heldOut: digestPassages(heldOut),
      replay: digestOf(replay?.text ?? "self"),
      canaries: digestOf(JSON.stringify(canaries)),
    },
    seed: args.seed,
  };
  using run = createRun(args.root, request, { clock: Date.now, isFresh: args.isFresh });
  if (run.status === "resumed") output.note(`going on with ${run.directory}`);
  if (run.status !== "finished") {
    const store = stagesOf(run);
    let isFirst = true;
    const openPolicy = async (directory: string) => {
      const engine = await open(directory);
      if (isFirst) await tellEstimate(engine, args, { passages, heldOut, canaries, store }, context);
      isFirst = false;
      return engine;
    };
    const report = await learnKnowledge({
      modelDirectory: args.modelDirectory,
      openPolicy,
      templates,
      canaries,
      passages,
      heldOut,
      writer: written.writer,
      oldText: replay?.of ?? null,
      settings: args.settings,
      seed: args.seed,
      store,
      directoryOf: (name) => run.artifactPath(name),
      signal,
      onEvent: createProgressTeller(output),
    });
    await finish(run, report, (performance.now() - began) / 1000);
  }
  const result = readResult(run);
  if (!args.register) return result;
  return { ...result, registered: await register(args, args.register, run, result, context) };
}

/** Stores the policies that are not stored yet, and has the gate judge them. */
async function register(
  { settings, seed, modelDirectory, threads, precision }: LearningArgs,
  target: RegisterTarget,
  run: Run,
  { report }: LearningResult,
  { output, signal }: VerbContext,
): Promise<StoredRecord[]> {
  output.progress("the gate examines the policies", { isStage: true });
  using store = openVerbStore(target, { create: true });
  const policy = loadGate(target.store, target.gate);
  const stages = stagesOf(run);
  const learning = {
    ...{ run: run.manifest.runId, report, settings, seed, modelDirectory },
    directoryOf: (round: RoundReport) => run.checkArtifact(round.policy.directory),
    learnedIn: async ({ round }: RoundReport) => (await stages.read(keptStage(round))) as LearnedRound | null,
  };
  const options = { policy, threads, precision, signal };
  return await registerPolicies(store, learning, async (record) => (await gradeRecord(store, record, options)).record);
}

/** The result of a finished run. */
export function readResult(run: Run): LearningResult {
  const { seconds, ...report } = JSON.parse(run.readArtifact("report.json")!.toString("utf8")) as LearnReport & {
    seconds: number;
  };
  return {
    runDirectory: run.directory,
    policies: report.rounds.map(({ policy }) => run.artifactPath(policy.directory)),
    report,
    seconds,
    isRepeated: run.status === "finished",
  };
}

/** Writes the report, drops the training state, which nothing needs any more, and marks the run as finished. */
export async function finish(run: Run, report: LearnReport, seconds: number): Promise<void> {
  run.writeArtifact("report.json", `${JSON.stringify({ ...report, seconds }, null, 1)}\n`);
  for (const { policy } of report.rounds) run.sealArtifact(policy.directory);
  await rm(run.artifactPath("training"), { recursive: true, force: true });
  run.finish({ policies: report.rounds.map(({ policy }) => policy.digest) });
}

/** The report as people read it. */
export function describeLearning({
  report,
  policies,
  runDirectory: place,
  seconds,
  isRepeated,
  registered,
}: LearningResult): string {
  return [
    describeRounds(report.rounds),
    wrapProse(roundsKey),
    ...(report.evaluations.length > 0 ? [describeEvaluations(report.evaluations), wrapProse(evaluationsKey)] : []),
    ...(registered === undefined ? [] : [wrapProse(asStarted(describePolicies(registered)))]),
    wrapProse(`The last policy: ${policies.at(-1)} (a checkpoint: use it with --model)`),
    wrapProse(
      `Everything the run did: ${place} (${formatSeconds(seconds)}${isRepeated ? ", finished earlier; --fresh runs it again" : ""})`,
    ),
  ].join("\n\n");
}

const roundsKey =
  "Before: right answers of the policy that begins the round. All edits, kept: right after learning any edit, and one of those that the policy then learns from. ICC: share of signal in what the reward says of the edits of one passage.";
const evaluationsKey =
  "Right after one edit: of passages no round saw, with 95 % intervals. Kept: old answers still right, after an edit and of the policy itself.";

const kindsText = (kinds: Readonly<Record<string, number>>): string =>
  Object.entries(kinds)
    .sort(([, a], [, b]) => b - a)
    .map(([kind, number]) => `${number} ${kind}`)
    .join(", ");

function describeRounds(rounds: readonly RoundReport[]): string {
  const rows = rounds.map((round) => [
    `${round.round}`,
    `${round.passageIds.length}`,
    `${round.numTrials}`,
    formatShare(round.baseAccuracy),
    formatShare(round.meanAccuracy),
    formatShare(round.keptAccuracy),
    round.meanReward.toFixed(3),
    round.bestReward.toFixed(3),
    round.reliability === null ? "–" : round.reliability.ofAll.value.toFixed(2),
    kindsText(round.keptKinds),
  ]);
  const head = [
    "round",
    "passages",
    "trials",
    "before",
    "all edits",
    "kept",
    "mean reward",
    "best",
    "ICC",
    "kept kinds",
  ];
  return formatTable([head, ...rows], [0, 1, 2, 3, 4, 5, 6, 7, 8]);
}

function describeEvaluations(evaluations: readonly EvaluationReport[]): string {
  const points = (value: number) => `${value >= 0 ? "+" : ""}${(100 * value).toFixed(1)}`;
  const rows = evaluations.map(({ round, accuracy, overUntrained, kept, policyKept, kinds, meanTokens }) => [
    round === 0 ? "untrained" : `round ${round}`,
    `${(100 * accuracy.mean).toFixed(1)} % [${(100 * accuracy.low).toFixed(1)}, ${(100 * accuracy.high).toFixed(1)}]`,
    overUntrained === null
      ? ""
      : `${points(overUntrained.mean)} [${points(overUntrained.low)}, ${points(overUntrained.high)}]`,
    formatShare(kept),
    formatShare(policyKept),
    `${Math.round(meanTokens)}`,
    kindsText(kinds),
  ]);
  const head = [
    "held-out",
    "right after one edit",
    "over untrained",
    "kept by edits",
    "kept by policy",
    "tokens",
    "kinds",
  ];
  return formatTable([head, ...rows], [1, 2, 3, 4, 5]);
}
