/** @file The Almanac keeps its promises: what is held out stays out, the same seed tells the same world, oracles miss nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRng } from "../../util/index.ts";
import { pretrainingDocuments } from "./corpus.ts";
import { demonstrateEdit, demonstrationShares, drawEditKind, editDocument, editKinds, oracleEdit } from "./edits.ts";
import { firstNames, lastNames } from "./names.ts";
import { examinationPassage, plainPassage } from "./passages.ts";
import { allQuestions, questionDocument, questionWordings } from "./questions.ts";
import { personStatements } from "./statements.ts";
import { createWorld, type Person, personAttributes, personValues } from "./world.ts";

const world = createWorld();
const splits = {
  questioned: world.questioned,
  toldOnly: world.toldOnly,
  validation: world.validation,
  test: world.test,
};

function take(count: number, seed = "corpus-test"): string[] {
  const stream = pretrainingDocuments(world, createRng(seed));
  return Array.from({ length: count }, () => stream.next().value);
}

const corpus = take(20_000);
const everyWord = new Set(corpus.join(" ").split(/[^A-Za-z]+/));

/** A wording as a pattern in which any person's name may stand. */
function wordingPattern(wording: string): RegExp {
  const [before, after] = wording.split("{n}").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`${before}[A-Z][a-z]+ [A-Z][a-z]+${after}`);
}

test("no question wording held out for selection or report occurs in 20,000 pretraining documents", () => {
  const asked = corpus.filter((document) => document.includes("Question")).join("\n");
  for (const split of ["selection", "report"] as const) {
    for (const wording of Object.values(questionWordings[split]).flat()) {
      assert.doesNotMatch(asked, wordingPattern(wording), wording);
    }
  }
  for (const wording of Object.values(questionWordings.training).flat()) {
    assert.match(asked, wordingPattern(wording), `a trained wording must occur: ${wording}`);
  }
});

test("every attribute has at least eight statements, eight trained wordings and two of each held-out kind, all different", () => {
  for (const attribute of personAttributes) {
    assert.ok(new Set(personStatements[attribute]).size >= 8, attribute);
    const wordings = (["training", "selection", "report"] as const).map((split) => questionWordings[split][attribute]);
    assert.ok(wordings[0]!.length >= 8, attribute);
    assert.deepEqual([wordings[1]!.length, wordings[2]!.length], [2, 2], attribute);
    assert.equal(new Set(wordings.flat()).size, wordings.flat().length, attribute);
  }
});

test("no person is in two splits, and nobody held out is named in pretraining", () => {
  const names = Object.values(splits).flatMap((people) => people.map(({ name }) => name));
  assert.equal(new Set(names).size, names.length);
  const text = corpus.join("\n");
  for (const { name } of [...world.validation, ...world.test]) assert.ok(!text.includes(name), name);
});

test("strangers are nobody from the splits", () => {
  const known = new Set(Object.values(splits).flatMap((people) => people.map(({ name }) => name)));
  const rng = createRng("strangers");
  for (let i = 0; i < 5000; i++) assert.ok(!known.has(world.stranger(rng).name));
});

test("every first and last name, and every value, occurs in pretraining", () => {
  for (const name of [...firstNames, ...lastNames]) assert.ok(everyWord.has(name), name);
  const text = corpus.join("\n");
  for (const value of Object.values(personValues).flat()) assert.ok(text.includes(value), value);
});

test("the same seed tells the same world and the same text; another seed another", () => {
  assert.deepEqual(createWorld().test, world.test);
  assert.notDeepEqual(createWorld("other").test, world.test);
  assert.deepEqual(take(200), corpus.slice(0, 200));
  assert.notDeepEqual(take(200, "other"), corpus.slice(0, 200));
  const person = world.test[0]!;
  assert.deepEqual(examinationPassage(person, "report"), examinationPassage(person, "report"));
});

