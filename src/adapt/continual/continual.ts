/**
 * @file The continual experiment: several streams, each in an order of its own, every method on each. Edits are written
 * once per stream by the policy as it came, so that methods differ in how they learn and in nothing else. Finished streams
 * are read from the store.
 */

import { digestOf } from "../../registry/index.ts";
import type { SourcePassage } from "../../tasks/index.ts";
import { createRng, mean, type Rng, SelkieError } from "../../util/index.ts";
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
import type { ContinualMethod, StreamContext, StreamItem } from "./method.ts";
import { type ContinualReport, type QuestionCounts, reportContinual, type StreamOutcome } from "./report.ts";
import { measureBase, runStream } from "./stream.ts";

/** Inputs of {@link runStreams}. */
export interface ContinualArgs extends Writer {
  readonly passages: readonly SourcePassage[];
  readonly methods: readonly ContinualMethod[];
  readonly innerLoop: InnerLoop;
  /** Passages of one stream. */
  readonly length: number;
  readonly numStreams: number;
  /** Place of the first stream among all of the experiment: streams of other policies are about other people. @defaultValue 0 */
  readonly firstStream?: number;
  /** Names the policy, where there are several. */
  readonly policy?: string;
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

/** Streams of one policy, and how much was asked. */
export interface ContinualStreams {
  readonly outcomes: readonly StreamOutcome[];
  readonly questions: QuestionCounts;
}

/** The report of streams, of one policy or of several. */
export function summariseStreams(
  methods: readonly ContinualMethod[],
  parts: readonly ContinualStreams[],
  seed: number,
): ContinualReport {
  const outcomes = parts.flatMap((part) => part.outcomes);
  const meanOf = (of: (counts: QuestionCounts) => number) => mean(parts.map(({ questions }) => of(questions)));
  const questions = { known: meanOf(({ known }) => known), asked: meanOf(({ asked }) => asked) };
  return reportContinual(methods, outcomes, questions, createRng(seed).fork("continual").fork("report"));
}

/** Runs every method on every stream of one policy; finished ones are read from the store. */
export async function runStreams(args: ContinualArgs): Promise<ContinualStreams> {
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
  const { firstStream = 0 } = args;
  for (let index = 0; index < numStreams; index++) {
    const stream = await planStream(args, common, firstStream + index, rng);
    const { context, asked } = stream;
    numAsked += asked.flat().length;
    const base = await stage(store, `stream-${index}/base`, () =>
      measureBase({ context, asked, checks: common.checks }, presentModel(context).answer),
    );
    const records = [];
    for (const [place, method] of args.methods.entries()) {
      const [done, total] = [index * args.methods.length + place, numStreams * args.methods.length];
      onEvent?.({ stage: "streams", done, total, note: `stream ${index + 1}: ${method.name}` });
      const run = () => runStream({ ...args, ...stream, method, checks: common.checks });
      const name = `stream-${index}/${method.name}-${digestOf(JSON.stringify(method.settings)).slice(0, 8)}`;
      records.push(await stage(store, name, run));
    }
    outcomes.push({ base, records, ...(args.policy !== undefined && { policy: args.policy }) });
  }
  return { outcomes, questions: { known: common.checks.known.length, asked: numAsked / numStreams } };
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
  readonly context: StreamContext;
  readonly items: readonly StreamItem[];
  readonly asked: readonly (readonly ExamItem[])[];
}

/**
 * Whose passages stream `place` learns: as long as there are enough, each stream has people of its own; then they come
 * round again, in an order of the stream's own.
 */
export function membersOf(place: number, length: number, numPassages: number, rng: Rng): number[] {
  const all = rng.fork("people").shuffle([...Array(numPassages).keys()]);
  const members = Array.from({ length }, (_, index) => all[(place * length + index) % numPassages]!);
  return rng.fork("stream", place).fork("order").shuffle(members);
}

/** The passages of stream `place` in its order, with their edits. */
async function planStream(args: ContinualArgs, common: Common, place: number, rng: Rng): Promise<StreamPlan> {
  const { passages, length, store, templates, engine, innerLoop, signal } = args;
  const { canaries } = common;
  const order = membersOf(place, length, passages.length, rng);
  const sources = order.map((passage) => passages[passage]!);
  const exams = order.map((passage) => common.exams[passage]!);
  const edits = await stage(store, `stream-${place - (args.firstStream ?? 0)}/edits`, () =>
    proposeSelfEdits(args, sources, 1, rng.fork("stream", place).fork("edits")),
  );
  const items = sources.map((source, at): StreamItem => {
    const exam = exams[at]!;
    const asked = [...exam.selection, ...exam.report, ...canaries, ...common.checks.known];
    const documents = selfEditDocuments(edits[at]![0]!, source, templates);
    return {
      source,
      exam,
      documents: withoutExamQuestions(
        documents,
        asked.map(({ question }) => question),
      ),
    };
  });
  const asked = exams.map(({ report }, at) =>
    oneWordingEach(report, args.wordings, createRng("continual-wording").fork(sources[at]!.id)),
  );
  const seed = `continual-${args.seed}-${place}`;
  const context = {
    engine,
    templates,
    innerLoop,
    replay: common.replay,
    canaries,
    numPassages: length,
    seed,
    signal,
  };
  return { context, items, asked };
}
