/** @file The model as a program uses it: open, learn, ask, score, close. The command line does the same by the same functions. */
import type { AdaptEvent } from "../adapt/index.ts";
import { type AdapterId, type Engine, loadEngine } from "../engine/index.ts";
import { loadAdapter } from "../models/index.ts";
import type { SourcePassage } from "../tasks/index.ts";
import type { QuantisedFormat } from "../tensor/index.ts";
import { defaultStore, SelkieError, shippedModelDirectory } from "../util/index.ts";
import { type AdaptationContext, learnInMemory, learnInRun, originOf } from "./adaptation.ts";
import { openAdapter, readAdapter } from "./adapter.ts";
import { type Answer, type AnswerOptions, answerQuestion } from "./ask.ts";
import { silentOutput } from "./context.ts";
import { type Adapter, Learned } from "./learned.ts";
import { resolveModel } from "./policies.ts";
import { scoreText, type TextScore } from "./score-text.ts";
import { checkSettings, type LearnDials, settingsOf } from "./settings.ts";
import { type PassageInput, readSources } from "./sources.ts";

/** How to open a model. */
export interface OpenOptions {
  /** Processor cores to use. @defaultValue all */
  readonly threads?: number;
  /** Number format of products. @defaultValue what suits the processor */
  readonly precision?: "f32" | "bf16";
  /** Keeps the matrices in 8 or 4 bits. @defaultValue as stored */
  readonly weights?: QuantisedFormat;
  /** Store in which `@alias` is looked up. @defaultValue "runs/registry" */
  readonly store?: string;
  /** Told what a person should know, such as that there are no native kernels. @defaultValue nobody is */
  readonly onWarning?: (message: string) => void;
}

/** What to use a model with. */
export interface UseOptions {
  /** From `learn` or `openAdapter`, or a folder, or `@alias` of the store. @defaultValue the model as it is */
  readonly adapter?: Adapter | string | null;
  /** Stops the work between two steps; the promise is rejected with its reason. */
  readonly signal?: AbortSignal;
}

/** How to ask. */
export interface AskOptions extends UseOptions, Pick<AnswerOptions, "maxNewTokens"> {}

/** How to learn. */
export interface LearnOptions extends LearnDials {
  /** A .jsonl file of `{"question", "answer", "passage"}`, where the sources bring no questions of their own. */
  readonly questions?: string;
  /** Makes the result repeatable. @defaultValue 0 */
  readonly seed?: number | string;
  /** Take on more than 200 passages. @defaultValue false */
  readonly isLarge?: boolean;
  /**
   * Folder that keeps the run step by step, so that the same call goes on after an interruption and repeats a finished
   * run at once. @defaultValue nothing is kept on disk
   */
  readonly runs?: string;
  /** Told how far each stage is: exam, before, propose, try, replay, train, after. */
  readonly onProgress?: (event: AdaptEvent) => void;
  /** Told what a person should know, such as that the model has never seen most words of a document. @defaultValue nobody is */
  readonly onNote?: (message: string) => void;
  /** Stops the work between two steps; the promise is rejected with its reason. */
  readonly signal?: AbortSignal;
}

/**
 * An open model. What is asked at the same time is answered together. Its work runs in steps between which timers, signals and requests have their turn. Dispose of it
 * (`using`, or `close()`) to free its memory.
 */
export class Model implements Disposable {
  readonly directory: string;
  /** Names the weights and what else decides its answers; adapters are bound to it. */
  readonly digest: string;
  /** Longest text it can look at, in tokens. */
  readonly maxSeqLen: number;
  readonly #engine: Engine;
  readonly #store: string;
  readonly #closing = new AbortController();
  #numRunning = 0;

  /** Use {@link openModel}. */
  constructor(directory: string, engine: Engine, store: string) {
    this.directory = directory;
    this.digest = engine.model.digest;
    this.maxSeqLen = engine.model.maxSeqLen;
    this.#engine = engine;
    this.#store = store;
  }

  /**
   * Learns files, folders (.md, .txt, .jsonl, SQuAD-style .json) and texts: proposes self-edits, trains an adapter for
   * each, examines, keeps the best, and decides whether the change is kept. The model itself is not changed.
   *
   * @throws {@link SelkieError} `"missing-file"`, `"bad-file"`, `"no-documents"` or `"bad-option"`, before any work.
   */
  async learn(sources: readonly (string | PassageInput)[], options: LearnOptions = {}): Promise<Learned> {
    const { questions, runs, onNote = () => {} } = options;
    const passages = await readSources(sources, { questions, outputs: runs === undefined ? [] : [runs], onNote });
    return this.#run(options.signal, (signal) => this.#learn(passages, options, signal));
  }

