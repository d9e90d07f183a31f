/**
 * @file The continual experiment: several streams, each in an order of its own, every method on each. Edits are written
 * once per stream by the policy as it came, so that methods differ in how they learn and in nothing else. Finished streams
 * are read from the store.
 */

import { digestOf } from "../../registry/index.ts";
import type { SourcePassage } from "../../tasks/index.ts";
import { createRng, type Rng, SelkieError } from "../../util/index.ts";
import { buildExams, type PassageExam } from "../build-exam.ts";
import type { ExamItem } from "../exam.ts";
import { proposeSelfEdits, sampleReplay, type Writer } from "../propose.ts";
import { selfEditDocuments, withoutExamQuestions } from "../self-edit.ts";
import { type AdaptEvent, type InnerLoop, type StageStore, stage } from "../settings.ts";
import {
  answeredRight,
  type CheckItems,
  type CheckSizes,
  oneWordingEach,
  prepareChecks,
  type StreamChecks,
} from "./checks.ts";
import { presentModel } from "./merged.ts";
import type { ContinualMethod, StreamItem, StreamRoom } from "./method.ts";
import { type ContinualReport, reportContinual, type StreamOutcome } from "./report.ts";
import { measureBase, runStream } from "./stream.ts";

/** Inputs of {@link runContinual}. */
export interface ContinualArgs extends Writer {
  readonly passages: readonly SourcePassage[];
  readonly methods: readonly ContinualMethod[];
  readonly innerLoop: InnerLoop;
  /** Passages of one stream. */
  readonly length: number;
  readonly numStreams: number;
  /** Wordings of each fact that are asked. */
  readonly wordings: number;
  /** Steps between full rows of the matrix. */
  readonly every: number;
  /** Steps between checks of what the base knew. */
  readonly checkEvery: number;
  /** Texts sampled from the base for replay. */
  readonly numReplay: number;
  /** For gates; nobody the checks ask about. */
  readonly canaries: readonly ExamItem[];
  readonly checkItems: CheckItems;
  readonly checkSizes: CheckSizes;
  readonly seed: number;
  readonly store: StageStore;
  readonly onEvent?: (event: AdaptEvent) => void;
}

/** What all streams share. */
interface Common {
  readonly exams: readonly PassageExam[];
  readonly replay: readonly string[];
  /** Those that the base answers right. */
  readonly canaries: readonly ExamItem[];
  readonly checks: StreamChecks;
}

/** Runs every method on every stream and puts the figures together. */
export async function runContinual(args: ContinualArgs): Promise<ContinualReport> {
  const { length, passages, numStreams, store, onEvent } = args;
  if (length < 1 || length > passages.length)
    throw new SelkieError(
      "bad-option",
      `continual: expected streams of 1 to ${passages.length} passages, as many as there are, got ${length}`,
    );
  const rng = createRng(args.seed).fork("continual");
  const common = await prepare(args, rng);
  const outcomes: StreamOutcome[] = [];
  let numAsked = 0;
  for (let index = 0; index < numStreams; index++) {
    const stream = await planStream(args, common, index, rng.fork("stream", index));
    const { room, asked } = stream;
    numAsked += asked.flat().length;
    const base = await stage(store, `stream-${index}/base`, () =>
      measureBase({ room, asked, checks: common.checks }, presentModel(room).answer),
    );
    const records = [];
    for (const [place, method] of args.methods.entries()) {
      const [done, total] = [index * args.methods.length + place, numStreams * args.methods.length];
      onEvent?.({ stage: "streams", done, total, note: `stream ${index + 1}: ${method.name}` });
      const run = () => runStream({ ...args, ...stream, method, checks: common.checks });
      const name = `stream-${index}/${method.name}-${digestOf(JSON.stringify(method.settings)).slice(0, 8)}`;
      records.push(await stage(store, name, run));
    }
    outcomes.push({ base, records });
  }
  const questions = { known: common.checks.known.length, asked: numAsked / numStreams };
  return reportContinual(args.methods, outcomes, questions, rng.fork("report"));
}

/** Samples of the base, exams and checks: once for all streams. */
async function prepare(args: ContinualArgs, rng: Rng): Promise<Common> {
  const { store, passages } = args;
  const exams = await stage(store, "exams", () => buildExams(args, passages, rng.fork("exams")));
  const replay = await stage(store, "replay", () => sampleReplay(args, args.numReplay, rng.fork("replay")));
  const checks = await stage(store, "checks", () => prepareChecks(args, args.checkItems, args.checkSizes));
  const canaries = await stage(store, "canaries", () => answeredRight(args, args.canaries));
  const asked = [...exams.flatMap(({ report }) => report), ...args.canaries, ...checks.known];
  return {
    exams,
    replay: withoutExamQuestions(
      replay,
      asked.map(({ question }) => question),
    ),
    canaries,
    checks,
  };
}

interface StreamPlan {
  readonly room: StreamRoom;
  readonly items: readonly StreamItem[];
  readonly asked: readonly (readonly ExamItem[])[];
}

/** The passages of stream `index` in its order, with their edits. */
async function planStream(args: ContinualArgs, common: Common, index: number, rng: Rng): Promise<StreamPlan> {
  const { passages, length, store, templates, checkpoint, innerLoop, signal } = args;
  const { canaries } = common;
  const order = rng
    .fork("order")
    .shuffle([...passages.keys()])
    .slice(0, length);
  const sources = order.map((passage) => passages[passage]!);
  const exams = order.map((passage) => common.exams[passage]!);
  const edits = await stage(store, `stream-${index}/edits`, () =>
    proposeSelfEdits(args, sources, 1, rng.fork("edits")),
  );
  const items = sources.map((source, place): StreamItem => {
    const exam = exams[place]!;
    const asked = [...exam.selection, ...exam.report, ...canaries, ...common.checks.known];
    const documents = selfEditDocuments(edits[place]![0]!, source, templates);
    return {
      source,
      exam,
      documents: withoutExamQuestions(
        documents,
        asked.map(({ question }) => question),
      ),
    };
  });
  const asked = exams.map(({ report }, place) =>
    oneWordingEach(report, args.wordings, createRng("continual-wording").fork(sources[place]!.id)),
  );
  const seed = `continual-${args.seed}-${index}`;
  const room = {
    checkpoint,
    templates,
    innerLoop,
    replay: common.replay,
    canaries,
    numPassages: length,
    seed,
    signal,
  };
  return { room, items, asked };
}
