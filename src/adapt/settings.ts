/** @file Settings of the inner loop, and the stores and events that every adaptation shares. */
import type { LoraConfig } from "../nn/index.ts";
import type { Json, Run } from "../registry/index.ts";

/** How an adapter is trained on documents. */
export interface InnerLoop {
  readonly lora: LoraConfig;
  /** Falls linearly to 0. */
  readonly learningRate: number;
  readonly epochs: number;
  /** SEAL takes one; one full batch per epoch hides what good edits are worth. */
  readonly documentsPerStep: number;
}

/** Settings of {@link adapt}. */
export interface AdaptSettings {
  /** Self-edits sampled for each passage, at least 1. */
  readonly numEdits: number;
  /** Trains one candidate on its edit. */
  readonly innerLoop: InnerLoop;
  /** Trains the last adapter on the chosen edits of all passages, with replay. */
  readonly finalLoop: InnerLoop;
  /** Replay documents in the final training, as a share of all documents seen, in [0, 1). */
  readonly replayShare: number;
  /** Different replay documents at most; when more are due, they come round again. */
  readonly maxReplay: number;
  /** The change is kept only if at least this share of the canaries is. */
  readonly minKept: number;
  /** The same of known facts near the passages, which new text overwrites first. */
  readonly minKeptNear: number;
  /** Known facts near the passages that are asked, at most; 0 asks none. */
  readonly maxNear: number;
  /** Passages longer than this are cut, in tokens. */
  readonly maxPassageTokens: number;
  /** Adapters trained side by side. */
  readonly bankSize: number;
}

/**
 * The MLP of every block. Where adapters on attention as well had learned as much, they had broken three to six times as many
 * old answers (12 validation people; `docs/log.md`, 2026-11-30). That the MLP alone learns as much as all layers is also
 * reported by "LoRA Without Regret" (Schulman and Thinking Machines Lab, 2025).
 */
export const mlpTargets: readonly string[] = ["gate_proj", "up_proj", "down_proj"];

/** The settings of the main job; measured in `docs/results`. */
export const defaultSettings: AdaptSettings = {
  numEdits: 5,
  innerLoop: {
    lora: { loraRank: 16, loraAlpha: 32, targets: mlpTargets },
    learningRate: 1e-3,
    epochs: 10,
    documentsPerStep: 1,
  },
  finalLoop: {
    lora: { loraRank: 16, loraAlpha: 32, targets: mlpTargets },
    learningRate: 2e-3,
    epochs: 12,
    documentsPerStep: 3,
  },
  replayShare: 2 / 3,
  maxReplay: 1200,
  minKept: 0.9,
  minKeptNear: 0.7,
  maxNear: 60,
  maxPassageTokens: 320,
  bankSize: 24,
};

/** Where finished stages are kept, so that a run killed anywhere goes on; values are JSON. */
export interface StageStore {
  read(name: string): Promise<unknown>;
  /** Atomic: a reader finds the old value or the new one. */
  write(name: string, value: unknown): Promise<void>;
}

/** Progress of long work. */
export interface AdaptEvent {
  readonly stage: string;
  readonly done: number;
  readonly total: number;
  readonly note?: string;
}

/** Stages kept as artifacts of a run. */
export function stagesOf(run: Run): StageStore {
  const nameOf = (name: string) => `stages/${name}.json`;
  return {
    async read(name) {
      const content = run.readArtifact(nameOf(name));
      return content === null ? null : (JSON.parse(content.toString("utf8")) as Json);
    },
    async write(name, value) {
      run.writeArtifact(nameOf(name), JSON.stringify(value));
    },
  };
}

/** The value of a stage: from the store when it was finished before, else computed and stored. */
export async function stage<T>(store: StageStore, name: string, compute: () => Promise<T>): Promise<T> {
  const known = await store.read(name);
  if (known !== null && known !== undefined) return known as T;
  const value = await compute();
  await store.write(name, value);
  return value;
}