  async #learn(passages: readonly SourcePassage[], options: LearnOptions, signal: AbortSignal): Promise<Learned> {
    const began = performance.now();
    const settings = checkSettings(settingsOf(options), this.#engine.model.linearLayers);
    const { seed = 0, isLarge = false, runs = null, onProgress = () => {}, onNote = () => {} } = options;
    const modelDirectory = this.directory;
    const args = { modelDirectory, passages, isLarge, settings, seed };
    const context: AdaptationContext = { output: { ...silentOutput, note: onNote }, signal, onEvent: onProgress };
    const common = { modelDirectory, settings, seed };
    const origin = (report: Learned["report"], run: string | null) =>
      originOf(args, report, this.#engine.model, { run, trainedOn: "self-edits" });
    if (runs === null) {
      const { report, familiarity, adapter, passages: cut } = await learnInMemory(this.#engine, args, context);
      const seconds = (performance.now() - began) / 1000;
      const about = {
        report,
        familiarity,
        seconds,
        origin: origin(report, null),
        passages: cut,
        runDirectory: null,
        run: null,
      };
      return new Learned({ ...common, ...about, adapter: this.#bind(adapter) });
    }
    const { result, registration } = await learnInRun(
      this.#engine,
      { ...args, runsRoot: runs, isFresh: false },
      context,
    );
    const { report, familiarity, seconds, runDirectory } = result;
    const { run, passages: cut, adapterDirectory } = registration;
    const { adapter } = await loadAdapter(adapterDirectory);
    return new Learned({
      ...common,
      ...{ report, familiarity, seconds, origin: origin(report, run), passages: cut, runDirectory, run },
      adapter: this.#bind(adapter),
    });
  }

  #bind(weights: Adapter["weights"]): Adapter {
    return { base: this.digest, loraRank: weights.loraRank, weights };
  }

  /** The answer from memory, one line; empty where the model gave none. */
  async ask(question: string, options: AskOptions = {}): Promise<string> {
    return (await this.answer(question, options)).answer;
  }

  /** The answer from memory, with its log-probability and why it ended. */
  async answer(question: string, { maxNewTokens, ...options }: AskOptions = {}): Promise<Answer> {
    return this.#run(options.signal, async (signal) => {
      return this.#with(options.adapter, (adapter) =>
        answerQuestion(this.#engine, adapter, question, { maxNewTokens, signal }),
      );
    });
  }

  /** Log-probability of each token of a text of any length, in nats. */
  async score(text: string, options: UseOptions = {}): Promise<TextScore> {
    if (text === "") throw new SelkieError("bad-input", "score: expected a text, got an empty one");
    return this.#run(options.signal, async (signal) => {
      return this.#with(options.adapter, (adapter) => scoreText(this.#engine, adapter, { text }, { signal }));
    });
  }

  /**
   * Reads an adapter: a PEFT folder, a run, what `Learned.save` wrote, or what an alias of the store serves (`@current`).
   *
   * @returns `null` where the alias serves the model alone.
   * @throws {@link SelkieError} `"missing-file"` where there is none, `"adapter-mismatch"` for one of another model.
   */
  async openAdapter(place: string): Promise<Adapter | null> {
    const weights = await readAdapter(place, this.#engine.model, { store: this.#store });
    return weights === null ? null : this.#bind(weights);
  }

  /** Does something with an adapter that the engine knows as long as it takes. */
  async #with<T>(adapter: UseOptions["adapter"], work: (adapter: AdapterId | null) => Promise<T>): Promise<T> {
    const id = await this.#add(adapter);
    try {
      return await work(id);
    } finally {
      if (id !== null) await this.#engine.removeAdapter(id);
    }
  }

  async #add(adapter: UseOptions["adapter"]): Promise<AdapterId | null> {
    if (adapter === undefined || adapter === null) return null;
    if (typeof adapter === "string") return openAdapter(adapter, this.#engine, { store: this.#store });
    if (adapter.base === this.digest) return this.#engine.addAdapter(adapter.weights);
    throw new SelkieError(
      "adapter-mismatch",
      `adapter: expected one of the model with digest ${this.digest}, got one of ${adapter.base}; use it with the model it was trained on`,
    );
  }

  /** Runs work that stops when the model is closed; what it uses is freed only when the last of it has ended. */
  async #run<T>(signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const closing = this.#closing.signal;
    closing.throwIfAborted();
    const stop = signal === undefined ? closing : AbortSignal.any([signal, closing]);
    stop.throwIfAborted();
    this.#numRunning++;
    try {
      return await work(stop);
    } catch (error) {
      throw stop.aborted ? stop.reason : error; // however the work below put it
    } finally {
      this.#numRunning--;
      if (closing.aborted) this.#free();
    }
  }

  #free(): void {
    if (this.#numRunning === 0) void this.#engine[Symbol.asyncDispose](); // frees the model; nothing runs that would take time
  }

  /** Frees the model's memory; work that still runs is stopped first, and rejected with a `"model-closed"` error. */
  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(
      new SelkieError(
        "model-closed",
        `${this.directory}: expected an open model, got one that was closed; open it again`,
      ),
    );
    this.#free();
  }

  /** {@link Model.close}, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Opens a model: a Hugging Face checkpoint directory of an architecture that Selkie knows (Llama, Mistral, Qwen3), or a policy that a store serves.
 *
 * @param model - Directory, or `@alias` of the store. @defaultValue the small model that ships with Selkie
 * @throws {@link SelkieError} `"missing-file"`, `"bad-file"` or `"unsupported-model"`, naming the file.
 */
export async function openModel(model: string = shippedModelDirectory, options: OpenOptions = {}): Promise<Model> {
  const { threads, precision, weights, store = defaultStore, onWarning } = options;
  const directory = await resolveModel(model, { store });
  const engine = await loadEngine(directory, { threads, precision, weights, warn: onWarning });
  return new Model(directory, engine, store);
}
