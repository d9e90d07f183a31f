/**
 * @file Trials: one candidate trained once from the policy of its round and examined. Many train side by side in the
 * adapter bank, packed, without padding, each with the hyper-parameters of its edit. Trials of one task with equal `seed`
 * share their random numbers (first weights, order of documents), so that their difference is the edits' and not the draw's.
 */
import { type AdapterId, type EngineJob, withAdapters, withWeightsKept } from "../../engine/index.ts";
import { encodeContinuation, encodePrompt } from "../../models/index.ts";
import type { LoraAdapter } from "../../nn/index.ts";
import { digestOf } from "../../registry/index.ts";
import { type BankProgress, plannedRows, type TrainDocument, type TrainingPlan } from "../../train/index.ts";
import { createRng, type Rng } from "../../util/index.ts";
import { toTrainDocuments } from "../candidates.ts";
import type { TaskScore, TrainingJob } from "../domain.ts";
import { accuracy, type ExamAnswer, type ExamContext, type ExamItem, examine } from "../exam.ts";
import { fillTemplate } from "../prompts.ts";
import type { Source, Writer } from "../propose.ts";
import type { InnerLoop } from "../settings.ts";
import type { LearnInnerLoop } from "./settings.ts";

/** What to train on, and with which random numbers. */
export interface Trial extends TrainingJob {
  /** Index of the task. */
  readonly passage: number;
  readonly edit: number;
  readonly repetition: number;
  /** Names the random stream. */
  readonly seed: number;
  /** What the documents are about. */
  readonly source: Source;
  /** Exactly so many updates, epochs as they come; for comparisons at equal cost. @defaultValue the inner loop's epochs */
  readonly numSteps?: number;
}

/** Examines trained adapters, one score for each; the engine knows those that takers name. */
export type Examiner<T extends Trial, Score> = (
  model: ExamContext,
  takers: readonly { readonly trial: T; readonly adapter: AdapterId | null }[],
) => Promise<Score[]>;

/** What came of a trial, as it is recorded. */
export interface TrialRecord {
  readonly passage: number;
  readonly edit: number;
  readonly repetition: number;
  readonly seed: number;
  readonly accuracy: number;
  /** Nats per token of the gold answers. */
  readonly goldLogprob: number;
  /** Share of the canaries still answered right; `null` when none was asked. */
  readonly kept: number | null;
  readonly numSteps: number;
  /** SHA-256 of the trained weights. */
  readonly adapter: string;
  readonly status: "finished" | "diverged";
}

/** A trial with what its examiner found, before it is summed up. */
export interface ExaminedTrial<T extends Trial = Trial, Score = TaskScore> {
  readonly trial: T;
  /** What the examiner found; `null` when training diverged. */
  readonly score: Score | null;
  /** Answers to the canaries; `null` when training diverged. */
  readonly canaries: readonly ExamAnswer[] | null;
  readonly numSteps: number;
  /** Rows computed in training. */
  readonly numTokens: number;
  /** SHA-256 of the trained weights. */
  readonly adapter: string;
  readonly status: "finished" | "diverged";
}

/** Shared inputs of the trials of one round. */
export interface TrialContext extends Writer {
  /** Settings of a trial whose job names none of its own. */
  readonly innerLoop: LearnInnerLoop;
  /** Canaries the policy answers right before the trial. */
  readonly canaries: readonly ExamItem[];
  /** Old text to mix in; may be empty when the share is 0. */
  readonly replay: readonly string[];
  /** Told after every step of the bank. */
  readonly onTrain?: (progress: BankProgress) => void;
}

/** SHA-256 over names and values of all modules. */
export function digestAdapter({ loraRank, loraAlpha, modules }: LoraAdapter): string {
  const parts = [...modules].flatMap(([name, { loraA, loraB }]) => [name, bytesOf(loraA), bytesOf(loraB)]);
  return digestOf(JSON.stringify([loraRank, loraAlpha]), ...parts);
}

