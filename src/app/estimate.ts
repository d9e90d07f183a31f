/**
 * @file Time and memory of an adaptation before it begins. The counts of work are known or nearly so: passages, edits,
 * questions, epochs. What a token and an update cost is measured on this very model, on this machine, in a fraction of a
 * second: a few adapters are trained for a few updates and a few texts decoded. How long the model's edits will be is a
 * guess, so the estimate is good to about a factor of two; progress corrects it as it goes.
 */
import {
  type AdaptSettings,
  finishedStages,
  type LearnSettings,
  type StageStore,
  trialsOfPassage,
} from "../adapt/index.ts";
import type { Engine } from "../engine/index.ts";
import type { LinearLayer, LoraConfig } from "../nn/index.ts";
import type { SourcePassage } from "../tasks/index.ts";
import { mean } from "../util/index.ts";

/** What work costs on this machine, with this model. */
export interface Rates {
  /** Of one update of the bank, before any token. */
  readonly secondsPerStep: number;
  /** Of a token, forward and backward. */
  readonly secondsPerTrainedToken: number;
  /** Of a token written, many texts side by side. */
  readonly secondsPerWrittenToken: number;
}

/** Counts that an adaptation's cost depends on. */
export interface AdaptationWork {
  readonly passageTokens: readonly number[];
  /** Questions that the adapters are compared by, of all passages, and those that are reported. */
  readonly numSelection: number;
  readonly numReported: number;
  /** Passages that the model has to write its own questions about. */
  readonly numWithoutQuestions: number;
  readonly numCanaries: number;
  readonly settings: AdaptSettings;
  readonly layers: readonly LinearLayer[];
}

/** What to expect. */
export interface Estimate {
  /** Still to go: of a run that goes on, without what is done. */
  readonly seconds: number;
  /** By stage, in the order of the stages, finished ones among them. */
  readonly secondsOf: Readonly<Record<string, number>>;
  /** Most memory of the process at any time. */
  readonly bytes: number;
}

/** An answer, and its question asked and scored, in written tokens. */
const tokensOfAnswer = 12;
/** Statements of a replay document and of an exam that the model writes, tokens. */
const [tokensOfReplay, tokensOfExam] = [32, 200];
/** A self-edit states what its passage says about once more, in documents of some length; the passage is one of them. */
const [tokensOfEdit, tokensOfDocument] = [1.1, 24];

/** Pure: what these counts cost at these rates, over the memory that is in use already. */
export function predictAdaptation(work: AdaptationWork, rates: Rates, bytesInUse: number): Estimate {
  const { passageTokens, settings, numSelection, numReported, numCanaries, numWithoutQuestions } = work;
  const { numEdits, innerLoop, finalLoop, replayShare, maxReplay } = settings;
  const numPassages = passageTokens.length;
  const tokens = numPassages * mean(passageTokens.length === 0 ? [0] : passageTokens);
  const writing = (count: number) => count * rates.secondsPerWrittenToken;
  const training = (steps: number, count: number) =>
    steps * rates.secondsPerStep + count * rates.secondsPerTrainedToken;
  const tokensLearned = tokens * (1 + tokensOfEdit); // of one edit of every passage
  const numDocuments = numPassages * Math.max(1, tokensLearned / Math.max(1, numPassages) / tokensOfDocument + 1);
  const numVisits = numDocuments * finalLoop.epochs;
  const numReplayVisits = (numVisits * replayShare) / (1 - replayShare);
  const numBanks = Math.ceil(numPassages / Math.max(1, Math.floor(settings.bankSize / numEdits)));
  const perEdit = numPassages === 0 ? 0 : (2 * numDocuments) / numPassages / innerLoop.documentsPerStep; // the longest of a bank sets its pace
  const finalSteps = (numVisits + numReplayVisits) / finalLoop.documentsPerStep;
  const tokensTrained = tokensLearned * finalLoop.epochs + numReplayVisits * tokensOfReplay;
  const exam = writing((numReported + numCanaries) * tokensOfAnswer);
  const secondsOf = {
    exam: writing(numWithoutQuestions * tokensOfExam),
    before: exam,
    propose: writing(numEdits * tokens * tokensOfEdit),
    try:
      training(numBanks * perEdit * innerLoop.epochs, numEdits * tokensLearned * innerLoop.epochs) +
      writing(numEdits * numSelection * tokensOfAnswer),
    replay: writing(Math.min(maxReplay, numReplayVisits) * tokensOfReplay),
    train: training(finalSteps, 2 * tokensTrained),
    after: 2 * exam,
  };
  const inBank = Math.min(settings.bankSize, Math.max(2, numPassages * numEdits));
  const seconds = Object.values(secondsOf).reduce((sum, each) => sum + each, 0);
  return {
    seconds,
    secondsOf,
    bytes: bytesInUse + heapBytes + adapterBytes(work.layers, innerLoop.lora.loraRank) * inBank,
  };
}

