/**
 * @file `npm run bench:serving`: what the checks cost that stand before every answer of an adapter that a store serves. Makes
 * stores of several sizes, of which one record is served, and prints median milliseconds of opening the store (database,
 * key and log against what was noted) and of serving (the signed end of the log with the aliases, the record's signature, the
 * digests of its files). No model is loaded, and the stores are removed.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStore, type Store } from "../src/registry/index.ts";
import { createRng } from "../src/util/index.ts";
import { lineageOf, openTestStore, promoteTold } from "../test/support/store-steps.ts";
import { medianOf } from "./statistics.ts";

/** Bytes of the served adapter's weights: rank 16 on all matrices of the shipped model is about so much. */
const servedBytes = 2 ** 20;

/** Medians, milliseconds. */
export interface ServingCost {
  readonly numRecords: number;
  readonly openMs: number;
  readonly serveMs: number;
}

function put(store: Store, seed: number, numBytes: number): string {
  const rng = createRng(`serving ${seed}`);
  const weights = Uint8Array.from({ length: numBytes }, () => Math.floor(256 * rng.uniform()));
  const files = new Map<string, string | Uint8Array>([
    ["adapter_config.json", "{}"],
    ["adapter_model.safetensors", weights],
  ]);
  return store.put({ lineage: lineageOf(`${seed}`), files }).id;
}

async function build(directory: string, numRecords: number): Promise<void> {
  using store = openTestStore(directory, { clock: Date.now, create: true });
  await promoteTold(store, put(store, 0, servedBytes));
  for (let seed = 1; seed < numRecords; seed++) put(store, seed, 1000);
}

/** Times the checks of one store, `numRounds` times after two that do not count. */
export async function measureServing(numRecords: number, numRounds = 20): Promise<ServingCost> {
  const folder = mkdtempSync(join(tmpdir(), "selkie-serving-"));
  try {
    const directory = join(folder, "store");
    await build(directory, numRecords);
    const trust = { pinFolder: join(folder, "pins") };
    const [opened, served]: [number[], number[]] = [[], []];
    for (let round = -2; round < numRounds; round++) {
      const start = performance.now();
      using store = openStore(directory, { clock: Date.now, trust });
      const between = performance.now();
      store.serve("current", "adapter");
      const end = performance.now();
      if (round < 0) continue;
      opened.push(between - start);
      served.push(end - between);
    }
    return { numRecords, openMs: medianOf(opened), serveMs: medianOf(served) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.main)
  for (const numRecords of [1, 20, 200]) {
    const { openMs, serveMs } = await measureServing(numRecords);
    console.log(`${numRecords} records: opening ${openMs.toFixed(1)} ms, serving ${serveMs.toFixed(1)} ms`);
  }
