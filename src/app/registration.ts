/** @file Puts what an adaptation made into the store, with its lineage, and asks the gate about it. */
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import type { AdaptReport, AdaptSettings, GateDecision, SourceEdit } from "../adapt/index.ts";
import {
  describeReasons,
  digestOf,
  type FileContent,
  type Json,
  type RecordLineage,
  type Store,
  type StoredRecord,
} from "../registry/index.ts";
import type { SourcePassage } from "../tasks/index.ts";
import { defaultStore, packageVersion } from "../util/index.ts";
import { examFile, type RecordedExam, sourcesFile } from "./grader.ts";
import { type GradingOptions, gradeRecord, type TrainingConfig } from "./grading.ts";

/** An adaptation to be stored. */
export interface Registration {
  /** Of the adapter, kept or rejected. */
  readonly adapterDirectory: string;
  readonly modelDirectory: string;
  /** Digest of the model. */
  readonly base: string;
  /** The passages as they were cut, in the order of the report. */
  readonly passages: readonly SourcePassage[];
  readonly report: AdaptReport;
  readonly settings: AdaptSettings;
  readonly seed: number | string;
  readonly run: string;
}

/** The record and what the gate says of it. */
export interface Registered {
  /** Folder of the store. */
  readonly store: string;
  readonly record: StoredRecord;
  readonly decision: GateDecision;
}

/** Stores an adapter as a candidate and writes the gate's judgement down; nothing is promoted by this. */
export async function registerAdaptation(
  store: Store,
  registration: Registration,
  options: GradingOptions,
): Promise<Registered> {
  const { adapterDirectory, passages, report } = registration;
  const files = new Map<string, FileContent>();
  for (const name of readdirSync(adapterDirectory)) files.set(name, { path: join(adapterDirectory, name) });
  files.set(sourcesFile, toJson(toSources(passages, report)));
  files.set(examFile, toJson(toExam(passages, report)));
  const record = store.put({ lineage: lineageOf(registration), files });
  const graded = await gradeRecord(store, record, { ...options, modelDirectory: registration.modelDirectory });
  return { store: store.directory, ...graded };
}

const toJson = (value: unknown): string => `${JSON.stringify(value, null, 1)}\n`;

/**
 * Each passage with the edit it was learned by; the passage itself is no claim of the edit. Passages that were not learned are
 * left out, unless none was: then they show what the gate is to say about them.
 */
function toSources(passages: readonly SourcePassage[], report: AdaptReport): (SourceEdit & { readonly edit: Json })[] {
  const isAnyLearned = report.passages.some(({ isLearned }) => isLearned);
  return report.passages.flatMap(({ id, chosen, isLearned }, index) => {
    if (isAnyLearned && !isLearned) return [];
    const { context, title } = passages[index]!;
    const bare = chosen.documents.map((document) =>
      title !== "" && document.startsWith(`${title}\n`) ? document.slice(title.length + 1) : document,
    );
    const documents = bare.filter((document) => document !== context);
    return [
      {
        id,
        context: title === "" ? context : `${title}\n${context}`,
        documents,
        edit: { kind: chosen.kind, text: chosen.text },
      },
    ];
  });
}

function toExam(passages: readonly SourcePassage[], report: AdaptReport): RecordedExam {
  const items = report.passages.flatMap(({ answers, exam }, index) =>
    exam === report.examSource
      ? answers.map(({ question, gold }) => ({ question, answer: gold, title: passages[index]!.title }))
      : [],
  );
  return { source: report.examSource, items };
}

function lineageOf({ passages, report, settings, seed, run, base, modelDirectory }: Registration): RecordLineage {
  const { finalLoop, replayShare } = settings;
  const learned = report.numDocuments * finalLoop.epochs;
  const replayed = report.numReplay === 0 ? 0 : Math.round((learned * replayShare) / (1 - replayShare));
  const training: TrainingConfig = {
    numSteps: Math.ceil((learned + replayed) / finalLoop.documentsPerStep),
    learningRate: finalLoop.learningRate,
    loraRank: finalLoop.lora.loraRank,
  };
  return {
    kind: "adapter",
    base,
    parents: [],
    data: passages.map(({ id, context }) => ({ name: id, sha256: digestOf(context) })),
    selfEdits: report.passages.map(({ id, chosen }) => ({ name: id, sha256: digestOf(chosen.text) })),
    config: { ...training, settings } as unknown as Json,
    seed,
    metrics: {
      "exam/base": report.base.accuracy,
      "exam/raw": report.raw.accuracy,
      "exam/adapted": report.adapted.accuracy,
      "canaries/kept": report.adapted.retention.kept,
    },
    origin: { run, model: resolve(modelDirectory), selkie: packageVersion() },
  };
}

/** One line for people. */
export function describeRegistered({ record, decision, store }: Registered): string {
  const id = record.id.slice(0, 12);
  const next =
    record.state === "candidate" && (decision.outcome === "promote" || decision.outcome === "rescale")
      ? `\nServe it with: selkie registry promote ${id}${store === resolve(defaultStore) ? "" : ` --store ${store}`}`
      : "";
  return `Stored as ${id}; the gate says ${decision.outcome}: ${describeReasons(decision.reasons, id)}.${next}`;
}
