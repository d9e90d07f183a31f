/**
 * @file Which blocks an edit may change. SCoL (arXiv 2605.07076) finds that changing some blocks keeps more than changing
 * all, that always the same last ones are a hard baseline, and that a good choice follows the Fisher information. Two
 * rules: the last blocks, and those whose weights the edit's documents pull at hardest.
 */
import { blockOf, type LoraConfig, lastBlocks } from "../../nn/index.ts";
import { adapterFisher, type TrainDocument, trainAdapters } from "../../train/index.ts";
import type { StreamRoom } from "./method.ts";

/** The last `count` blocks of the room's model. */
export const lastBlocksOf = ({ checkpoint }: StreamRoom, count: number): number[] =>
  lastBlocks(checkpoint.lm.linearLayers, count);

/**
 * The `count` blocks with the largest squared gradient of the documents, by the factor that moves first: `loraB` of a fresh
 * adapter (`loraA` has no gradient while `loraB` is 0).
 */
export async function steepestBlocks(
  { checkpoint, seed, signal }: StreamRoom,
  lora: LoraConfig,
  documents: readonly TrainDocument[],
  count: number,
): Promise<number[]> {
  const { lm } = checkpoint;
  const untrained = { id: "untrained", documents, lora, learningRate: 0, epochs: 0 };
  const [fresh] = await trainAdapters({ lm, jobs: [untrained], seed, ...(signal && { signal }) });
  const squares = new Map<number, number>();
  for (const [name, { loraB }] of adapterFisher(lm, fresh!.adapter, documents)) {
    const block = blockOf(name);
    if (block === null) continue;
    squares.set(block, (squares.get(block) ?? 0) + loraB.reduce((total, value) => total + value, 0));
  }
  const order = [...squares].toSorted(([, a], [, b]) => b - a).map(([block]) => block);
  return order.slice(0, count).toSorted((a, b) => a - b);
}
