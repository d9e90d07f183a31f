/** @file Registering the policies of a run, broken off before every single write; `policies.test.ts` does it for real. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { defaultLearnSettings, type RoundReport } from "../adapt/index.ts";
import { openStore, readAuditLog, type Store, type Verdict, verifyStore, type WriteHook } from "../registry/index.ts";
import { findPolicy } from "./policies.ts";
import { type LearningToRegister, registerPolicies } from "./policy-registration.ts";

const root = mkdtempSync(join(tmpdir(), "selkie-register-"));
after(() => rmSync(root, { recursive: true, force: true }));

const base = "b".repeat(64);
const digestOfRound = (round: number): string => `${round}`.repeat(64);

function roundOf(round: number): RoundReport {
  const directory = join(root, `round-${round}`);
  mkdirSync(directory);
  writeFileSync(join(directory, "model.safetensors"), `weights ${round}`);
  writeFileSync(join(directory, "config.json"), "{}");
  return {
    ...{ round, passageIds: ["p"], reward: "dense", meanReward: 0.5, bestReward: 1, reliability: null },
    ...{
      baseAccuracy: 0,
      meanAccuracy: 0.2,
      keptAccuracy: 0.4,
      kinds: {},
      keptKinds: {},
      numTrials: 2,
      numDiverged: 0,
    },
    update: { numExamples: 1, numSteps: 3, nats: null },
    policy: { directory, digest: digestOfRound(round), parent: round === 1 ? base : digestOfRound(round - 1) },
    candidates: [],
  };
}

const learning: LearningToRegister = {
  run: "learn-abc",
  report: { base, rounds: [roundOf(1), roundOf(2)], evaluations: [] },
  settings: defaultLearnSettings,
  seed: 0,
  modelDirectory: "/models/nano",
  directoryOf: ({ policy }) => policy.directory,
  learnedIn: async ({ round }) => ({
    passages: [{ name: "p", sha256: "c".repeat(64) }],
    edits: [{ id: "p", context: "Ann.", documents: [], edits: [{ kind: "rewrite", text: `edit ${round}` }] }],
  }),
};
const verdict: Verdict = { outcome: "promote", reasons: ["better"], details: null };
const judge = async (): Promise<Verdict> => verdict;
const open = (directory: string, onWrite: WriteHook = () => {}): Store =>
  openStore(directory, { clock: () => 1000, create: true, onWrite });

function checkWhole(store: Store, when: string): void {
  assert.deepEqual(verifyStore(store).problems, [], when);
  const entries = readAuditLog(readFileSync(store.logPath, "utf8"));
  const types = entries.map(({ type }) => type);
  assert.deepEqual(types, ["record-put", "record-judge", "record-put", "record-judge"], when); // each of them once
  const [first, second] = [1, 2].map((round) => findPolicy(store, digestOfRound(round))!);
  assert.deepEqual(store.lineage(first!.id).parents, []);
  assert.deepEqual(store.lineage(second!.id).parents, [first!.id]);
  assert.deepEqual([first!.base, second!.base], [base, base]);
  assert.equal(store.tables.aliases().length, 0, "nothing is served");
}

class InjectedFault extends Error {}

test("policies broken off before any write are stored whole by the next try, each once and judged once", async () => {
  for (let failAt = 1; ; failAt++) {
    const directory = join(root, `store-${failAt}`);
    let numWrites = 0;
    let faulted: string | null = null;
    try {
      using store = open(directory, (what) => {
        if (++numWrites < failAt) return;
        faulted ??= what;
        throw new InjectedFault(what); // nothing is written after the first fault, clean-up included
      });
      await registerPolicies(store, learning, judge);
    } catch (error) {
      if (!(error instanceof InjectedFault)) throw error;
    }
    {
      using store = open(directory);
      assert.deepEqual(verifyStore(store).problems, [], `fault before "${faulted}"`);
      await registerPolicies(store, learning, judge);
      checkWhole(store, `fault before "${faulted}"`);
      store.gc();
      assert.deepEqual(verifyStore(store).problems, []);
    }
    rmSync(directory, { recursive: true });
    if (faulted === null) {
      assert.ok(failAt > 30, `it has ${failAt - 1} writes`);
      break;
    }
  }
});

test("a run that did not record what it learned from is refused, and the model of a policy is its first base", async () => {
  using store = open(join(root, "other"));
  await assert.rejects(registerPolicies(store, { ...learning, learnedIn: async () => null }, judge), {
    message: /did not record the edits of round 1.*--fresh/,
  });
  await registerPolicies(store, learning, judge);
  const next = { ...learning, run: "learn-def", modelDirectory: store.objectPath("x") };
  const report = { ...learning.report, base: digestOfRound(2), rounds: [learning.report.rounds[0]!] };
  const [further] = await registerPolicies(store, { ...next, report }, judge);
  const lineage = store.lineage(further!.id);
  assert.deepEqual([lineage.base, lineage.parents], [base, [findPolicy(store, digestOfRound(2))!.id]]);
  assert.equal((lineage.origin as { model?: string }).model, "/models/nano");
});