const bytesOf = (values: Float32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** Trains and examines; the result of a trial does not depend on the others beside it. */
export function examineTrials<T extends Trial, Score>(
  context: TrialContext,
  trials: readonly T[],
  examiner: Examiner<T, Score>,
): Promise<ExaminedTrial<T, Score>[]> {
  return context.innerLoop.method === "lora"
    ? examineBank(context, trials, examiner)
    : examineInTurn(context, trials, examiner);
}

/** {@link examineTrials}, summed up as it is recorded. */
export async function runTrials<T extends Trial>(
  context: TrialContext,
  trials: readonly T[],
  examiner: Examiner<T, TaskScore>,
): Promise<TrialRecord[]> {
  const examined = await examineTrials(context, trials, examiner);
  return examined.map((one) => record(one, context.engine.model.vocabSize));
}

/** Settings of a job: the run's, with the edit's own laid over them. */
export function settingsOfJob<Loop extends InnerLoop>(
  innerLoop: Loop,
  { settings }: Pick<TrainingJob, "settings">,
): Loop {
  return { ...innerLoop, ...settings, lora: { ...innerLoop.lora, ...settings?.lora } };
}

const streamOf = (seed: number): string => `trial-${seed}`;

/** What a trial trains on and for how long. */
interface Material {
  readonly documents: readonly TrainDocument[];
  readonly epochs: number;
  readonly maxSteps?: number;
}

async function materialOf(context: TrialContext, trial: Trial): Promise<Material> {
  const { documentsPerStep, maxSteps } = settingsOfJob(context.innerLoop, trial);
  const { documents, epochs } = await gatherDocuments(context, trial);
  if (trial.numSteps !== undefined) {
    const stepsPerEpoch = Math.ceil(documents.length / documentsPerStep);
    return { documents, epochs: Math.ceil(trial.numSteps / stepsPerEpoch), maxSteps: trial.numSteps };
  }
  return { documents, epochs, ...(maxSteps !== null && { maxSteps }) };
}

/** The documents of a trial and how often they are gone through; with replay, epochs are written out, replay is not repeated. */
async function gatherDocuments(context: TrialContext, trial: Trial): Promise<Material> {
  const { documents, source, seed } = trial;
  const { epochs, replayShare, anchor, distillation } = settingsOfJob(context.innerLoop, trial);
  const own =
    distillation === null
      ? documents.map((text) => toDocument(context, text, trial.answerAfter))
      : await teach(
          context,
          documents,
          fillTemplate(distillation.context, { title: source.title, passage: source.context }),
          distillation.topK,
        );
  if (replayShare === 0) return { documents: own, epochs };
  const numReplay = Math.round((own.length * epochs * replayShare) / (1 - replayShare));
  const order = createRng(streamOf(seed)).fork("replay").shuffle(context.replay).slice(0, numReplay);
  const old = anchor === null ? toTrainDocuments(context.engine, order) : await teach(context, order, "", anchor.topK);
  const replayed = Array.from({ length: numReplay }, (_, index) => old[index % old.length]!);
  return { documents: [...Array.from({ length: epochs }, () => own).flat(), ...replayed], epochs: 1 };
}

/** A document whose loss is on what stands behind the last `answerAfter`, or on all of it. */
export function toDocument(
  { engine }: Pick<Writer, "engine">,
  text: string,
  answerAfter: string | undefined,
): TrainDocument {
  const at = answerAfter === undefined ? -1 : text.lastIndexOf(answerAfter);
  if (at < 0) return toTrainDocuments(engine, [text])[0]!;
  const cut = at + answerAfter!.length;
  const { tokenIds, numPromptTokens } = encodeContinuation(engine.tokenizer, text.slice(0, cut), text.slice(cut));
  const whole = [...tokenIds, engine.tokenizer.eosTokenId];
  return { tokenIds: whole, lossMask: whole.map((_, index) => (index < numPromptTokens ? 0 : 1)) };
}

/** Documents to be learned as what the policy expects there, after reading `context`. */
async function teach(
  { engine }: TrialContext,
  texts: readonly string[],
  context: string,
  topK: number,
): Promise<TrainDocument[]> {
  const { tokenizer } = engine;
  const documents = toTrainDocuments(engine, texts);
  const prefix = context === "" ? [] : encodePrompt(tokenizer, context);
  const numReplaced = prefix.length > 0 ? tokenizer.prefixIds.length : 0; // the prefix has its own
  const targets = await engine.softTargets(
    documents.map(({ tokenIds }) => ({ tokenIds, prefix, numReplaced })),
    { topK },
  );
  return documents.map((document, index) => ({ ...document, softTargets: targets[index]! }));
}

const bankSeed = "trials"; // all that varies is in the stream's name

async function jobOf(context: TrialContext, trial: Trial): Promise<EngineJob> {
  const { lora, learningRate, documentsPerStep } = settingsOfJob(context.innerLoop, trial);
  return {
    id: `${trial.passage}/${trial.edit}/${trial.repetition}`,
    stream: streamOf(trial.seed),
    ...(await materialOf(context, trial)),
    lora,
    learningRate,
    documentsPerStep,
  };
}

/** Rows that each update of a trial's adapter will compute, before any is. */
export const plannedTokens = async (context: TrialContext, trial: Trial): Promise<number[]> =>
  plannedRows(context.engine.model, await jobOf(context, trial), bankSeed);

/** A trial without documents leaves the model as it is. */
const untrained = { numSteps: 0, numTokens: 0, status: "finished", adapter: digestOf("") } as const;

async function examineBank<T extends Trial, Score>(
  context: TrialContext,
  trials: readonly T[],
  examiner: Examiner<T, Score>,
): Promise<ExaminedTrial<T, Score>[]> {
  const { engine, signal, onTrain } = context;
  const trained = trials.filter(({ documents }) => documents.length > 0);
  const jobs: EngineJob[] = [];
  for (const trial of trained) jobs.push(await jobOf(context, trial));
  const results =
    jobs.length === 0 ? [] : await engine.trainAdapters({ jobs, seed: bankSeed }, { signal, onProgress: onTrain });
  const resultOf = new Map(trained.map((trial, index) => [trial, results[index]!]));
  const isFit = (trial: T): boolean => resultOf.get(trial)?.status !== "diverged";
  const fit = trained.filter(isFit);
  const sheetOf = await withAdapters(
    engine,
    fit.map((trial) => resultOf.get(trial)!.adapter),
    (ids) => {
      const idOf = new Map(fit.map((trial, index) => [trial, ids[index]!]));
      const takers = trials.filter(isFit).map((trial) => ({ trial, adapter: idOf.get(trial) ?? null }));
      return giveExams(context, context.canaries, takers, examiner);
    },
  );
  return trials.map((trial) => {
    const result = resultOf.get(trial);
    const found = sheetOf.get(trial) ?? { score: null, canaries: null };
    if (result === undefined) return { trial, ...found, ...untrained };
    const { adapter, numSteps, numTokens, status } = result;
    return { trial, ...found, numSteps, numTokens, status, adapter: digestAdapter(adapter) };
  });
}

/** The examiner's scores, and answers to the canaries, by trial. */
async function giveExams<T extends Trial, Score>(
  model: ExamContext,
  canaries: readonly ExamItem[],
  takers: Parameters<Examiner<T, Score>>[1],
  examiner: Examiner<T, Score>,
): Promise<Map<T, { readonly score: Score; readonly canaries: readonly ExamAnswer[] }>> {
  const scores = await examiner(model, takers);
  const asked = takers.map(({ adapter }) => ({ adapter, items: canaries }));
  const answers = await examine(model, asked);
  return new Map(takers.map(({ trial }, index) => [trial, { score: scores[index]!, canaries: answers[index]! }]));
}

function record({ trial, score, canaries, ...rest }: ExaminedTrial<Trial, TaskScore>, vocabSize: number): TrialRecord {
  const { passage, edit, repetition, seed } = trial;
  return {
    passage,
    edit,
    repetition,
    seed,
    accuracy: score?.accuracy ?? 0,
    goldLogprob: finite(score?.goldLogprob, -Math.log(vocabSize)), // a diverged adapter knows as much as a guess
    kept: accuracy(canaries ?? []),
    numSteps: rest.numSteps,
    adapter: rest.adapter,
    status: rest.status,
  };
}

const finite = (value: number | undefined, otherwise: number): number =>
  value !== undefined && Number.isFinite(value) ? value : otherwise;

/** Full finetuning: each trial changes the policy's own weights, which are put back after its exam. */
function examineInTurn<T extends Trial, Score>(
  context: TrialContext,
  trials: readonly T[],
  examiner: Examiner<T, Score>,
): Promise<ExaminedTrial<T, Score>[]> {
  return withWeightsKept(context.engine, async (restore) => {
    const examined: ExaminedTrial<T, Score>[] = [];
    for (const trial of trials) {
      examined.push(await finetune(context, trial, examiner));
      await restore();
    }
    return examined;
  });
}

async function finetune<T extends Trial, Score>(
  context: TrialContext,
  trial: T,
  examiner: Examiner<T, Score>,
): Promise<ExaminedTrial<T, Score>> {
  const { engine, signal } = context;
  const { documents, epochs, maxSteps = Number.POSITIVE_INFINITY } = await materialOf(context, trial);
  const { documentsPerStep, learningRate } = settingsOfJob(context.innerLoop, trial);
  const seed = streamOf(trial.seed);
  const order = ordered([...documents.keys()], epochs, createRng(seed).fork("order"));
  const numSteps = Math.min(Math.ceil(order.length / documentsPerStep), maxSteps);
  const updates = Array.from({ length: numSteps }, (_, step) => ({
    documents: order.slice(step * documentsPerStep, (step + 1) * documentsPerStep),
  }));
  const plan: TrainingPlan = { target: { kind: "full" }, documents, updates, learningRate, seed };
  const status = await engine.trainModel(plan, { signal }).then(
    () => "finished" as const,
    (error: unknown) => {
      if ((error as { code?: string }).code === "diverged") return "diverged" as const;
      throw error;
    },
  );
  const takers = status === "diverged" ? [] : [{ trial, adapter: null }];
  const sheets = await giveExams(context, context.canaries, takers, examiner);
  const found = sheets.get(trial) ?? { score: null, canaries: null };
  const numTokens = updates
    .flatMap((update) => update.documents)
    .reduce((sum, index) => sum + documents[index]!.tokenIds.length - 1, 0);
  return { trial, ...found, numSteps, numTokens, status, adapter: await engine.digestWeights() };
}

/** The items of all epochs, each epoch in its own random order. */
const ordered = <T>(items: readonly T[], epochs: number, rng: Rng): T[] =>
  Array.from({ length: epochs }, (_, epoch) => rng.fork(epoch).shuffle(items)).flat();
