/**
 * @file The contract of domains, on every instance. The leak guard is proved by what was trained: a candidate that copies the
 * exam ends in the same adapter, bit for bit, as one that does not, and in another one where the guard is taken away.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { openTinyPolicy, tinyPassages, writeTinyPolicy } from "../../test/support/tiny-policy.ts";
import { createRng } from "../util/index.ts";
import type { Domain, DomainEdit, DomainTask } from "./domain.ts";
import { type CurveEdit, type CurveTask, curveDomain, curveEdit } from "./domains/curve.ts";
import { knowledgeDomain } from "./domains/knowledge.ts";
import type { KnowledgeTask } from "./domains/knowledge-tasks.ts";
import { asPolicyEdit } from "./domains/teacher.ts";
import { prepareLearning } from "./learn/context.ts";
import { tryEdits } from "./learn/learn.ts";
import { defaultLearnSettings, uniformSchedule } from "./learn/settings.ts";
import { applyLearnSettings } from "./learn/settings-file.ts";
import { defaultTemplates } from "./prompts.ts";
import type { SampledEdit } from "./propose.ts";

const folder = mkdtempSync(join(tmpdir(), "selkie-domain-"));
after(() => rmSync(folder, { recursive: true }));
const modelDirectory = await writeTinyPolicy(folder);
const canary = { question: "Who sails?", answer: "Tom", title: "" };

const settings = applyLearnSettings(
  {
    ...defaultLearnSettings,
    ...{ numRounds: 1, passagesPerRound: 2, numEdits: 2, schedule: uniformSchedule(2, 1), numReplay: 2 },
  },
  { innerLoop: { lora: { loraRank: 2, loraAlpha: 4 }, epochs: 1 } },
  "test",
);

/** What a test needs of a domain: an edit that copies all exams, and the same edit without them. */
interface Case<Task extends DomainTask, Edit extends DomainEdit> {
  readonly domain: Domain<Task, Edit>;
  readonly honest: (task: Task) => Edit;
  readonly copying: (task: Task, tasks: readonly Task[]) => Edit;
  /** Texts that ask what the exam of `task` asks. */
  readonly asked: (task: Task) => string[];
}

const knowledge = (): Case<KnowledgeTask, SampledEdit> => {
  const write = (task: KnowledgeTask, pairs: readonly { question: string; answer: string }[]) => {
    const text = pairs
      .map(({ question, answer }, index) => `Question ${index + 1}: ${question}\nAnswer: ${answer}`)
      .join("\n");
    return asPolicyEdit(defaultTemplates, task.source, { kind: "self-qa", text }, true);
  };
  const own = [{ question: "Which animal was there?", answer: "A cat" }];
  const examOf = ({ exam }: KnowledgeTask) => [...exam.selection, ...exam.report];
  return {
    domain: knowledgeDomain({ passages: tinyPassages(2), heldOut: tinyPassages(3).slice(2) }),
    honest: (task) => write(task, own),
    copying: (task, tasks) => write(task, [...own, ...tasks.flatMap(examOf), canary]),
    asked: (task) => examOf(task).map(({ question }) => question),
  };
};

const curve = (): Case<CurveTask, CurveEdit> => {
  const write = (task: CurveTask, points: unknown) =>
    curveEdit(task, JSON.stringify({ rank: 2, learningRate: 0.01, epochs: 1, points }));
  const examOf = ({ exam }: CurveTask) => [...exam.selection, ...exam.report];
  return {
    domain: curveDomain({ numTasks: 2, numHeldOut: 1, seed: 4 }),
    honest: (task) => write(task, []),
    copying: (task) => write(task, examOf(task)),
    asked: (task) => examOf(task).map(([x]) => `${x} =`),
  };
};

