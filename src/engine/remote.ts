/**
 * @file An engine in a worker thread: the caller's thread sends requests and gets tokens, and its event loop stays free
 * whatever the model computes.
 */
import { Worker } from "node:worker_threads";
import type { Tokenizer } from "../models/index.ts";
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
import { SelkieError } from "../util/index.ts";
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
import type { OpenEngineOptions } from "./load.ts";
import {
  type CallName,
  type Calls,
  type ClientMessage,
  receiveError,
  sendRequest,
  type WorkerData,
  type WorkerMessage,
} from "./messages.ts";
import { TokenStream } from "./stream.ts";

/** A call that has not ended. */
interface Pending {
  readonly resolve: (result: never) => void;
  readonly reject: (error: unknown) => void;
  readonly onEvent: ((event: never) => void) | undefined;
}

class RemoteEngine implements Engine {
  readonly model: EngineModel;
  readonly tokenizer: Tokenizer;
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #nextId = 0;
  #lost: unknown = null;

  constructor(worker: Worker, model: EngineModel, tokenizer: Tokenizer, warn: ((message: string) => void) | undefined) {
    this.#worker = worker;
    this.model = model;
    this.tokenizer = tokenizer;
    worker.on("message", (message: WorkerMessage) => {
      if (message.type === "warning") warn?.(message.message);
      else this.#receive(message);
    });
    worker.on("error", (error) => this.#lose(error));
    worker.on("exit", () =>
      this.#lose(new SelkieError("engine-closed", "engine: expected one that is open, got one that was closed")),
    );
    worker.unref();
  }

  submit(request: EngineRequest): EngineStream {
    const stream = new TokenStream();
    const { id, result } = this.#start("submit", sendRequest(request), (event) => stream.push(event));
    stream.onCancel(() => this.#post({ type: "cancel", id }));
    result.then(
      (generation) => stream.finish(generation),
      (error) => stream.fail(error),
    );
    return stream;
  }

  generate(requests: readonly EngineRequest[], call: EngineCall<EngineProgress> = {}): Promise<EngineGeneration[]> {
    return this.#call("generate", requests.map(sendRequest), call);
  }

  score(readings: readonly EngineReading[], call: EngineCall = {}): Promise<Float32Array[]> {
    return this.#call("score", readings, call);
  }

  embed(readings: readonly EngineReading[], call: EngineCall = {}): Promise<Float32Array[]> {
    return this.#call("embed", readings, call);
  }

  addAdapter(adapter: LoraAdapter, id?: AdapterId): Promise<AdapterId> {
    return this.#call("addAdapter", { adapter, id }, {});
  }

  removeAdapter(id: AdapterId): Promise<void> {
    return this.#call("removeAdapter", id, {});
  }

  trainAdapters(training: EngineTraining, call: EngineCall<BankProgress> = {}): Promise<AdapterResult[]> {
    return this.#call("trainAdapters", training, call);
  }

  divergence(readings: readonly EngineReading[], call: EngineCall = {}): Promise<Float64Array[]> {
    return this.#call("divergence", readings, call);
  }

  predict(readings: readonly EngineReading[], call: EngineCall = {}): Promise<Float32Array[]> {
    return this.#call("predict", readings, call);
  }

  softTargets(documents: readonly TaughtDocument[], { topK }: { readonly topK: number }): Promise<SoftTargets[]> {
    return this.#call("softTargets", { documents, topK }, {});
  }

  fisher(adapter: LoraAdapter, documents: readonly DatumLike[]): Promise<LoraModules> {
    return this.#call("fisher", { adapter, documents }, {});
  }

  meanLoss(documents: readonly DatumLike[]): Promise<MeanLoss> {
    return this.#call("meanLoss", documents, {});
  }

  trainModel(plan: TrainingPlan, call: EngineCall<PolicyProgress> = {}): Promise<EngineModelTraining> {
    return this.#call("trainModel", plan, call);
  }

  mergeAdapter(adapter: LoraAdapter, scale = 1): Promise<void> {
    return this.#call("mergeAdapter", { adapter, scale }, {});
  }

  keepWeights(): Promise<WeightsId> {
    return this.#call("keepWeights", null, {});
  }

  restoreWeights(id: WeightsId): Promise<void> {
    return this.#call("restoreWeights", id, {});
  }

  forgetWeights(id: WeightsId): Promise<void> {
    return this.#call("forgetWeights", id, {});
  }

  digestWeights(): Promise<string> {
    return this.#call("digestWeights", null, {});
  }

  save(directory: string): Promise<string> {
    return this.#call("save", directory, {});
  }

  stats(): Promise<EngineStats> {
    return this.#call("stats", null, {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#lost !== null) return;
    this.#worker.ref();
    const exited = new Promise((resolve) => this.#worker.once("exit", resolve));
    this.#post({ type: "close" });
    await exited;
  }

  /** One call from its message to its answer, stopped by the caller's signal. */
  async #call<Name extends CallName>(
    name: Name,
    args: Calls[Name]["args"],
    { signal, onProgress }: EngineCall<Calls[Name]["event"]>,
  ): Promise<Calls[Name]["result"]> {
    signal?.throwIfAborted();
    const { id, result } = this.#start(name, args, onProgress);
    const cancel = (): void => this.#post({ type: "cancel", id });
    signal?.addEventListener("abort", cancel);
    try {
      return await result;
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener("abort", cancel);
    }
  }

  #start<Name extends CallName>(
    name: Name,
    args: Calls[Name]["args"],
    onEvent: ((event: Calls[Name]["event"]) => void) | undefined,
  ): { readonly id: number; readonly result: Promise<Calls[Name]["result"]> } {
    const id = this.#nextId++;
    const result = new Promise<Calls[Name]["result"]>((resolve, reject) => {
      if (this.#lost !== null) {
        reject(this.#lost);
        return;
      }
      this.#pending.set(id, { resolve: resolve as Pending["resolve"], reject, onEvent: onEvent as Pending["onEvent"] });
      this.#worker.ref(); // a process with work in flight must not end
      this.#post({ type: "call", id, name, args });
    });
    return { id, result };
  }

  #post(message: ClientMessage): void {
    this.#worker.postMessage(message);
  }

  #receive(message: WorkerMessage): void {
    if (message.type !== "event" && message.type !== "result" && message.type !== "error") return;
    const pending = this.#pending.get(message.id);
    if (pending === undefined) return;
    if (message.type === "event") {
      pending.onEvent?.(message.event as never);
      return;
    }
    this.#pending.delete(message.id);
    if (this.#pending.size === 0) this.#worker.unref();
    if (message.type === "result") pending.resolve(message.result as never);
    else pending.reject(receiveError(message.error));
  }

  /** The thread is gone: every call fails, now and later. */
  #lose(error: unknown): void {
    this.#lost ??= error;
    for (const { reject } of this.#pending.values()) reject(this.#lost);
    this.#pending.clear();
  }
}

/** This file is compiled to JavaScript in a package, and the worker beside it with it. */
const workerFile = new URL(import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js", import.meta.url);

/** Loads the checkpoint in `directory` in a thread of its own. */
export async function openEngine(directory: string, options: OpenEngineOptions = {}): Promise<Engine> {
  const { threads, precision, weights, instructionSet, maxBatch, maxBatchTokens, warn } = options;
  const workerData: WorkerData = { directory, threads, precision, weights, instructionSet, maxBatch, maxBatchTokens };
  const worker = new Worker(workerFile, { workerData });
  try {
    const model = ready(worker, warn);
    model.catch(() => {}); // told below
    const { limitTokenizer, loadTokenizer } = await import("../models/index.ts"); // while the worker loads the model
    const { vocabSize } = await model;
    const tokenizer = limitTokenizer(await loadTokenizer(directory), vocabSize, directory);
    return new RemoteEngine(worker, await model, tokenizer, warn);
  } catch (error) {
    await worker.terminate();
    throw error;
  }
}

function ready(worker: Worker, warn: ((message: string) => void) | undefined): Promise<EngineModel> {
  return new Promise((resolve, reject) => {
    const listen = (message: WorkerMessage): void => {
      if (message.type === "warning") warn?.(message.message);
      else if (message.type === "failed") reject(receiveError(message.error));
      else if (message.type === "ready") {
        worker.off("message", listen);
        worker.off("error", reject);
        resolve(message.model);
      }
    };
    worker.on("message", listen);
    worker.on("error", reject);
  });
}
