/** @file `bench attention --visibility`: which keys a query sees, as people write it. */
import { InvalidArgumentError } from "commander";
import type { Visibility } from "../../tensor/index.ts";

/** A rule by name; those but `causal` and `full` have a number of tokens. */
export interface VisibilityChoice {
  readonly kind: "causal" | "full" | "sliding" | "block" | "prefix";
  readonly size: number;
}

/** Option parser: `causal`, `full`, `sliding:512`, `block:32` or `prefix:1024`. */
export function parseVisibility(text: string): VisibilityChoice {
  const match = /^(?:causal|full|(?:sliding|block|prefix):([1-9][0-9]{0,8}))$/.exec(text);
  if (match === null)
    throw new InvalidArgumentError(`Expected causal, full, sliding:512, block:32 or prefix:1024, got "${text}".`);
  return { kind: text.split(":")[0] as VisibilityChoice["kind"], size: Number(match[1] ?? 0) };
}

/** The rule itself, for one sequence. The engine is loaded here, so that help need not load it. */
export async function visibilityOf({ kind, size }: VisibilityChoice): Promise<Visibility> {
  const { blockCausal, causal, full, prefix, slidingWindow } = await import("../../tensor/index.ts");
  if (kind === "sliding") return slidingWindow(size);
  if (kind === "block") return blockCausal(size);
  if (kind === "prefix") return prefix(Int32Array.of(size));
  return kind === "full" ? full : causal;
}
