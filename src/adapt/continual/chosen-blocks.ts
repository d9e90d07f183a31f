/**
 * @file Edits of some blocks alone. SCoL (arXiv 2605.07076), whose model chooses among its layers itself, finds that
 * changing some keeps more than changing all, that always the same last ones are a hard baseline, and that good choices
 * follow the Fisher information. Here: the last blocks, and those that the edit's documents pull at hardest.
 */
import { blockOf, type LoraConfig, lastBlocks } from "../../nn/index.ts";
import type { TrainDocument } from "../../train/index.ts";
import { mergeMethod } from "./merged.ts";
import type { ContinualMethod, StreamContext } from "./method.ts";

/** Merges each edit into the last `count` blocks. */
export const lastBlocksMethod = (name: string, summary: string, count: number): ContinualMethod =>
  mergeMethod(name, summary, { blocks: count }, ({ engine }) => ({
    adjust: (job) => ({ ...job, lora: { ...job.lora, layers: lastBlocks(engine.model.linearLayers, count) } }),
  }));

/** Merges each edit into the `count` blocks with the steepest loss on it. */
export const steepestBlocksMethod = (name: string, summary: string, count: number): ContinualMethod =>
  mergeMethod(name, summary, { steepestBlocks: count }, (context) => ({
    adjust: async (job, own) => {
      const steepness = await blockSteepness(context, job.lora, own);
      const layers = [...steepness.keys()].toSorted((a, b) => steepness.get(b)! - steepness.get(a)!).slice(0, count);
      return { ...job, lora: { ...job.lora, layers: layers.toSorted((a, b) => a - b) } };
    },
  }));

/**
 * Squared gradient of the documents by block, of the factor that moves first: `loraB` of a fresh adapter (`loraA` has no
 * gradient while `loraB` is 0).
 */
export async function blockSteepness(
  { engine, seed, signal }: Pick<StreamContext, "engine" | "seed" | "signal">,
  lora: LoraConfig,
  documents: readonly TrainDocument[],
): Promise<Map<number, number>> {
  const untrained = { id: "untrained", documents, lora, learningRate: 0, epochs: 0 };
  const [fresh] = await engine.trainAdapters({ jobs: [untrained], seed }, { signal });
  const squares = new Map<number, number>();
  for (const [name, { loraB }] of await engine.fisher(fresh!.adapter, documents)) {
    const block = blockOf(name);
    if (block === null) continue;
    const sum = loraB.reduce((total, value) => total + value, 0);
    squares.set(block, (squares.get(block) ?? 0) + sum);
  }
  return squares;
}
