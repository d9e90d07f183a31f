/** @file What an edit states, counted by hand. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { KnowledgeCandidate, KnowledgeTask, SelfEdit } from "../adapt/index.ts";
import { almanacPassages, createWorld, oracleEdit, personValues } from "../tasks/index.ts";
import { createRng } from "../util/index.ts";
import { measureEdit, peopleOf } from "./edit-figures.ts";

const person = createWorld().test[0]!;
const [source] = almanacPassages([person]);
const { name, facts } = person;
const report = source!.questions.filter(({ use }) => use === "report").map((item) => ({ ...item, title: "" }));
const task: KnowledgeTask = { source: source!, exam: { source: "given", selection: report, report } };
const candidate = (...edits: readonly SelfEdit[]): KnowledgeCandidate => ({
  members: edits.map((edit) => ({ ...edit, prompt: "", completion: "", isFinished: true })),
  documents: ["one", "two"],
  numTokens: 2,
});
const measure = (kind: SelfEdit["kind"], text: string) => measureEdit(candidate({ kind, text }), task, person);

test("an answer counts as stated anywhere, and with the name only in the name's own sentence", () => {
  const text = `${name} worked as a ${facts.occupation}. The birthplace was ${facts.birthplace}.\nThe year was ${facts.birthYear}.`;
  const { coverage, namedCoverage, wrongFacts, words, numDocuments } = measure("implications", text);
  assert.equal(coverage, 3 / 6);
  assert.equal(namedCoverage, 1 / 6);
  assert.equal(wrongFacts, 0);
  assert.equal(words, text.split(/[ \n]/).length);
  assert.equal(numDocuments, 2);
});

test("a question with its answer is one statement", () => {
  const { namedCoverage } = measure("self-qa", `Question 1: What did ${name} play?\nAnswer: ${facts.instrument}`);
  assert.equal(namedCoverage, 1 / 6);
});

test("somebody else's values are wrong facts, each once; the name and the truth are not", () => {
  const [other, another] = personValues.occupation.filter((value) => value !== facts.occupation);
  const text = `${name} was a ${other}.\n${name} worked as a ${other}.\n${name} was a ${another}, then a ${facts.occupation}.`;
  assert.equal(measure("implications", text).wrongFacts, 2);
  assert.equal(measure("plain", source!.context).wrongFacts, 0);
});

test("the passage itself states everything and says the name once; the all-knowing editor says it of everything", () => {
  const plain = measure("plain", source!.context);
  const first = source!.context.split(/(?<=\.) /)[0]!.toLowerCase(); // one to three facts, and the name
  const numFirst = Object.values(facts).filter((value) => first.includes(value.toLowerCase())).length;
  assert.deepEqual([plain.coverage, plain.namedCoverage], [1, numFirst / 6]);
  const text = oracleEdit(person, source!.context, "implications-long", createRng("edit-figures"));
  const { coverage, namedCoverage, wrongFacts } = measure("implications-long", text);
  assert.deepEqual([coverage, namedCoverage, wrongFacts], [1, 1, 0]);
});

test("people are known by the passage's id; without one nobody is", () => {
  assert.deepEqual(peopleOf([task]), [person]);
  const stranger = { ...task, source: { ...source!, id: "notes.md" } };
  assert.equal(peopleOf([task, stranger]), null);
  const { namedCoverage, wrongFacts, coverage } = measureEdit(
    candidate({ kind: "plain", text: source!.context }),
    stranger,
    null,
  );
  assert.deepEqual([namedCoverage, wrongFacts, coverage], [null, null, 1]);
});
