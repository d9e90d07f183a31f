/**
 * @file The same arms in many voices: is what reinforcement adds to be had outside the language it was learned in? Each set of
 * passages is learned raw, by the rule, by the untrained policy's edit and by the last round's, at equal updates; beside
 * them the unchanged model answers closed-book and with the passage in its prompt. Traps ask about relations that no passage
 * tells: who answers them with the passage's values has learned that a value belongs to a name and not how.
 */
import { type ArmScore, figuresOnly, measureArm, type ScoreFigures, scoreReading, scoreUntrained } from "./arms.ts";
import { onSet, type PassageSet, type PassageSplit } from "./passage-sets.ts";
import {
  checkRuns,
  documentsOf,
  openTrained,
  openUntrained,
  type PolicyRun,
  type PolicyStudy,
  rawOf,
  ruleOf,
  stepsOf,
  withPolicy,
  writeEdits,
} from "./policies.ts";

/** The arms, in the order of the table. */
export const voiceArms = ["closed book", "reading", "untrained edit", "last round", "raw", "rule"] as const;
/** One of {@link voiceArms}. */
export type VoiceArm = (typeof voiceArms)[number];

/** Scores of every task by arm, for one seed. */
export interface VoiceSeed {
  readonly seed: number;
  readonly arms: Readonly<Record<VoiceArm, readonly ScoreFigures[]>>;
}

/** One set of passages. */
export interface VoiceFindings {
  readonly set: string;
  readonly summary: string;
  readonly split: PassageSplit;
  readonly passageIds: readonly string[];
  /** Report questions of a passage; mean. */
  readonly numQuestions: number;
  /** A label for each task; `null` for a set of one part. */
  readonly parts: readonly string[] | null;
  readonly seeds: readonly VoiceSeed[];
}

/** Measures every arm on every set for every run of the outer loop; finished parts are read from the store. */
export async function runVoices(
  study: Omit<PolicyStudy, "passages" | "traps">,
  sets: readonly PassageSet[],
): Promise<VoiceFindings[]> {
  checkRuns("voices", study.runs, 1);
  const findings: VoiceFindings[] = [];
  for (const set of sets) findings.push(await measureSet(onSet(study, set), set));
  return findings;
}

async function measureSet(study: PolicyStudy, set: PassageSet): Promise<VoiceFindings> {
  const seeds: VoiceSeed[] = [];
  let about: Pick<VoiceFindings, "passageIds" | "numQuestions"> | null = null;
  for (const run of study.runs) {
    const { tasks, arms } = await measureSeed(study, run);
    const numReport = tasks.reduce((sum, { exam }) => sum + exam.report.length, 0);
    about = { passageIds: tasks.map(({ source }) => source.id), numQuestions: numReport / tasks.length };
    seeds.push({ seed: run.seed, arms: shownOf(arms) });
  }
  const partOf = new Map(set.passages.map(({ id }, index) => [id, set.parts?.[index]]));
  const { passageIds, numQuestions } = about!;
  const parts = set.parts === undefined ? null : passageIds.map((id) => partOf.get(id.replace(/:\d+$/, "")) ?? "other");
  return { set: set.name, summary: set.summary, split: set.split, passageIds, numQuestions, parts, seeds };
}

type Measured = Readonly<Record<VoiceArm, readonly ArmScore[]>>;

const shownOf = (arms: Measured): VoiceSeed["arms"] =>
  Object.fromEntries(voiceArms.map((arm) => [arm, arms[arm].map(figuresOnly)])) as unknown as VoiceSeed["arms"];

async function measureSeed(study: PolicyStudy, run: PolicyRun) {
  const { innerLoop } = study;
  const { seed, policies } = run;
  const { untrained, edits } = await withPolicy(openUntrained(study, seed), async (context) => ({
    untrained: context,
    edits: await writeEdits(context, seed, 1),
  }));
  const last = await withPolicy(openTrained(study, run, policies.length, untrained), async (context) =>
    measureArm(context, { name: "own", innerLoop, documents: documentsOf(await writeEdits(context, seed, 1)) }),
  );
  const numSteps = stepsOf(last);
  const arms = await withPolicy(
    openUntrained(study, seed),
    async (context): Promise<Measured> => ({
      "closed book": (await scoreUntrained(context)).map((score) => ({ ...score, kept: 1 })),
      reading: (await scoreReading(context)).map((score) => ({ ...score, kept: 1 })),
      "untrained edit": await measureArm(context, { name: "own", innerLoop, documents: documentsOf(edits) }),
      "last round": last,
      raw: await measureArm(context, { name: "raw", innerLoop, documents: rawOf(context), numSteps }),
      rule: await measureArm(context, { name: "rule", innerLoop, documents: ruleOf(context), numSteps }),
    }),
  );
  return { tasks: untrained.tasks, arms };
}
