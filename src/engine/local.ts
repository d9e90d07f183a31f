/**
 * @file An engine in this thread. Decoding, scoring and training are loops that give way to each other after every step,
 * so they share the processor step by step; each step computes one packed pass and touches nothing of the others.
 */
import {
  nextTokenKl,
  predictTokens,
  RunningBatch,
  type Sequence,
  scoreTokens,
  TextStream,
  toGeneration,
  toSequence,
  wholeRun,
  yieldToEvents,
} from "../generate/index.ts";
import { type Checkpoint, checkMergeable, mergeAdapter, saveCheckpoint, type Tokenizer } from "../models/index.ts";
import type { LoraAdapter, LoraModules } from "../nn/index.ts";
import type {
  AdapterResult,
  BankProgress,
  DatumLike,
  MeanLoss,
  PolicyProgress,
  SoftTargets,
  TaughtDocument,
  TrainingPlan,
} from "../train/index.ts";
import { createRng, SelkieError } from "../util/index.ts";
import { AdapterTable } from "./adapters.ts";
import { meanHidden } from "./embed.ts";
import type {
  AdapterId,
  Engine,
  EngineCall,
  EngineGeneration,
  EngineModel,
  EngineModelTraining,
  EngineProgress,
  EngineReading,
  EngineRequest,
  EngineStats,
  EngineStream,
  EngineTraining,
  WeightsId,
} from "./engine.ts";
import { digestWeights, KeptWeights } from "./kept-weights.ts";
import { collect, TokenStream } from "./stream.ts";
import { type TurnKind, Turns } from "./turns.ts";

/** Limits of an engine. */
export interface EngineLimits {
  /** Requests decoded together. @defaultValue 64 */
  readonly maxBatch?: number | undefined;
  /** Cache rows: tokens of prompts and completions held at once. One longer request still runs, alone. @defaultValue 16384 */
  readonly maxBatchTokens?: number | undefined;
}

/** A request in the running batch. */
interface Running {
  readonly sequence: Sequence;
  readonly text: TextStream;
  readonly stream: TokenStream;
  readonly adapter: AdapterId | null;
  /** Ends its turn; `null` before that has come. */
  leave: (() => void) | null;
}

const closed = (): SelkieError =>
  new SelkieError("engine-closed", "engine: expected one that is open, got one that was closed");
const stopped = (): SelkieError => new SelkieError("stopped", "engine: the request was cancelled");

/** A reading whose adapter has its place. */
interface HeldReading {
  readonly tokenIds: ArrayLike<number>;
  readonly adapterIndex: number | null;
}

/** Training is loaded where somebody trains: answering a question needs none of it. */
const trainer = () => import("../train/index.ts");

/** One after another, with a turn of the event loop between them. */
async function inTurn<T>(
  sequences: readonly HeldReading[],
  signal: AbortSignal,
  work: (sequence: HeldReading) => Promise<T>,
): Promise<T[]> {
  const results: T[] = [];
  for (const sequence of sequences) {
    signal.throwIfAborted();
    results.push(await work(sequence));
    await yieldToEvents();
  }
  return results;
}

/** The engine itself; `open.ts` and `load.ts` make one. */
export class LocalEngine implements Engine {
  readonly model: EngineModel;
  readonly tokenizer: Tokenizer;
  readonly #lm: Checkpoint["lm"];
  readonly #adapters: AdapterTable;
  readonly #batch: RunningBatch;
  readonly #running = new Map<Sequence, Running>();
  readonly #turns = new Turns();
  readonly #kept = new KeptWeights();
  readonly #closing = new AbortController();
  #isDecoding = false;

