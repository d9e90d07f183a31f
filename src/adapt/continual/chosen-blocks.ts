/** @file Edits of the last blocks alone: the fixed baseline of SCoL (arXiv 2605.07076), whose model chooses among its layers itself. */
import { lastBlocks } from "../../nn/index.ts";
import { mergeMethod } from "./merged.ts";
import type { ContinualMethod } from "./method.ts";

/** Merges each edit into the last `count` blocks. */
export const lastBlocksMethod = (name: string, summary: string, count: number): ContinualMethod =>
  mergeMethod(name, summary, ({ checkpoint }) => ({
    adjust: (job) => ({ ...job, lora: { ...job.lora, layers: lastBlocks(checkpoint.lm.linearLayers, count) } }),
  }));
