/**
 * @file The main job: passages go in, an adapted model comes out (SEAL, Zweiger et al. 2025, arXiv 2506.10943, one inner
 * round without the outer loop). Propose self-edits, train each candidate in the adapter bank, examine, keep the best;
 * then train one adapter from the base on the union of the chosen edits with self-generated replay, and examine that.
 * Deviations: the candidates of all passages train side by side; the last adapter is trained on text, not merged from
 * weights; what the model knew before is measured every time and decides whether the change is kept.
 * Next on the tour: `src/adapt/candidates.ts`.
 */
import { type Engine, withAdapter } from "../engine/index.ts";
import type { LoraAdapter } from "../nn/index.ts";
import type { SourcePassage } from "../tasks/index.ts";
import { createRng, type Rng } from "../util/index.ts";
import { allQuestions, buildExams, type PassageExam, redactPassage } from "./build-exam.ts";
import type { Canaries } from "./canaries.ts";
import {
  bestCandidate,
  blankAdapter,
  type CandidateResult,
  type ProposedEdit,
  trainCandidates,
  tryCandidates,
} from "./candidates.ts";
import { checkExam, cutToContext } from "./context-window.ts";
import { type ExamItem, type ExamResults, examine } from "./exam.ts";
import { passagesPerBank } from "./finished.ts";
import { baseContradictions, questionsIn } from "./gate/contradictions.ts";
import { defaultGate } from "./gate/thresholds.ts";

import { chooseNear, loadKnown } from "./near.ts";
import type { PromptTemplates } from "./prompts.ts";
import { proposeSelfEdits, sampleReplay, type Writer } from "./propose.ts";
import { type AdaptReport, buildReport } from "./report.ts";
import { screenEdit } from "./screened.ts";
import { selfEditDocuments, withoutExamQuestions } from "./self-edit.ts";
import { type AdaptEvent, type AdaptSettings, type StageStore, stage } from "./settings.ts";

/** Inputs of {@link adapt}. */
export interface AdaptArgs {
  readonly engine: Engine;
  readonly templates: PromptTemplates;
  readonly canaries: Canaries;
  /** Facts the model knows, of which those near the passages are asked. @defaultValue `known.jsonl` beside the model, if it has one */
  readonly known?: readonly ExamItem[];
  readonly passages: readonly SourcePassage[];
  readonly settings: AdaptSettings;
  readonly seed: number | string;
  readonly store: StageStore;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: AdaptEvent) => void;
}

/** The report and the adapters it is about. */
export interface AdaptOutcome {
  readonly report: AdaptReport;
  readonly adapter: LoraAdapter;
  /** Trained on the passages alone, with as many updates, for comparison. */
  readonly rawAdapter: LoraAdapter;
}

/** One run: its inputs, its passages cut to size, its exams. */
interface Run extends AdaptArgs {
  readonly rng: Rng;
  readonly pieces: readonly SourcePassage[];
  readonly exams: readonly PassageExam[];
  /** Known facts near the passages; `null` where the model names none at all. */
  readonly near: readonly ExamItem[] | null;
  /** Questions that may be asked, and so may not be trained on. */
  readonly forbidden: readonly string[];
  readonly writer: Writer;
  readonly tell: (name: string, done: number, total: number, note?: string) => void;
}

interface Proposals {
  readonly edits: readonly (readonly ProposedEdit[])[];
  readonly numDropped: number;
}

/**
 * Learns `passages` into one adapter. Finished stages are read from `store`, so calling it again with the same
 * arguments after an interruption goes on where it stopped and ends with the same adapter.
 */
export async function adapt(args: AdaptArgs): Promise<AdaptOutcome> {
  const run = await prepare(args);
  const before = await stage(run.store, "sitting-before", () => examineAdapter(run, null));
  const proposals = await stage(run.store, "proposals", () => propose(run));
  const contradictions = await stage(run.store, "contradictions", () => baseContradictionsOf(run, proposals));
  const trials = await tryAll(run, proposals);
  const chosen = trials.map((results, index) => choose(results, proposals.edits[index]!));
  const { adapter, rawAdapter, learned, replay, numUpdates } = await trainFinal(run, chosen);
  run.tell("after", 0, 1);
  const raw = await examineAdapter(run, rawAdapter);
  const adapted = await examineAdapter(run, adapter);
  run.tell("after", 1, 1);
  const { pieces, exams, near, canaries, settings } = run;
  const report = buildReport({
    pieces,
    exams,
    canaries,
    near,
    settings,
    edits: proposals.edits,
    trials,
    chosen,
    contradictions,
    results: { base: before, raw, adapted },
    counts: {
      ...{ numDocuments: learned.length, numReplay: replay.length, numDropped: proposals.numDropped },
      numUpdates,
    },
  });
  return { report, adapter, rawAdapter };
}