  constructor(checkpoint: Checkpoint, { maxBatch = 64, maxBatchTokens = 16384 }: EngineLimits) {
    const { lm, directory, digest, parts, tokenizer } = checkpoint;
    const { vocabSize, hiddenSize, maxSeqLen, linearLayers, precision, backend } = lm;
    const numParameters = lm.parameters.specs.reduce((sum, { name }) => sum + lm.parameters.get(name).size, 0);
    const { instructionSet, numThreads } = backend;
    this.model = {
      ...{ directory, digest, parts, vocabSize, hiddenSize, maxSeqLen, numParameters, linearLayers, precision },
      ...{ instructionSet, numThreads },
    };
    this.tokenizer = tokenizer;
    this.#lm = lm;
    this.#adapters = new AdapterTable(backend, linearLayers);
    this.#batch = new RunningBatch(lm, {
      ...{ maxBatch: Math.max(1, maxBatch), maxBatchTokens, wantLogprobs: true },
      bank: this.#adapters,
    });
  }

  submit(request: EngineRequest): EngineStream {
    const stream = new TokenStream();
    let running: Running;
    try {
      this.#closing.signal.throwIfAborted();
      running = this.#admit(request, stream);
    } catch (error) {
      stream.fail(error);
      return stream;
    }
    this.#running.set(running.sequence, running);
    stream.onCancel(() => {
      const isWaiting = running.leave === null;
      if (isWaiting || this.#batch.remove(running.sequence)) this.#end(running, stopped());
    });
    this.#turns.enter("shared", (leave) => {
      if (!this.#running.has(running.sequence)) return leave(); // cancelled before its turn
      running.leave = leave;
      this.#batch.add(running.sequence);
      if (!this.#isDecoding) void this.#decode();
    });
    return stream;
  }

  async generate(
    requests: readonly EngineRequest[],
    { signal, onProgress }: EngineCall<EngineProgress> = {},
  ): Promise<EngineGeneration[]> {
    signal?.throwIfAborted();
    return collect(
      requests.map((request) => this.submit(request) as TokenStream),
      { signal, onProgress },
    );
  }

  score(readings: readonly EngineReading[], call: EngineCall = {}): Promise<Float32Array[]> {
    return this.#read(readings, call, (sequences, signal) =>
      scoreTokens(this.#lm, sequences, { bank: this.#adapters, signal }),
    );
  }

  embed(readings: readonly EngineReading[], call: EngineCall = {}): Promise<Float32Array[]> {
    return this.#read(readings, call, (sequences, signal) =>
      inTurn(sequences, signal, async (sequence) => meanHidden(this.#lm, sequence, this.#adapters)),
    );
  }

  divergence(readings: readonly EngineReading[], call: EngineCall = {}): Promise<Float64Array[]> {
    return this.#read(readings, call, (sequences, signal) =>
      inTurn(sequences, signal, async (sequence) => {
        const { tokenIds, adapterIndex } = wholeRun("divergence", sequence, this.#lm, this.#adapters);
        if (adapterIndex === null) return new Float64Array(tokenIds.length);
        const [values] = await nextTokenKl(this.#lm, [tokenIds], { bank: this.#adapters, adapterIndex });
        return values!;
      }),
    );
  }

  predict(readings: readonly EngineReading[], call: EngineCall = {}): Promise<Float32Array[]> {
    return this.#read(readings, call, (sequences, signal) =>
      predictTokens(this.#lm, sequences, { bank: this.#adapters, signal }),
    );
  }

  async addAdapter(adapter: LoraAdapter, id?: AdapterId): Promise<AdapterId> {
    this.#closing.signal.throwIfAborted();
    return this.#adapters.add(adapter, id);
  }

  async removeAdapter(id: AdapterId): Promise<void> {
    this.#closing.signal.throwIfAborted();
    this.#adapters.remove(id);
  }

  trainAdapters(
    { jobs, seed, maxTokensPerStep }: EngineTraining,
    { signal: stop, onProgress }: EngineCall<BankProgress> = {},
  ): Promise<AdapterResult[]> {
    return this.#take("shared", stop, async (signal) => {
      const { trainAdapters } = await trainer();
      return trainAdapters({
        ...{ lm: this.#lm, jobs, seed, signal },
        ...(maxTokensPerStep !== undefined && { maxTokensPerStep }),
        ...(onProgress && { onProgress }),
      });
    });
  }

  softTargets(documents: readonly TaughtDocument[], options: { readonly topK: number }): Promise<SoftTargets[]> {
    return this.#take("shared", undefined, async () => (await trainer()).softTargetsOf(this.#lm, documents, options));
  }

  fisher(adapter: LoraAdapter, documents: readonly DatumLike[]): Promise<LoraModules> {
    return this.#take("shared", undefined, async () => (await trainer()).adapterFisher(this.#lm, adapter, documents));
  }

  meanLoss(documents: readonly DatumLike[]): Promise<MeanLoss> {
    return this.#take("shared", undefined, async () => (await trainer()).meanLoss(this.#lm, documents));
  }

  trainModel(
    plan: TrainingPlan,
    { signal: stop, onProgress }: EngineCall<PolicyProgress> = {},
  ): Promise<EngineModelTraining> {
    return this.#take("exclusive", stop, async (signal) => {
      if (plan.target.kind === "lora") checkMergeable(this.#lm, "trainModel"); // before the work, not after it
      const { trainPlanned } = await trainer();
      const { adapter, lossCurve, resumedFrom } = await trainPlanned(this.#lm, plan, { signal, onProgress });
      if (adapter !== null) mergeAdapter(this.#lm, adapter);
      return { lossCurve, resumedFrom };
    });
  }

  mergeAdapter(adapter: LoraAdapter, scale = 1): Promise<void> {
    return this.#take("exclusive", undefined, async () => mergeAdapter(this.#lm, adapter, scale));
  }

  keepWeights(): Promise<WeightsId> {
    return this.#take("shared", undefined, async () => this.#kept.keep(this.#lm));
  }

  restoreWeights(id: WeightsId): Promise<void> {
    return this.#take("exclusive", undefined, async () => this.#kept.restore(this.#lm, id));
  }

  async forgetWeights(id: WeightsId): Promise<void> {
    this.#kept.forget(id);
  }

  digestWeights(): Promise<string> {
    return this.#take("shared", undefined, async () => digestWeights(this.#lm));
  }

  save(directory: string): Promise<string> {
    const tokenizer = { copyFrom: this.model.directory };
    return this.#take("shared", undefined, () => saveCheckpoint(directory, { lm: this.#lm, tokenizer }));
  }

  async stats(): Promise<EngineStats> {
    const { liveBytes, peakBytes } = this.#lm.backend.memory();
    const { size, numActive, cacheRows } = this.#batch;
    return {
      numWaiting: size - numActive,
      numRunning: numActive,
      numAdapters: this.#adapters.size,
      ...{ cacheRows, liveBytes, peakBytes },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(closed());
    for (const running of [...this.#running.values()]) running.stream.cancel();
    await this.#turns.take("exclusive", async () => {
      while (this.#isDecoding) await yieldToEvents();
      this.#batch[Symbol.dispose]();
      this.#adapters[Symbol.dispose]();
      this.#lm[Symbol.dispose]();
    });
  }

  /** Runs a call in its turn; it stops when the caller says so or the engine is closed. */
  async #take<T>(kind: TurnKind, stop: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const closing = this.#closing.signal;
    const signal = stop === undefined ? closing : AbortSignal.any([closing, stop]);
    signal.throwIfAborted();
    return this.#turns.take(kind, async () => {
      signal.throwIfAborted();
      try {
        return await work(signal);
      } catch (error) {
        throw signal.aborted ? signal.reason : error; // however the work below put it
      }
    });
  }

  /** Checks a request and gives it an adapter's place; throws where it cannot be served. */
  #admit(request: EngineRequest, stream: TokenStream): Running {
    const {
      promptIds,
      maxNewTokens,
      sampler,
      stopTokens,
      stopStrings = [],
      adapter = null,
      rng,
      seed,
      topLogprobs,
    } = request;
    if (stopStrings.includes(""))
      throw new SelkieError("bad-option", "engine: expected stop strings of at least one character, got an empty one");
    const random = rng ?? (seed === undefined ? undefined : createRng(seed));
    const adapterIndex = adapter === null ? null : this.#adapters.acquire(adapter);
    try {
      const plain = { promptIds, maxNewTokens, adapterIndex, rng: random };
      const asked = {
        ...plain,
        ...(topLogprobs !== undefined && { topLogprobs }),
        ...(sampler && { sampler }),
        ...(stopTokens && { stopTokens }),
      };
      const sequence = toSequence(this.#lm, asked, "engine", { bank: this.#adapters });
      const text = new TextStream(this.tokenizer, promptIds, stopStrings);
      return { sequence, text, stream, adapter, leave: null };
    } catch (error) {
      if (adapter !== null) this.#adapters.release(adapter);
      throw error;
    }
  }

  /** Steps until nobody is left; a step that fails as a whole fails the requests in it, and the engine goes on. */
  async #decode(): Promise<void> {
    this.#isDecoding = true;
    this.#lm.parameters.freeze();
    await yieldToEvents(); // requests that come together enter together
    while (this.#batch.size > 0) {
      try {
        for (const sequence of this.#batch.step()) this.#advance(this.#running.get(sequence)!);
      } catch (error) {
        for (const running of [...this.#running.values()]) {
          this.#batch.remove(running.sequence);
          this.#end(running, error);
        }
      }
      await yieldToEvents();
    }
    this.#isDecoding = false;
  }

  /** Hands out the token that a request just got, and its end. */
  #advance(running: Running): void {
    const { sequence, text, stream } = running;
    if (sequence.error !== null) {
      this.#end(running, sequence.error);
      return;
    }
    const tokenId = sequence.tokenIds.at(-1)!;
    const isStopToken = sequence.stopReason === "stop";
    let added = isStopToken ? "" : text.push(tokenId);
    if (text.stopString !== null && sequence.stopReason === null) this.#batch.remove(sequence);
    if (text.stopString !== null) sequence.stopReason = "stop";
    else if (sequence.stopReason !== null) added += text.flush();
    stream.push({
      tokenId,
      logprob: sequence.logprobs.at(-1)!,
      topLogprobs: sequence.topLogprobs.at(-1)!,
      text: added,
    });
    if (sequence.stopReason !== null) this.#end(running, null);
  }

  #end(running: Running, error: unknown): void {
    const { sequence, text, stream, adapter } = running;
    this.#running.delete(sequence);
    if (adapter !== null) this.#adapters.release(adapter);
    running.leave?.();
    if (error !== null) stream.fail(error);
    else stream.finish({ ...toGeneration(sequence), text: text.text, stopString: text.stopString });
  }

  /** Reads sequences with the adapters they name, whose places are kept meanwhile. */
  async #read<T>(
    readings: readonly EngineReading[],
    { signal }: EngineCall,
    work: (sequences: readonly HeldReading[], signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    this.#closing.signal.throwIfAborted();
    const held = this.#hold(readings);
    try {
      return await this.#take("shared", signal, (stop) => work(held.sequences, stop));
    } finally {
      held.release();
    }
  }

  /** Places for the adapters of some readings, kept until `release`. */
  #hold(readings: readonly EngineReading[]): { sequences: readonly HeldReading[]; release: () => void } {
    const taken: AdapterId[] = [];
    const release = (): void => {
      for (const id of taken.splice(0)) this.#adapters.release(id);
    };
    try {
      const sequences = readings.map(({ tokenIds, adapter = null }) => {
        const adapterIndex = adapter === null ? null : this.#adapters.acquire(adapter);
        if (adapter !== null) taken.push(adapter);
        return { tokenIds, adapterIndex };
      });
      return { sequences, release };
    } catch (error) {
      release();
      throw error;
    }
  }
}
