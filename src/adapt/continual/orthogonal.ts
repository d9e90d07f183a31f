/**
 * @file O-LoRA in a stream: every edit trains an adapter that reads from other directions than all before it, and is merged
 * (the sum of frozen adapters and their merge are the same function). The penalty, its paper and how it differs are in
 * `src/train/orthogonal-subspaces.ts`.
 */
import type { LoraAdapter } from "../../nn/index.ts";
import { orthogonalSubspaces } from "../../train/index.ts";
import { mergeMethod } from "./merged.ts";
import type { ContinualMethod } from "./method.ts";

/** A method of orthogonal edits with strength λ. */
export const orthogonalMethod = (name: string, summary: string, strength: number): ContinualMethod =>
  mergeMethod(name, summary, { strength }, () => {
    const earlier: LoraAdapter[] = [];
    return {
      adjust: (job) => ({ ...job, regularizer: orthogonalSubspaces(strength, [...earlier]) }),
      onAdapter: (adapter) => {
        earlier.push(adapter);
      },
    };
  });
