import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { createEngine } from "../../engine/index.ts";
import { f32Precision, loadCheckpoint } from "../../models/index.ts";
import { allQuestions, createWorld, examinationPassage, oracleEdit, type Person } from "../../tasks/index.ts";
import { nativeInstructionSets, openBackend } from "../../tensor/index.ts";
import { createRng } from "../../util/index.ts";
import { almanacTemplates } from "../almanac-templates.ts";
import { loadCanaries } from "../canaries.ts";
import { accuracy, type ExamItem } from "../exam.ts";
import { selfEditDocuments } from "../self-edit.ts";
import { defaultSettings } from "../settings.ts";
import { bankMethod } from "./bank.ts";
import { presentModel } from "./merged.ts";
import type { StreamItem } from "./method.ts";

const directory = fileURLToPath(new URL("../../../models/nano", import.meta.url));
const questionsOf = (person: Person, split: "selection" | "report"): ExamItem[] =>
  allQuestions(person, split).map((question) => ({ ...question, title: "" }));

/** A person of the validation split with a whole edit. */
function itemOf(person: Person): StreamItem {
  const { context } = examinationPassage(person, "report");
  const source = { id: person.name, file: "", title: "", context, questions: [] };
  const text = oracleEdit(person, context, "self-qa", createRng("bank-test").fork(person.name));
  const exam = {
    source: "given" as const,
    selection: questionsOf(person, "selection"),
    report: questionsOf(person, "report"),
  };
  return { source, exam, documents: selfEditDocuments({ kind: "self-qa", text }, source, almanacTemplates) };
}

test("the shipped model learns two people into a bank and answers its canaries as before", {
  skip: nativeInstructionSets().length === 0 && "no native kernels",
}, async () => {
  await using engine = await createEngine(await loadCheckpoint(openBackend(), directory, { precision: f32Precision }));
  const canaries = (await loadCanaries(directory, 20)).items;
  const items = createWorld().validation.slice(0, 2).map(itemOf);
  const context = {
    ...{ engine, canaries, templates: almanacTemplates, replay: [], seed: "bank-test", numPassages: 2 },
    innerLoop: { ...defaultSettings.innerLoop, epochs: 12 },
  };
  const asked = items.flatMap(({ exam }) => exam.report);
  const base = await presentModel(context).answer([...asked, ...canaries]);
  using learner = await bankMethod.begin(context);
  for (const [step, item] of items.entries())
    assert.equal((await learner.learn(item, step)).note, "routing 100 % right");
  const answers = await learner.answer([...asked, ...canaries]);
  const [before, after] = [base, answers].map((all) => accuracy(all.slice(0, asked.length))!);
  assert.ok(before! < 0.2 && after! > 0.5, `right answers about the two: ${before} before, ${after} after`);
  assert.deepEqual(answers.slice(asked.length), base.slice(asked.length));
});
