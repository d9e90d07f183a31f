/** @file What a program gets back from `Model.learn`: the report, the adapter that was kept, and where they can go. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AdaptReport, AdaptSettings, Familiarity } from "../adapt/index.ts";
import { type AdapterOrigin, saveAdapter } from "../models/index.ts";
import type { LoraAdapter } from "../nn/index.ts";
import type { SourcePassage } from "../tasks/index.ts";
import { defaultStore, guardWriteAsync, SelkieError } from "../util/index.ts";
import { claimOutput } from "./output-folder.ts";
import { type Registered, registerAdaptation } from "./registration.ts";
import { checkTarget, loadGate, openVerbStore } from "./store.ts";

/** A change to a model, small enough to pass around: LoRA weights in memory, bound to the model they were trained on. */
export interface Adapter {
  /** Digest of the model it belongs to; asking another model with it is refused. */
  readonly base: string;
  readonly loraRank: number;
  /** The weights. */
  readonly weights: LoraAdapter;
}

/** Where `Learned.register` puts the adapter, and how it is judged. */
export interface RegisterOptions {
  /** Folder of the store; made where there is none. @defaultValue "runs/registry" */
  readonly store?: string;
  /** File with thresholds and budgets. @defaultValue gate.json in the store, else the default gate */
  readonly gate?: string;
  /** File with the private key of the store, where it is kept elsewhere. */
  readonly signingKey?: string;
  readonly signal?: AbortSignal;
}

/** How an adaptation came about, for what is written beside its adapter. */
export interface LearnedParts {
  readonly report: AdaptReport;
  readonly familiarity: Familiarity;
  readonly adapter: Adapter;
  readonly seconds: number;
  readonly runDirectory: string | null;
  readonly run: string | null;
  readonly origin: AdapterOrigin;
  readonly modelDirectory: string;
  readonly passages: readonly SourcePassage[];
  readonly settings: AdaptSettings;
  readonly seed: number | string;
}

/** Runs `work` with the adapter as a PEFT folder that is gone afterwards. */
async function withSaved<T>({ adapter, origin }: LearnedParts, work: (directory: string) => Promise<T>): Promise<T> {
  const parent = tmpdir();
  const folder = await guardWriteAsync(parent, () => mkdtemp(join(parent, "selkie-adapter-")));
  try {
    await saveAdapter(folder, adapter.weights, origin);
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The result of learning: a change that was kept, or one that was not, and why. Made by `Model.learn`. */
export class Learned {
  /** The exam before and after, the edits tried, the decision and its reasons. */
  readonly report: AdaptReport;
  /** How well the documents suit the model, measured before the work. */
  readonly familiarity: Familiarity;
  /** The change, where it was kept; `null` where it was not, and asking with it then asks the model as it was. */
  readonly adapter: Adapter | null;
  /** The change that was not kept, to look at; `null` where it was kept. */
  readonly rejectedAdapter: Adapter | null;
  /** Where the run is kept; `null` for one in memory. */
  readonly runDirectory: string | null;
  readonly seconds: number;
  readonly #parts: LearnedParts;

  /** Use `Model.learn`. */
  constructor(parts: LearnedParts) {
    this.#parts = parts;
    this.report = parts.report;
    this.familiarity = parts.familiarity;
    this.adapter = this.isKept ? parts.adapter : null;
    this.rejectedAdapter = this.isKept ? null : parts.adapter;
    this.runDirectory = parts.runDirectory;
    this.seconds = parts.seconds;
  }

  /** True when the exam let the change through. */
  get isKept(): boolean {
    return this.report.decision === "kept";
  }

  /**
   * Writes the kept adapter as a PEFT folder, whole or not at all: `ask --adapter`, `Model.openAdapter` and PEFT read it.
   *
   * @param directory - New, empty, or written by an earlier `save`, which is replaced.
   * @throws {@link SelkieError} `"change-rejected"` where nothing was kept, `"bad-option"` where the folder holds
   * something else, `"write-failed"` where nothing can be written.
   */
  async save(directory: string): Promise<void> {
    const { report, run } = this.#parts;
    const { decision, reasons } = report;
    if (!this.isKept)
      throw new SelkieError(
        "change-rejected",
        `save: expected a change that was kept, got one that was not (${reasons.join("; ")}); rejectedAdapter holds it`,
      );
    using output = claimOutput(directory, "save:");
    await withSaved(this.#parts, async (folder) => {
      const names = ["adapter_config.json", "adapter_model.safetensors", "selkie_adapter.json"];
      output.replace(
        { run, decision, reasons: [...reasons] },
        new Map(names.map((name) => [name, join(folder, name)])),
      );
    });
  }

  /**
   * Puts the adapter, kept or not, into a store as a candidate and has the gate judge it, in a process of its own.
   * Nothing is served by this: `selkie registry promote` does that.
   *
   * @throws {@link SelkieError} for a key, a gate or a store that cannot be used.
   */
  async register(options: RegisterOptions = {}): Promise<Registered> {
    const target = { ...options, store: options.store ?? defaultStore };
    checkTarget(target);
    const { report, passages, settings, seed, modelDirectory, adapter, run } = this.#parts;
    return withSaved(this.#parts, async (adapterDirectory) => {
      using store = openVerbStore(target, { create: true });
      const about = { report, passages, settings, seed, modelDirectory, base: adapter.base, run: run ?? "in memory" };
      const policy = loadGate(target.store, target.gate);
      const signal = options.signal ?? new AbortController().signal;
      return await registerAdaptation(store, { adapterDirectory, ...about }, { policy, signal });
    });
  }
}
