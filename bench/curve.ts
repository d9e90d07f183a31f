/**
 * @file `npm run curve`: does the outer loop learn to choose hyper-parameters? Trains the base of the curve domain, runs two
 * rounds of ReST-EM for each seed, and measures the policies on fresh tasks beside four controls: random edits, the setting
 * that is best on validation tasks, the best setting for each stated error there, and the best of all settings for each task
 * (chosen by the report exam itself, so it is more than anybody could reach). Everything is kept in `--out` and resumed.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  type CurveTask,
  curveChoices,
  curveCompletion,
  curveDomain,
  curveEdit,
  curveLearnSettings,
  curveText,
  defaultTemplates,
  drawCurve,
  type LearnSettings,
  learn,
  pretrainCurve,
  runTrials,
  type StageStore,
  stage,
  stagesOf,
  type TaskScore,
  type Trial,
  trialSeed,
} from "../src/adapt/index.ts";
import { type Engine, openEngine } from "../src/engine/index.ts";
import { digestCheckpoint } from "../src/models/index.ts";
import { createRun } from "../src/registry/index.ts";
import { openBackend } from "../src/tensor/index.ts";
import { bootstrapCrossed, bootstrapMean, createRng, type Interval, mean } from "../src/util/index.ts";

const { values: options } = parseArgs({
  options: {
    out: { type: "string", default: "runs/curve" },
    seeds: { type: "string", default: "0,1,2" },
    tasks: { type: "string", default: "300" },
    validation: { type: "string", default: "24" },
    test: { type: "string", default: "200" },
    pretraining: { type: "string", default: "500" },
  },
});
const numTasks = Number(options.tasks);
const numRounds = 2;
const settings: LearnSettings = { ...curveLearnSettings, numRounds, passagesPerRound: numTasks };
const canaries = { items: [], hasGold: true };
const grid = curveChoices.rank.flatMap((rank) =>
  curveChoices.learningRate.flatMap((learningRate) =>
    curveChoices.epochs.map((epochs) => ({ rank, learningRate, epochs })),
  ),
);
const drawMany = (name: string, count: number): CurveTask[] =>
  Array.from({ length: count }, (_, index) =>
    drawCurve(`${name}-${index}`, createRng("curve-study").fork(name, index)),
  );

const backend = openBackend({});
const open = (directory: string): Promise<Engine> => openEngine(directory, { precision: "f32" });
const base = join(options.out, "base");
if (!existsSync(join(base, "selkie.json")))
  // its last file: a folder without it is what a kill left
  await pretrainCurve({
    ...{ backend, directory: base, seed: 0, steps: Number(options.pretraining) },
    onProgress: ({ step, steps, lossNats }) => {
      if (step % 100 === 0) console.error(`base: ${step} of ${steps}, ${lossNats.toFixed(3)} nats`);
    },
  });
const baseDigest = await digestCheckpoint(base);
const openRun = (kind: string, seed: number) =>
  createRun(
    options.out,
    { kind, config: JSON.parse(JSON.stringify({ settings, options })), inputs: { base: baseDigest }, seed },
    { clock: Date.now },
  );

/** Every setting trained once on every task: `[task][setting]`. */
async function measureGrid(store: StageStore, name: string, tasks: readonly CurveTask[]): Promise<TaskScore[][]> {
  const domain = curveDomain({ numTasks: 0, numHeldOut: 0, seed: 0 });
  const guard = domain.guard(tasks);
  await using engine = await open(base);
  const context = { engine, templates: defaultTemplates, innerLoop: settings.innerLoop, canaries: [], replay: [] };
  const found: TaskScore[][] = [];
  for (const [passage, task] of tasks.entries()) {
    const trials = grid.map((choice, edit): Trial => {
      const job = domain.compile(task, [curveEdit(task, curveCompletion(choice))], defaultTemplates);
      const { source } = task;
      const seed = trialSeed({ runSeed: "grid", passageId: source.id, edit, repetition: 0 }, "common");
      return { ...{ passage, edit, repetition: 0, seed, source }, ...job, documents: guard(job.documents, task) };
    });
    const records = await stage(store, `grid/${name}-${passage}`, () =>
      runTrials(context, trials, (model, takers) =>
        domain.examine(
          model,
          takers.map(({ adapter }) => ({ task, use: "report", adapter })),
        ),
      ),
    );
    console.error(`${name}: ${passage + 1} of ${tasks.length}`);
    found.push(records);
  }
  return found;
}