/** The same estimate for a run that goes on: the shares of its stages that are done, in [0, 1], take no more time. */
export function withoutFinished(estimate: Estimate, shareOf: Readonly<Record<string, number>>): Estimate {
  const saved = Object.entries(estimate.secondsOf).map(([stage, seconds]) => seconds * (shareOf[stage] ?? 0));
  return { ...estimate, seconds: Math.max(0, estimate.seconds - saved.reduce((sum, each) => sum + each, 0)) };
}

/** Counts that the cost of an outer loop depends on. */
export interface LearningWork {
  readonly passageTokens: readonly number[];
  readonly numHeldOut: number;
  readonly questionsPerPassage: number;
  readonly numCanaries: number;
  readonly settings: LearnSettings;
  readonly layers: readonly LinearLayer[];
}

/** Pure: what an outer loop costs at these rates, in all; its stages are too alike to be told apart beforehand. */
export function predictLearning(work: LearningWork, rates: Rates, bytesInUse: number): Estimate {
  const { settings, passageTokens, numHeldOut, questionsPerPassage, numCanaries, layers } = work;
  const { numRounds, numEdits, schedule, heldOutEdits, innerLoop, update, groupSize, numTrialCanaries } = settings;
  const perRound = settings.passagesPerRound ?? Math.floor(passageTokens.length / numRounds);
  const tokens = mean(passageTokens.length === 0 ? [0] : passageTokens);
  const numTrials = numRounds * perRound * trialsOfPassage(schedule);
  const numExamined = (numRounds + 1) * numHeldOut * heldOutEdits;
  const tokensOfTrial = tokens * (1 + tokensOfEdit * innerLoop.unionOf);
  const updates = (tokensOfTrial / tokensOfDocument + 1) / innerLoop.documentsPerStep;
  const stepsOfTrial = Math.min(2 * updates * innerLoop.epochs, innerLoop.maxSteps ?? Number.POSITIVE_INFINITY);
  const numGroups = (numTrials + numExamined) / groupSize;
  const trained =
    (numTrials + numExamined) * tokensOfTrial * (innerLoop.epochs / (1 - innerLoop.replayShare)) +
    (numRounds * perRound * update.epochs * tokensOfTrial) / (1 - update.replayShare);
  const written =
    (numRounds * perRound * numEdits + numExamined) * tokens * tokensOfEdit * innerLoop.unionOf +
    (numTrials * (questionsPerPassage + numTrialCanaries) + numExamined * questionsPerPassage) * tokensOfAnswer +
    (numRounds + 1) * numCanaries * tokensOfAnswer +
    settings.numReplay * tokensOfReplay;
  const steps = numGroups * stepsOfTrial + (numRounds * perRound * update.epochs) / update.documentsPerStep;
  const seconds =
    steps * rates.secondsPerStep + trained * rates.secondsPerTrainedToken + written * rates.secondsPerWrittenToken;
  const inBank = Math.min(groupSize, mostInBank);
  return {
    seconds,
    secondsOf: {},
    bytes: bytesInUse + heapBytes + adapterBytes(layers, innerLoop.lora.loraRank) * inBank,
  };
}

/** What texts, samples and buffers of one batch come to, as measured with the shipped model. */
const heapBytes = 200 * 2 ** 20;

