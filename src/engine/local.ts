/**
 * @file An engine in this thread. Decoding, scoring and training are loops that give way to each other after every step,
 * so they share the processor step by step; each step computes one packed pass and touches nothing of the others.
 */
import {
  RunningBatch,
  type Sequence,
  scoreTokens,
  TextStream,
  toGeneration,
  toSequence,
  yieldToEvents,
} from "../generate/index.ts";
import type { Checkpoint, Tokenizer } from "../models/index.ts";
import type { LoraAdapter } from "../nn/index.ts";
import type { AdapterResult, BankProgress } from "../train/index.ts";
import { createRng, SelkieError } from "../util/index.ts";
import { AdapterTable } from "./adapters.ts";
import { meanHidden } from "./embed.ts";
import type {
  AdapterId,
  Engine,
  EngineCall,
  EngineGeneration,
  EngineModel,
  EngineProgress,
  EngineReading,
  EngineRequest,
  EngineStats,
  EngineStream,
  EngineTraining,
} from "./engine.ts";
import { collect, TokenStream } from "./stream.ts";

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
}

const stopped = (): SelkieError => new SelkieError("stopped", "engine: the request was cancelled");

class LocalEngine implements Engine {
  readonly model: EngineModel;
  readonly tokenizer: Tokenizer;
  readonly #checkpoint: Checkpoint;
  readonly #adapters: AdapterTable;
  readonly #batch: RunningBatch;
  readonly #running = new Map<Sequence, Running>();
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
    this.#checkpoint = checkpoint;
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
      running = this.#admit(request, stream);
    } catch (error) {
      stream.fail(error);
      return stream;
    }
    stream.onCancel(() => {
      if (this.#batch.remove(running.sequence)) this.#end(running, stopped());
    });
    this.#running.set(running.sequence, running);
    this.#batch.add(running.sequence);
    if (!this.#isDecoding) void this.#decode();
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

  async score(readings: readonly EngineReading[], { signal }: EngineCall = {}): Promise<Float32Array[]> {
    const held = await this.#hold(readings);
    try {
      return await scoreTokens(this.#checkpoint.lm, held.sequences, { bank: this.#adapters, signal });
    } finally {
      held.release();
    }
  }

  async embed(readings: readonly EngineReading[], { signal }: EngineCall = {}): Promise<Float32Array[]> {
    const held = await this.#hold(readings);
    try {
      const results: Float32Array[] = [];
      for (const sequence of held.sequences) {
        signal?.throwIfAborted();
        results.push(meanHidden(this.#checkpoint.lm, sequence, this.#adapters));
        await yieldToEvents();
      }
      return results;
    } finally {
      held.release();
    }
  }

  async addAdapter(adapter: LoraAdapter, id?: AdapterId): Promise<AdapterId> {
    return this.#adapters.add(adapter, id);
  }

  async removeAdapter(id: AdapterId): Promise<void> {
    this.#adapters.remove(id);
  }

  async trainAdapters(
    { jobs, seed, maxTokensPerStep }: EngineTraining,
    { signal, onProgress }: EngineCall<BankProgress> = {},
  ): Promise<AdapterResult[]> {
    const { trainAdapters } = await import("../train/index.ts"); // answering a question needs none of it
    return trainAdapters({
      lm: this.#checkpoint.lm,
      jobs,
      seed,
      ...(maxTokensPerStep !== undefined && { maxTokensPerStep }),
      ...(signal && { signal }),
      ...(onProgress && { onProgress }),
    });
  }

  async stats(): Promise<EngineStats> {
    const { liveBytes, peakBytes } = this.#checkpoint.lm.backend.memory();
    const { size, numActive, cacheRows } = this.#batch;
    return {
      numWaiting: size - numActive,
      numRunning: numActive,
      numAdapters: this.#adapters.size,
      ...{ cacheRows, liveBytes, peakBytes },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const running of [...this.#running.values()]) running.stream.cancel();
    while (this.#isDecoding) await yieldToEvents();
    this.#batch[Symbol.dispose]();
    this.#adapters[Symbol.dispose]();
    this.#checkpoint.lm[Symbol.dispose]();
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
      const sequence = toSequence(this.#checkpoint.lm, asked, "engine", { bank: this.#adapters });
      const text = new TextStream(this.tokenizer, promptIds, stopStrings);
      return { sequence, text, stream, adapter };
    } catch (error) {
      if (adapter !== null) this.#adapters.release(adapter);
      throw error;
    }
  }

  /** Steps until nobody is left; a step that fails as a whole fails the requests in it, and the engine goes on. */
  async #decode(): Promise<void> {
    this.#isDecoding = true;
    this.#checkpoint.lm.parameters.freeze();
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
    if (error !== null) stream.fail(error);
    else stream.finish({ ...toGeneration(sequence), text: text.text, stopString: text.stopString });
  }

  /** Places for the adapters of some readings, kept until `release`. */
  async #hold(readings: readonly EngineReading[]) {
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

/** An engine over a checkpoint that is loaded already; it owns the model from now on. */
export function createEngine(checkpoint: Checkpoint, limits: EngineLimits = {}): Engine {
  return new LocalEngine(checkpoint, limits);
}