/** `[held-out task]` after each round, from the untrained policy on. */
type Learned = { readonly scores: readonly (readonly TaskScore[])[]; readonly kinds: unknown };

async function learnSeed(seed: number, heldOut: readonly CurveTask[]): Promise<Learned> {
  using run = openRun("curve", seed);
  const scores: TaskScore[][] = [];
  const domain = curveDomain({ numTasks: numRounds * numTasks, numHeldOut: 0, seed });
  const report = await learn({
    ...{ modelDirectory: base, openPolicy: open, templates: defaultTemplates, canaries, settings, seed },
    domain: { ...domain, prepare: async (context) => ({ ...(await domain.prepare(context)), heldOut }) },
    oldText: async (count, rng) => Array.from({ length: count }, (_, index) => curveText(rng.fork(index))),
    store: stagesOf(run),
    directoryOf: (name) => run.artifactPath(name),
    onExamined: (_round, { trials }) =>
      scores.push(
        trials.map(({ edits }) => ({
          accuracy: mean(edits.map((edit) => mean(edit.trials.map(({ accuracy }) => accuracy)))),
          goldLogprob: mean(edits.map((edit) => mean(edit.trials.map(({ goldLogprob }) => goldLogprob)))),
        })),
      ),
    onEvent: ({ stage: part, done, total }) => console.error(`seed ${seed}, ${part}: ${done} of ${total}`),
  });
  return { scores, kinds: report.evaluations.map(({ kinds }) => kinds) };
}

const indexOfBest = (row: readonly number[]): number => row.indexOf(Math.max(...row));
const show = ({ mean: centre, low, high }: Interval): string =>
  `${centre.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]`;

const [validation, test] = [
  drawMany("validation", Number(options.validation)),
  drawMany("unseen", Number(options.test)),
];
using gridRun = openRun("curve-grid", 0);
const onValidation = await measureGrid(stagesOf(gridRun), "validation", validation);
const onTest = await measureGrid(stagesOf(gridRun), "test", test);
const seeds = options.seeds.split(",").map(Number);
const learned: Learned[] = [];
for (const seed of seeds) learned.push(await learnSeed(seed, test));

for (const measure of ["goldLogprob", "accuracy"] as const) {
  const of = (rows: readonly (readonly TaskScore[])[]) => rows.map((row) => row.map((score) => score[measure]));
  const [tried, truth] = [of(onValidation), of(onTest)];
  const bestOn = (isMeant: (task: CurveTask) => boolean) => {
    const rows = tried.filter((_, index) => isMeant(validation[index]!));
    return indexOfBest(grid.map((_, setting) => mean(rows.map((row) => row[setting]!))));
  };
  const fixed = bestOn(() => true);
  const byError = new Map([0, 3].map((error) => [error, bestOn((task) => task.error === error)]));
  const controls = {
    "random edits": truth.map(mean),
    "best fixed edit": truth.map((row) => row[fixed]!),
    "best edit for each error": truth.map((row, index) => row[byError.get(test[index]!.error)!]!),
    "best edit for each task (bound)": truth.map((row) => Math.max(...row)),
  };
  const policies = Array.from({ length: numRounds + 1 }, (_, round) =>
    learned.map(({ scores }) => scores[round]!.map((score) => score[measure])),
  );
  const rng = createRng("curve-intervals");
  console.log(`\n${measure} on ${test.length} fresh tasks, 95 % intervals over tasks (and seeds)`);
  for (const [name, scores] of Object.entries(controls))
    console.log(`  ${name}: ${show(bootstrapMean(scores, rng.fork(name)))}`);
  policies.forEach((rows, round) => {
    console.log(
      `  policy after ${round} rounds: ${show(bootstrapCrossed(rows, rng.fork(round)))}; by seed ${rows.map((row) => mean(row).toFixed(3)).join(", ")}`,
    );
  });
  const against = (name: string, reference: readonly (readonly number[])[]) => {
    const differences = policies
      .at(-1)!
      .map((row, seed) => row.map((score, task) => score - (reference[seed] ?? reference[0]!)[task]!));
    console.log(`  last policy over ${name}: ${show(bootstrapCrossed(differences, rng.fork("over", name)))}`);
  };
  against("the untrained policy", policies[0]!);
  for (const [name, scores] of Object.entries(controls)) against(name, [scores]);
  console.log(
    `  best fixed: ${JSON.stringify(grid[fixed])}; by error: ${[...byError].map(([error, at]) => `${error} ${JSON.stringify(grid[at])}`).join("; ")}`,
  );
}
console.log(JSON.stringify(learned.map(({ kinds }) => kinds)));