/** The best edit that passed the screen; the first, which then has no documents, where none did. */
function choose(results: readonly (CandidateResult | null)[], edits: readonly ProposedEdit[]): ProposedEdit {
  const passed = edits.map((edit, index) => ({ edit, result: results[index] ?? null }));
  const tried = passed.flatMap(({ edit, result }) => (result === null ? [] : [{ edit, result }]));
  return tried.length === 0 ? edits[0]! : tried[bestCandidate(tried.map(({ result }) => result))]!.edit;
}

/** Questions of the exam, and of the edits that passed the screen, to which the base is sure of another answer. */
const baseContradictionsOf = (
  { writer, exams, canaries, near }: Run,
  { edits }: Proposals,
): ReturnType<typeof baseContradictions> =>
  baseContradictions(writer, {
    questions: [
      ...exams.flatMap(({ report }) => report),
      ...questionsIn(edits.flat().flatMap(({ documents }) => documents)),
    ],
    known: [...(canaries.hasGold ? canaries.items : []), ...(near ?? [])],
    minProbability: defaultGate.thresholds.minHeldProbability,
  });

async function prepare(args: AdaptArgs): Promise<Run> {
  const { engine, templates, signal, settings, store } = args;
  const rng = createRng(args.seed);
  const writer = { engine, templates, signal };
  const tell = (name: string, done: number, total: number, note?: string) =>
    args.onEvent?.({ stage: name, done, total, ...(note !== undefined && { note }) });
  const pieces = cutToContext(writer, args.passages, settings.maxPassageTokens);
  checkExam(writer, pieces, args.canaries.items);
  tell("exam", 0, pieces.length);
  const exams = await stage(store, "exam", () => buildExams(writer, pieces, rng.fork("exam")));
  const near = await nearOf(args, pieces);
  const forbidden = allQuestions(exams, [...args.canaries.items, ...(near ?? [])]);
  return {
    ...args,
    rng,
    pieces: pieces.map((passage) => redactPassage(passage, forbidden)),
    exams,
    near,
    forbidden,
    writer,
    tell,
  };
}

async function nearOf(
  { engine, canaries, settings, known }: AdaptArgs,
  pieces: readonly SourcePassage[],
): Promise<ExamItem[] | null> {
  const facts = known ?? (await loadKnown(engine.model.directory));
  const asked = canaries.items.map(({ question }) => question);
  const texts = pieces.map(({ title, context }) => `${title}\n${context}`);
  return facts.length === 0 || settings.maxNear === 0 ? null : chooseNear(facts, texts, settings.maxNear, asked);
}

/** The report questions, the canaries and what lies near, answered by one adapter or by the base model. */
async function examineAdapter(run: Run, adapter: LoraAdapter | null): Promise<ExamResults> {
  const items = run.exams.flatMap(({ report }) => report);
  const [questions, canaries, near] = await withAdapter(run.engine, adapter, (id) =>
    examine(run.writer, [
      { adapter: id, items },
      { adapter: id, items: run.canaries.items },
      { adapter: id, items: run.near ?? [] },
    ]),
  );
  return [questions!, canaries!, near!];
}

/** Samples the edits of every passage and turns them into documents that ask nothing of the exam and pass the screen. */
async function propose(run: Run): Promise<Proposals> {
  const { writer, pieces, settings, forbidden } = run;
  run.tell("propose", 0, pieces.length);
  const sampled = await proposeSelfEdits(writer, pieces, settings.numEdits, run.rng.fork("propose"));
  let numDropped = 0;
  const edits = pieces.map((passage, index) =>
    sampled[index]!.map((edit) => {
      const documents = selfEditDocuments(edit, passage, writer.templates);
      const allowed = withoutExamQuestions(documents, forbidden);
      numDropped += documents.length - allowed.length;
      const whole = allowed.filter((document) => document === documents.at(-1)); // the passage itself
      const written = allowed.filter((document) => document !== documents.at(-1));
      return { ...edit, ...screenEdit({ context: screenedText(passage), documents: written }, whole) };
    }),
  );
  return { edits, numDropped };
}

