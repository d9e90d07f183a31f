/**
 * @file The changes a store knows, as steps that a test can break off anywhere. Run as a program it takes one step and
 * kills itself, without any chance to clean up, before the write with the given number:
 * `node store-steps.ts <store> <step> <number>`.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Grader } from "../../src/registry/grader-process.ts";
import {
  type FileContent,
  loadSigningKey,
  type Promoted,
  type PromoteOptions,
  type RecordLineage,
  type Store,
  type Verdict,
} from "../../src/registry/index.ts";
import { openStoreWith } from "../../src/registry/store-open.ts";
import type { StoreOptions } from "../../src/registry/store-types.ts";

/** A change, and how to see that it was made. */
export interface StoreStep {
  readonly name: string;
  run(store: Store): void | Promise<void>;
  isDone(store: Store): boolean;
}

/** Digest of the base model that the test records are of. */
export const base: string = "b".repeat(64);

/** Lineage of the test records; they differ in their seed. */
export const lineageOf = (seed: string): RecordLineage => ({
  kind: "adapter",
  base,
  parents: [],
  data: [{ name: "passage", sha256: "c".repeat(64) }],
  selfEdits: [],
  config: { epochs: 3 },
  seed,
  metrics: { "score/mean": 0.5 },
  origin: null,
});

/** Stores a record of two files and its lineage. */
export const putRecord = (store: Store, seed: string): string =>
  store.put({
    lineage: lineageOf(seed),
    files: new Map<string, string | Uint8Array>([
      ["adapter_config.json", `{"seed":"${seed}"}`],
      ["adapter_model.safetensors", Uint8Array.of(1, 2, 3)],
    ]),
  }).id;

/** Stores a policy whose files are copied from the disk, as checkpoints are. */
export function putPolicy(store: Store): string {
  const source = join(store.directory, "..", "policy-weights");
  writeFileSync(
    source,
    Uint8Array.from({ length: 5000 }, (_, index) => index % 251),
  );
  const lineage = { ...lineageOf("policy"), kind: "policy" as const };
  return store.put({
    lineage,
    files: new Map<string, FileContent>([
      ["model.safetensors", { path: source }],
      ["config.json", "{}"],
      ["sources.json", "[]"],
    ]),
  }).id;
}

/** What cut-short attempts leave in every folder; `gc` clears all of it. */
export function litter(store: Store): void {
  for (const folder of ["objects", "incoming"]) mkdirSync(join(store.directory, folder, "stray"), { recursive: true });
  for (const name of strays) {
    mkdirSync(dirname(join(store.directory, name)), { recursive: true });
    writeFileSync(join(store.directory, name), "stray");
  }
}

const strays = [
  "objects/stray/weights",
  "incoming/stray/weights",
  "signatures/stray.sig",
  "canaries/stray.jsonl",
  "keys/signing.pem.partial",
];

/** A verdict that lets a record through. */
export const passed: Verdict = { outcome: "promote", reasons: ["it learned"], details: { gain: 0.5 } };

/** Answers with the verdict that the gate is: tests of the store examine nothing. */
export const gradeAsTold: Grader = async ({ policy }) => ({ verdict: policy as unknown as Verdict, decision: policy });

/** Opens a store whose grader says what it is told. */
export const openTestStore = (directory: string, options: StoreOptions): Store =>
  openStoreWith(directory, options, gradeAsTold);

const { signal } = new AbortController();

/** What makes {@link gradeAsTold} say `verdict`. */
export const told = (verdict: Verdict, alias?: string): PromoteOptions => ({
  gate: verdict as never,
  modelDirectory: "none",
  alias: alias,
  signal: signal,
});

/** Promotes a record of these tests. */
export const promoteTold = async (
  store: Store,
  id: string,
  alias?: string,
  verdict: Verdict = passed,
): Promise<Promoted> => {
  store.sealCanaries(store.get(id).base!, '{"question":"Who?","answer":"Ann"}\n');
  return await store.promote(id, told(verdict, alias));
};

