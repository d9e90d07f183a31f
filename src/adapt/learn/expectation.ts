/**
 * @file The E-step of a round: the writer samples edits of the round's passages, every candidate is trained and examined as
 * often as the schedule says, and the reward turns what was measured into one number per candidate. Everything is kept in
 * the store, a group of trials at a time: a run killed anywhere loses the group in work and nothing else.
 */
import { mean, type Rng } from "../../util/index.ts";
import { accuracy, examine, meanGoldLogprob } from "../exam.ts";
import type { SampledEdit, Writer } from "../propose.ts";
import type { EditTrials, PassageTrials, Reward } from "../rewards/rewards.ts";
import { survivors, trialSeed } from "../rewards/selection.ts";
import { type SelfEdit, selfEditDocuments, withoutExamQuestions } from "../self-edit.ts";
import { type StageStore, stage } from "../settings.ts";
import type { Lesson } from "./lessons.ts";
import type { LearnInnerLoop, TrialSchedule } from "./settings.ts";
import type { EditWriter } from "./teacher.ts";
import { runTrials, type Trial, type TrialRecord, type TrialRoom } from "./trials.ts";

/** Inputs of {@link expectRewards}. */
export interface ExpectationArgs {
  /** Prefix of the stages' names. */
  readonly name: string;
  readonly room: TrialRoom;
  readonly writer: EditWriter;
  readonly lessons: readonly Lesson[];
  /** Which questions the trials are examined with. */
  readonly use: "selection" | "report";
  readonly numEdits: number;
  readonly schedule: TrialSchedule;
  readonly reward: Reward;
  /** Questions that may not be trained on. */
  readonly forbidden: readonly string[];
  readonly groupSize: number;
  /** Names the samples. */
  readonly rng: Rng;
  /** Names the trials. */
  readonly runSeed: string;
  readonly randomNumbers: "common" | "independent";
  readonly store: StageStore;
  /** Told after every group; `isNew` unless an earlier process had done it. */
  readonly onTrials?: (numTrials: number, isNew: boolean) => void;
  readonly onEdits?: (done: number, total: number) => void;
}

/** One or several completions that are trained on together. */
export interface EditCandidate {
  readonly members: readonly SampledEdit[];
  readonly documents: readonly string[];
  /** Tokens of the documents. */
  readonly numTokens: number;
}

/** What an E-step found. */
export interface Expectation {
  /** `[passage][edit]`. */
  readonly candidates: readonly (readonly EditCandidate[])[];
  readonly records: readonly TrialRecord[];
  /** What the rewards saw. */
  readonly trials: readonly PassageTrials[];
  /** `[passage][edit]`. */
  readonly rewards: readonly (readonly number[])[];
}

interface BaseScore {
  readonly accuracy: number;
  readonly goldLogprob: number;
}

/** Runs the E-step, or reads what of it is in the store. */
export async function expectRewards(args: ExpectationArgs): Promise<Expectation> {
  const { store, name } = args;
  const base = await stage(store, `${name}/base`, () => sitBefore(args));
  const candidates = await writeCandidates(args);
  const records: TrialRecord[] = [];
  const trialsSoFar = () => assemble(args, base, candidates, records);
  let alive = candidates.map((list) => [...list.keys()]);
  for (const [rung, { numEdits, repetitions }] of args.schedule.entries()) {
    const scores = rung === 0 ? null : args.reward.score(trialsSoFar());
    alive = alive.map((edits, passage) => (scores === null ? edits : survivors(scores[passage]!, edits, numEdits)));
    const first = args.schedule.slice(0, rung).reduce((total, earlier) => total + earlier.repetitions, 0);
    const due = alive.flatMap((edits, passage) =>
      edits.flatMap((edit) =>
        Array.from({ length: repetitions }, (_, index) => trialOf(args, candidates, passage, edit, first + index)),
      ),
    );
    for (let from = 0; from < due.length; from += args.groupSize) {
      const group = due.slice(from, from + args.groupSize);
      let isNew = false;
      const found = await stage(store, `${name}/rung-${rung}/trials-${from}`, () => {
        isNew = true;
        return runTrials(args.room, group);
      });
      records.push(...found);
      args.onTrials?.(found.length, isNew);
    }
  }
  const trials = trialsSoFar();
  const rewards = await stage(store, `${name}/rewards`, async () => args.reward.score(trials));
  return { candidates, records, trials, rewards };
}