const screenedText = ({ title, context }: SourcePassage): string => (title === "" ? context : `${title}\n${context}`);

/** Results of every edit of every passage, `null` for those refused; passages are tried in groups that fill one bank. */
async function tryAll(run: Run, proposals: Proposals): Promise<(CandidateResult | null)[][]> {
  const { pieces, settings, store, writer } = run;
  const trials: (CandidateResult | null)[][] = [];
  const perBank = passagesPerBank(settings);
  for (let from = 0; from < pieces.length; from += perBank) {
    const group = pieces.slice(from, from + perBank);
    const onTrain = (done: number, total: number, note: string) =>
      run.tell("try", from + (group.length * done) / total, pieces.length, note);
    const candidates = group.flatMap((passage, offset) =>
      proposals.edits[from + offset]!.map((edit, index) => ({
        id: `${passage.id}/${index}`,
        documents: edit.documents,
        items: run.exams[from + offset]!.selection,
      })),
    );
    const passed = candidates.filter(({ documents }) => documents.length > 0);
    const context = { ...writer, innerLoop: settings.innerLoop, seed: `${run.seed}`, onTrain };
    const results =
      passed.length === 0 ? [] : await stage(store, `trials-${from}`, () => tryCandidates(context, passed));
    const byId = new Map(results.map((result) => [result.id, result]));
    for (let first = 0; first < candidates.length; first += settings.numEdits)
      trials.push(candidates.slice(first, first + settings.numEdits).map(({ id }) => byId.get(id) ?? null));
  }
  return trials;
}

interface Trained {
  readonly adapter: LoraAdapter;
  readonly rawAdapter: LoraAdapter;
  readonly learned: readonly string[];
  readonly replay: readonly string[];
  /** Updates of each of the two. */
  readonly numUpdates: number;
}

/**
 * One adapter on the chosen edits, and the control: one on the bare passages, repeated until it has had as many documents,
 * the same replay among them, and so as many updates. Replay is seen once where there is enough of it: the same few
 * documents in every epoch keep only what they say.
 */
async function trainFinal(run: Run, chosen: readonly ProposedEdit[]): Promise<Trained> {
  const { settings, store, rng, writer, forbidden } = run;
  const { finalLoop, replayShare, maxReplay } = settings;
  const learned = [...new Set(chosen.flatMap(({ documents }) => documents))];
  const learnable = run.pieces.filter((_, index) => chosen[index]!.documents.length > 0);
  const raw = withoutExamQuestions(learnable.map(screenedText), forbidden);
  if (learned.length === 0) {
    const blank = blankAdapter(writer.engine, finalLoop.lora);
    return { adapter: blank, rawAdapter: blank, learned, replay: [], numUpdates: 0 };
  }
  const numVisits = learned.length * finalLoop.epochs;
  const numReplayVisits = Math.round((numVisits * replayShare) / (1 - replayShare));
  const numReplay = Math.min(maxReplay, numReplayVisits);
  run.tell("replay", 0, numReplay);
  const replay = await stage(store, "replay", async () =>
    withoutExamQuestions(await sampleReplay(writer, numReplay, rng.fork("replay")), forbidden),
  );
  const mixed = (documents: readonly string[]) => [
    ...repeatTo(documents, numVisits),
    ...repeatTo(replay, numReplayVisits),
  ];
  const documents = mixed(learned);
  const onTrain = (done: number, total: number, note: string) => run.tell("train", done, total, note);
  const [adapter, rawAdapter] = await trainCandidates(
    { ...writer, innerLoop: { ...finalLoop, epochs: 1 }, seed: `${run.seed}`, onTrain },
    [
      { id: "final", documents, items: [] },
      { id: "final-raw", documents: mixed(raw), items: [] },
    ],
  );
  const numUpdates = Math.ceil(documents.length / finalLoop.documentsPerStep);
  return { adapter: adapter!, rawAdapter: rawAdapter!, learned, replay, numUpdates };
}

/** `items` over and over, `count` in all; nothing where there is none. */
const repeatTo = <T>(items: readonly T[], count: number): T[] =>
  items.length === 0 ? [] : Array.from({ length: count }, (_, index) => items[index % items.length]!);