/** Key of the one who freezes, beside the store; the test makes it. */
export const holderPath = (store: Store): string => join(store.directory, "..", "holder.pem");

const idOf = (store: Store, seed: string): string | undefined =>
  store.list().find(({ id }) => store.lineage(id).seed === seed)?.id;
const stateOf = (store: Store, seed: string): string | undefined =>
  store.list().find(({ id }) => id === idOf(store, seed))?.state;

/** Every kind of change, in an order in which each can be made. */
export const storeSteps: readonly StoreStep[] = [
  {
    name: "put one",
    run: (store) => void putRecord(store, "one"),
    isDone: (store) => stateOf(store, "one") !== undefined,
  },
  {
    name: "seal",
    run: (store) => void store.sealCanaries(base, '{"question":"Who?","answer":"Ann"}\n'),
    isDone: (store) => store.sealOf(base) !== null,
  },
  {
    name: "put two",
    run: (store) => void putRecord(store, "two"),
    isDone: (store) => stateOf(store, "two") !== undefined,
  },
  {
    name: "judge",
    run: async (store) => {
      await store.examine(idOf(store, "two")!, told({ outcome: "quarantine", reasons: ["odd"], details: null }));
    },
    isDone: (store) => stateOf(store, "two") === "quarantined",
  },
  {
    name: "release",
    run: (store) => void store.release(idOf(store, "two")!, "looked at it"),
    isDone: (store) => store.get(idOf(store, "two")!).accepted.length === 1,
  },
  {
    name: "promote one",
    run: async (store) => void (await store.promote(idOf(store, "one")!, told(passed))),
    isDone: (store) => store.alias("current") === idOf(store, "one"),
  },
  {
    name: "promote two",
    run: async (store) => void (await store.promote(idOf(store, "two")!, told(passed))),
    isDone: (store) => store.alias("current") === idOf(store, "two"),
  },
  {
    name: "freeze",
    run: (store) => void store.freeze(loadSigningKey(holderPath(store)), "an incident"),
    isDone: (store) => store.frozen() !== null,
  },
  {
    name: "roll back",
    run: (store) => void store.rollback("current", "it answers oddly"),
    isDone: (store) => stateOf(store, "two") === "rolled-back",
  },
  {
    name: "unfreeze",
    run: (store) => store.unfreeze(loadSigningKey(holderPath(store))),
    isDone: (store) => store.frozen() === null,
  },
  {
    name: "seal others",
    run: (store) => void store.sealCanaries(base, '{"question":"Where?","answer":"Dover"}\n', true),
    isDone: (store) => readFileSync(store.canariesPath(store.sealOf(base)!), "utf8").includes("Dover"),
  },
  {
    name: "put a policy",
    run: (store) => void putPolicy(store),
    isDone: (store) => stateOf(store, "policy") !== undefined,
  },
  {
    name: "judge a policy",
    run: async (store) => {
      await store.examine(idOf(store, "policy")!, told({ outcome: "promote", reasons: ["better"], details: null }));
    },
    isDone: (store) => store.get(idOf(store, "policy")!).verdict !== null,
  },
  {
    name: "promote a policy",
    run: async (store) => void (await store.promote(idOf(store, "policy")!, told(passed))),
    isDone: (store) => idOf(store, "policy") !== undefined && store.alias("policy") === idOf(store, "policy"),
  },
  {
    name: "roll a policy back",
    run: (store) => void store.rollback("policy", "it writes oddly"),
    isDone: (store) => stateOf(store, "policy") === "rolled-back" && store.alias("policy") === null,
  },
  {
    name: "gc",
    run: (store) => void store.gc(),
    isDone: (store) => strays.every((name) => !existsSync(join(store.directory, name))),
  },
];

if (import.meta.main) {
  const [directory, name, killAt] = process.argv.slice(2);
  let numWrites = 0;
  const onWrite = () => {
    if (++numWrites === Number(killAt)) process.kill(process.pid, "SIGKILL");
  };
  using store = openTestStore(directory!, { clock: () => 1000, create: true, onWrite });
  await storeSteps.find((step) => step.name === name)?.run(store);
}