/** The policy's own closed-book answers, before any trial. */
async function sitBefore({ room, lessons, use }: ExpectationArgs): Promise<BaseScore[]> {
  const sheets = await examine(
    { ...room, bank: null },
    lessons.map(({ exam }) => ({ adapterIndex: null, items: exam[use] })),
  );
  return sheets.map((answers) => ({ accuracy: accuracy(answers) ?? 0, goldLogprob: meanGoldLogprob(answers) ?? 0 }));
}

/** What {@link writeCandidates} needs of an E-step. */
export type CandidateArgs = Pick<
  ExpectationArgs,
  "name" | "writer" | "lessons" | "numEdits" | "forbidden" | "groupSize" | "rng" | "store" | "onEdits"
> & { readonly room: Writer & { readonly innerLoop: Pick<LearnInnerLoop, "unionOf"> } };

/**
 * Samples the edits, a group of passages at a time, and makes documents of them that ask nothing of the exam.
 * Edit `e` of a passage is the same however many are asked for.
 *
 * @returns `[passage][edit]`.
 */
export async function writeCandidates(args: CandidateArgs): Promise<EditCandidate[][]> {
  const { room, lessons, numEdits, store, name, forbidden } = args;
  const { unionOf } = room.innerLoop;
  const numSamples = numEdits * unionOf;
  const perGroup = Math.max(1, Math.floor(args.groupSize / numSamples));
  const sampled: SampledEdit[][] = [];
  for (let from = 0; from < lessons.length; from += perGroup) {
    args.onEdits?.(from, lessons.length);
    const sources = lessons.slice(from, from + perGroup).map(({ source }) => source);
    const write = () => args.writer(room, sources, numSamples, args.rng.fork("edits"));
    sampled.push(...(await stage(store, `${name}/edits-${from}`, write)));
  }
  const { tokenizer } = room.checkpoint;
  return lessons.map(({ source }, passage) =>
    Array.from({ length: numEdits }, (_, edit) => {
      const members = sampled[passage]!.slice(edit * unionOf, (edit + 1) * unionOf);
      const texts = members.flatMap((member) => selfEditDocuments(member, source, room.templates));
      const documents = withoutExamQuestions([...new Set(texts)], forbidden);
      const numTokens = documents.reduce((total, text) => total + tokenizer.encode(text).length, 0);
      return { members, documents, numTokens };
    }),
  );
}

function trialOf(
  { lessons, use, runSeed, randomNumbers }: ExpectationArgs,
  candidates: readonly (readonly EditCandidate[])[],
  passage: number,
  edit: number,
  repetition: number,
): Trial {
  const { source, exam } = lessons[passage]!;
  const seed = trialSeed({ runSeed, passageId: source.id, edit, repetition }, randomNumbers);
  const { documents } = candidates[passage]![edit]!;
  return { passage, edit, repetition, seed, source, documents, items: exam[use] };
}

/** The edit of a candidate as one text. */
const joined = (members: readonly SampledEdit[]): SelfEdit => ({
  kind: members[0]!.kind,
  text: members.map(({ text }) => text).join("\n"),
});

function assemble(
  { lessons }: ExpectationArgs,
  base: readonly BaseScore[],
  candidates: readonly (readonly EditCandidate[])[],
  records: readonly TrialRecord[],
): PassageTrials[] {
  const found = candidates.map((list) => list.map((): TrialRecord[] => []));
  for (const record of records) found[record.passage]![record.edit]!.push(record);
  return lessons.map(({ source }, passage) => ({
    passageId: source.id,
    passage: source.context,
    baseAccuracy: base[passage]!.accuracy,
    baseGoldLogprob: base[passage]!.goldLogprob,
    edits: candidates[passage]!.map(
      ({ members, numTokens }, edit): EditTrials => ({
        edit: joined(members),
        numTokens,
        trials: found[passage]![edit]!.map(({ accuracy: share, goldLogprob, kept, seed }) => ({
          accuracy: share,
          goldLogprob,
          kept,
          seed,
        })),
      }),
    ),
  }));
}

/** Mean accuracy of an edit's trials; `null` when it was not trained. */
export const meanAccuracy = ({ trials }: EditTrials): number | null =>
  trials.length === 0 ? null : mean(trials.map(({ accuracy: share }) => share));
