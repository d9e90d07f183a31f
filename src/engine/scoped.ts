/** @file What an engine holds for the length of some work alone: adapters, and the weights as they are now. */
import type { LoraAdapter } from "../nn/index.ts";
import type { AdapterId, Engine } from "./engine.ts";

/** Runs `work` while the engine knows `adapters`, by their names in the same order; afterwards it forgets them. */
export async function withAdapters<T>(
  engine: Engine,
  adapters: readonly LoraAdapter[],
  work: (ids: readonly AdapterId[]) => Promise<T>,
): Promise<T> {
  const ids: AdapterId[] = [];
  try {
    for (const adapter of adapters) ids.push(await engine.addAdapter(adapter));
    return await work(ids);
  } finally {
    for (const id of ids) await engine.removeAdapter(id);
  }
}

/** {@link withAdapters} for one adapter; `null` is the model alone. */
export const withAdapter = <T>(
  engine: Engine,
  adapter: LoraAdapter | null,
  work: (id: AdapterId | null) => Promise<T>,
): Promise<T> => (adapter === null ? work(null) : withAdapters(engine, [adapter], ([id]) => work(id!)));

/** Runs `work`, which may change the model's weights; afterwards they are what they were, whatever happened. */
export async function withWeightsKept<T>(
  engine: Engine,
  work: (restore: () => Promise<void>) => Promise<T>,
): Promise<T> {
  const id = await engine.keepWeights();
  try {
    return await work(() => engine.restoreWeights(id));
  } finally {
    await engine.restoreWeights(id);
    await engine.forgetWeights(id);
  }
}