/** Adapters in memory at once, as `trainAdapters` has it. */
const mostInBank = 64;

/** Weights, gradient and two moments of an adapter in training, f32. */
const adapterBytes = (layers: readonly LinearLayer[], loraRank: number): number =>
  16 * layers.reduce((sum, { inSize, outSize }) => sum + loraRank * (inSize + outSize), 0);

/** A probe that is quick is repeated larger, until one took this long. */
const enoughSeconds = 0.06;

/** Seconds of `work` at the first of the sizes that takes long enough, and that size; the first is run twice, to warm up. */
async function probe(
  sizes: readonly number[],
  work: (size: number) => Promise<void>,
): Promise<{ size: number; seconds: number }> {
  let last = { size: sizes[0]!, seconds: 0 };
  for (const size of [sizes[0]!, ...sizes]) {
    const start = performance.now();
    await work(size);
    last = { size, seconds: (performance.now() - start) / 1000 };
    if (last.seconds > enoughSeconds && size !== sizes[0]) break;
    if (last.seconds > 1) break;
  }
  return last;
}

/** Measures the rates of this model on this machine; a quarter of a second for small models, some seconds for large ones. */
export async function measureRates(engine: Engine, lora: LoraConfig, signal: AbortSignal): Promise<Rates> {
  const { model, tokenizer } = engine;
  const ids = (count: number) =>
    Array.from({ length: count }, (_, index) => (7 * index + 11) % Math.min(tokenizer.vocabSize, 256));
  const length = Math.min(tokensOfDocument, model.maxSeqLen - 16);
  const numSteps = 3;
  const train = async (numJobs: number) => {
    const jobs = Array.from({ length: numJobs }, (_, index) => ({
      ...{ id: `probe ${index}`, documents: [{ tokenIds: ids(length) }], lora },
      ...{ learningRate: 1e-6, epochs: numSteps },
    }));
    await engine.trainAdapters({ jobs, seed: 0 }, { signal });
  };
  const few = await probe([1], train);
  const many = await probe([2, 8, 16], train);
  const newTokens = 8;
  const write = async (count: number) => {
    const requests = Array.from({ length: count }, () => ({ promptIds: ids(length), maxNewTokens: newTokens }));
    await engine.generate(requests, { signal });
  };
  const written = await probe([2, 16, 48], write);
  const perStep = (seconds: number) => seconds / numSteps;
  const perToken = Math.max(0, perStep(many.seconds - few.seconds)) / ((many.size - few.size) * length);
  return {
    secondsPerStep: Math.max(0, perStep(few.seconds) - perToken * length),
    secondsPerTrainedToken: perToken,
    secondsPerWrittenToken: written.seconds / (written.size * newTokens),
  };
}

/** What learning these passages will take on this machine; measuring it takes a moment. */
export async function estimateAdaptation(
  engine: Engine,
  given: {
    readonly passages: readonly SourcePassage[];
    readonly settings: AdaptSettings;
    readonly numCanaries: number;
    /** Holds what an earlier start of the run has finished. */
    readonly store: StageStore;
    readonly signal: AbortSignal;
  },
): Promise<Estimate> {
  const { passages, settings, numCanaries, store, signal } = given;
  const count = (use: "selection" | "report") =>
    passages.reduce((sum, { questions }) => {
      const meant = questions.filter((question) => question.use === use || question.use === "both").length;
      return sum + (meant > 0 ? meant : questions.length); // exams take what there is
    }, 0);
  const rates = await measureRates(engine, settings.innerLoop.lora, signal);
  const work = {
    passageTokens: passages.map(({ context }) => engine.tokenizer.encode(context).length),
    numSelection: count("selection"),
    numReported: count("report"),
    numWithoutQuestions: passages.filter(({ questions }) => questions.length === 0).length,
    ...{ numCanaries, settings, layers: engine.model.linearLayers },
  };
  const estimate = predictAdaptation(work, rates, process.memoryUsage.rss());
  return withoutFinished(estimate, await finishedStages(store, settings, passages.length));
}