test("a passage names its person once, in its first sentence, and tells all six facts in order", () => {
  const rng = createRng("passages");
  for (const person of world.test) {
    const passage = plainPassage(person, rng);
    const sentences = passage.split(/(?<=\.) /);
    assert.equal(sentences.length, personAttributes.length, passage);
    assert.equal(passage.split(person.name).length, 2, passage);
    assert.ok(sentences[0]!.includes(person.name), passage);
    for (const [index, attribute] of personAttributes.entries()) {
      assert.ok(sentences[index]!.includes(person.facts[attribute]), passage);
    }
  }
});

test("the two parts of an examination ask every attribute twice and tell the same passage", () => {
  const person = world.validation[0]!;
  const selection = examinationPassage(person, "selection");
  const report = examinationPassage(person, "report");
  assert.equal(selection.context, report.context);
  assert.equal(selection.title, "");
  assert.equal(report.questions.length, 12);
  for (const { question, answer } of report.questions) {
    assert.ok(question.includes(person.name));
    assert.ok(Object.values(person.facts).includes(answer));
  }
});

/** The values of `person` that `text` leaves out. */
const missing = (person: Person, text: string): string[] =>
  Object.values(person.facts).filter((value) => !text.includes(value));

/** Values of the world that `text` states and that are not the person's. */
const foreign = (person: Person, text: string): string[] =>
  Object.values(personValues)
    .flat()
    .filter((value) => new RegExp(`\\b${value}\\b`).test(text) && !Object.values(person.facts).includes(value));

test("an oracle edit of every kind states every fact and nothing untrue", () => {
  const rng = createRng("oracles");
  const surnames = new Set(lastNames);
  for (const person of world.test.slice(0, 40)) {
    const passage = plainPassage(person, rng);
    for (const kind of editKinds) {
      const edit = oracleEdit(person, passage, kind, rng);
      assert.deepEqual(missing(person, edit), [], `${kind}: ${edit}`);
      const untrue = foreign(person, edit).filter((value) => !surnames.has(value));
      assert.deepEqual(untrue, [], `${kind}: ${edit}`);
    }
  }
});

test("demonstrations are mediocre: each kind is common, gaps occur, errors occur", () => {
  const rng = createRng("demonstrations");
  const seen = new Map<string, number>();
  for (let i = 0; i < 4000; i++) {
    const kind = drawEditKind(rng);
    seen.set(kind, (seen.get(kind) ?? 0) + 1);
  }
  for (const kind of editKinds) {
    const share = seen.get(kind)! / 4000;
    assert.ok(share > 0.13 && share < 0.27, `${kind}: ${share}`);
    assert.ok(Math.abs(share - demonstrationShares[kind]) < 0.03, `${kind}: ${share}`); // 4 standard deviations
  }
  for (const kind of editKinds.filter((each) => each !== "plain")) {
    let gaps = 0;
    let errors = 0;
    for (let i = 0; i < 300; i++) {
      const person = world.stranger(rng);
      const edit = demonstrateEdit(person, plainPassage(person, rng), kind, rng);
      if (missing(person, edit).length > 0) gaps++;
      if (foreign(person, edit).length > 0) errors++;
    }
    assert.ok(gaps > 30 && errors > 30, `${kind}: ${gaps} with gaps, ${errors} with errors`);
  }
});

test("an edit document has the agreed shape", () => {
  const rng = createRng("shapes");
  for (let i = 0; i < 200; i++) {
    assert.match(
      editDocument(world.stranger(rng), rng),
      /^Passage: [^\n]+\nSelf-edit: (implications|implications-long|rewrite|self-qa|plain)\n[^\n][\s\S]*[^\n]$/,
    );
  }
  assert.equal(
    questionDocument(allQuestions(world.test[0]!, "training")[0]!),
    `Question: Where was ${world.test[0]!.name} born?\nAnswer: ${world.test[0]!.facts.birthplace}`,
  );
});

test("a world with more people than names is refused with the number that fits", () => {
  assert.throws(
    () => createWorld(0, { questioned: 9000, toldOnly: 0, validation: 0, test: 0 }),
    /expected at most \d+ people in all splits.*got 9000; ask for fewer/,
  );
});
