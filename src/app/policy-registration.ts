/**
 * @file Puts the policies of an outer loop into the store, each with its lineage, and asks the gate about them. What is
 * there already is left as it is, so that the same command after a kill stores the rest, once.
 */
import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import type { EvaluationReport, LearnedRound, LearnReport, LearnSettings, RoundReport } from "../adapt/index.ts";
import { combineDigests, type DigestPart, digestParts } from "../models/index.ts";
import {
  describeReasons,
  digestOf,
  type FileContent,
  findPolicy,
  type Json,
  type PolicyOrigin,
  policyOrigin,
  type RecordLineage,
  type Store,
  type StoredRecord,
} from "../registry/index.ts";
import { packageVersion, SelkieError } from "../util/index.ts";
import { heldOutFile, type RecordedHeldOut, sourcesFile } from "./grader.ts";
import type { TrainingConfig } from "./grading.ts";

/** A finished outer loop. */
export interface LearningToRegister {
  readonly run: string;
  readonly report: LearnReport;
  readonly settings: LearnSettings;
  readonly seed: number | string;
  /** Directory of the model that the loop began with. */
  readonly modelDirectory: string;
  /** Directory of a round's policy. */
  readonly directoryOf: (round: RoundReport) => string;
  /** What a round learned from; `null` in runs that did not record it. */
  readonly learnedIn: (round: RoundReport) => Promise<LearnedRound | null>;
}

/**
 * Stores every round's policy that is not stored yet and has the gate judge those that it has not; none is promoted.
 *
 * @param examine - Has the gate judge a stored policy and returns it as it is then.
 */
export async function registerPolicies(
  store: Store,
  learning: LearningToRegister,
  examine: (record: StoredRecord) => Promise<StoredRecord>,
): Promise<StoredRecord[]> {
  const start = findPolicy(store, learning.report.base);
  const model = start === null ? resolve(learning.modelDirectory) : policyOrigin(store, start).model;
  const base = start?.base ?? learning.report.base;
  const parts = existsSync(model) ? await digestParts(model) : [];
  const baseParts = combineDigests(parts) === base ? parts : [];
  let parent = start;
  const stored: StoredRecord[] = [];
  for (const round of learning.report.rounds) {
    const known = findRound(store, learning, round);
    const record = known ?? (await storeRound(store, learning, round, { parent, start, model, baseParts }));
    parent = record;
    stored.push(record.verdict === null ? await examine(record) : record);
  }
  return stored;
}

function findRound(store: Store, { run }: LearningToRegister, { round, policy }: RoundReport): StoredRecord | null {
  const isIt = (origin: PolicyOrigin) =>
    origin.run === run && origin.round === round && origin.digest === policy.digest;
  return store.list().find((record) => record.kind === "policy" && isIt(policyOrigin(store, record))) ?? null;
}

interface Ancestry {
  readonly parent: StoredRecord | null;
  /** The policy of the store that the run began with, if it was one. */
  readonly start: StoredRecord | null;
  /** Directory of the base. */
  readonly model: string;
  /** Its files, so that `verify` can say which one changed; empty where the base is not there any more. */
  readonly baseParts: readonly DigestPart[];
}

async function storeRound(
  store: Store,
  learning: LearningToRegister,
  round: RoundReport,
  ancestry: Ancestry,
): Promise<StoredRecord> {
  const learned = await learning.learnedIn(round);
  if (learned === null)
    throw new SelkieError(
      "bad-input",
      `learn: run ${learning.run} did not record the edits of round ${round.round}, so its policy cannot be stored with its lineage; run it again with --fresh`,
    );
  const directory = learning.directoryOf(round);
  const files = new Map<string, FileContent>();
  for (const name of readdirSync(directory)) files.set(name, { path: join(directory, name) });
  const { evaluations } = learning.report;
  const evaluation = evaluations.find((found) => found.round === round.round) ?? null;
  files.set(sourcesFile, toJson(learned.edits));
  files.set(heldOutFile, toJson(toHeldOut(evaluation, evaluations[0])));
  return store.put({ lineage: lineageOf(learning, round, learned, evaluation, ancestry), files });
}

const toJson = (value: unknown): string => `${JSON.stringify(value, null, 1)}\n`;

const toHeldOut = (found: EvaluationReport | null, before: EvaluationReport | undefined): RecordedHeldOut | null =>
  found === null || found.overUntrained === null || before === undefined
    ? null
    : {
        numPassages: found.perPassage.length,
        before: before.accuracy.mean,
        after: found.accuracy.mean,
        gain: found.overUntrained,
        perPassage: { before: before.perPassage, after: found.perPassage },
      };

function lineageOf(
  { report, run, settings, seed }: LearningToRegister,
  round: RoundReport,
  { passages, edits }: LearnedRound,
  evaluation: EvaluationReport | null,
  { parent, start, model, baseParts }: Ancestry,
): RecordLineage {
  const { update } = settings;
  const training: TrainingConfig = {
    numSteps: round.update.numSteps,
    learningRate: update.learningRate,
    loraRank: update.method === "lora" ? update.lora.loraRank : 0,
  };
  const origin: PolicyOrigin & { readonly selkie: string; readonly baseParts: readonly DigestPart[] } = {
    run,
    round: round.round,
    digest: round.policy.digest,
    model,
    baseParts,
    selkie: packageVersion(),
  };
  return {
    kind: "policy",
    base: start?.base ?? report.base,
    parents: parent === null ? [] : [parent.id],
    data: passages,
    selfEdits: edits.flatMap(({ id, edits: texts }) => texts.map(({ text }) => ({ name: id, sha256: digestOf(text) }))),
    config: { ...training, settings } as unknown as Json,
    seed,
    metrics: metricsOf(round, evaluation),
    origin: origin as unknown as Json,
  };
}

const metricsOf = (round: RoundReport, evaluation: EvaluationReport | null): RecordLineage["metrics"] => ({
  "trials/base": round.baseAccuracy,
  "trials/all": round.meanAccuracy,
  "trials/kept": round.keptAccuracy,
  "reward/mean": round.meanReward,
  "reward/best": round.bestReward,
  "held-out/accuracy": evaluation?.accuracy.mean ?? null,
  "held-out/gain": evaluation?.overUntrained?.mean ?? null,
  "held-out/gain-low": evaluation?.overUntrained?.low ?? null,
  "held-out/gain-high": evaluation?.overUntrained?.high ?? null,
  "canaries/kept": evaluation?.policyKept ?? null,
  "canaries/kept-by-edits": evaluation?.kept ?? null,
});

/** One line per policy for people. */
export function describePolicies(records: readonly StoredRecord[]): string {
  const lines = records.map(
    ({ id, verdict, reasons }, index) =>
      `Policy ${index + 1} is stored as ${id.slice(0, 12)}; the gate says ${verdict?.outcome ?? "nothing yet"}: ${describeReasons(reasons, id)}.`,
  );
  const last = records.findLast(({ verdict }) => verdict?.outcome === "promote");
  if (last !== undefined)
    lines.push(`Serve one with: selkie registry promote ${last.id.slice(0, 12)}, then use it with --model @policy.`);
  return lines.join("\n");
}