/** Adapters and documents of an honest and a copying edit of each task, as the loop trained them. */
async function trainBoth<Task extends DomainTask, Edit extends DomainEdit>(
  { domain, honest, copying }: Case<Task, Edit>,
  oldText: readonly string[] = ["Old text."],
) {
  await using policy = await openTinyPolicy(modelDirectory);
  const values = new Map<string, unknown>();
  const all: Task[] = [];
  const context = await prepareLearning(
    {
      ...{ modelDirectory, templates: defaultTemplates, settings, seed: 1 },
      domain: {
        ...domain,
        propose: async (_policy: unknown, tasks: readonly Task[]) =>
          tasks.map((task) => [honest(task), copying(task, all)]),
      },
      canaries: { items: [canary], hasGold: true },
      oldText: async () => oldText,
      store: {
        read: async (name) => values.get(name) ?? null,
        write: async (name, value) => void values.set(name, value),
      },
      directoryOf: (name) => join(folder, name),
    },
    policy,
  );
  all.push(...context.rounds.flat(), ...context.heldOutTasks);
  const tasks = context.rounds[0]!;
  const { records, candidates } = await tryEdits(context, policy, 1, tasks);
  const adapters = tasks.map((_, index) =>
    records.filter(({ passage }) => passage === index).map(({ adapter }) => adapter),
  );
  return { tasks, adapters, candidates, replay: context.replay };
}

function checkGuard<Task extends DomainTask, Edit extends DomainEdit>(make: () => Case<Task, Edit>): void {
  test("trains nothing of an exam that an edit copies", async () => {
    const { asked } = make();
    const { tasks, adapters, candidates } = await trainBoth(make());
    for (const [index, [honest, copying]] of adapters.entries()) {
      assert.equal(honest, copying);
      const text = candidates[index]!.flatMap(({ documents }) => documents).join("\n");
      for (const question of asked(tasks[index]!)) assert.ok(!`\n${text}`.includes(`\n${question}`), question);
    }
  });

  test("trains nothing of an exam that a careless domain puts into its jobs", async () => {
    const { domain, asked, honest } = make();
    const careless: typeof domain = {
      ...domain,
      compile(task, edits, templates) {
        const job = domain.compile(task, edits, templates);
        const isSecond = edits[0]!.completion !== honest(task).completion;
        return {
          ...job,
          documents: isSecond ? [...job.documents, ...asked(task).map((q) => `${q} 7`)] : job.documents,
        };
      },
    };
    const { adapters } = await trainBoth({ ...make(), domain: careless });
    for (const [honestly, copying] of adapters) assert.equal(honestly, copying);
  });

  test("and only because of its guard", async () => {
    const { domain } = make();
    const open: typeof domain = { ...domain, guard: () => (documents) => [...documents] };
    const { adapters } = await trainBoth({ ...make(), domain: open });
    for (const [honest, copying] of adapters) assert.notEqual(honest, copying);
  });

  test("writes the same edit whatever is asked for beside it", async () => {
    const { domain } = make();
    await using policy = await openTinyPolicy(modelDirectory);
    const writer = { engine: policy, templates: defaultTemplates };
    const { tasks } = await domain.prepare({
      ...writer,
      ...{ canaries: { items: [], hasGold: true }, maxPassageTokens: 64, rng: createRng(0) },
      store: { read: async () => null, write: async () => {} },
    });
    const many = await domain.propose(writer, tasks, 2, createRng("p"));
    const one = await domain.propose(writer, tasks.slice(1, 2), 1, createRng("p"));
    assert.deepEqual(one[0]![0], many[1]![0]);
    assert.notDeepEqual(many[1]![0], many[1]![1]);
  });
}

describe("the knowledge domain", () => {
  checkGuard(knowledge);

  test("replays no question of an exam, and no canary", async () => {
    const { asked } = knowledge();
    const passages = tinyPassages(3);
    const leaks = passages.flatMap((source) =>
      asked({ source, exam: { source: "given", selection: [], report: [{ ...source.questions[1]!, title: "" }] } }),
    );
    const { replay } = await trainBoth({ ...knowledge() }, [
      "Old text.",
      ...leaks.map((question) => `They asked: ${question}`),
      canary.question,
    ]);
    assert.deepEqual(replay, ["Old text."]);
  });
});

describe("the curve domain", () => checkGuard(curve));
