/** @file The Almanac keeps its promises: what is held out stays out, the same seed tells the same world, oracles miss nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRng } from "../../util/index.ts";
import { pretrainingDocuments } from "./corpus.ts";
import { demonstrateEdit, demonstrationShares, drawEditKind, editDocument, editKinds, oracleEdit } from "./edits.ts";
import { menNames, womenNames } from "./names.ts";
import { examinationPassage, type PassageForm, plainPassage } from "./passages.ts";
import { questionDocument, questionWordings, type WordingSplit } from "./questions.ts";
import { statePerson } from "./statements.ts";
import { lastNames, personAttributes, personValues, unseenValues } from "./values.ts";
import { createWorld, type Person } from "./world.ts";

const world = createWorld();
const splits = {
  questioned: world.questioned,
  toldOnly: world.toldOnly,
  validation: world.validation,
  test: world.test,
  validationUnseen: world.validationUnseen,
  testUnseen: world.testUnseen,
};

function take(count: number, seed = "corpus-test"): string[] {
  const stream = pretrainingDocuments(world, createRng(seed));
  return Array.from({ length: count }, () => stream.next().value);
}

const corpus = take(20_000);
/** Every word of the corpus, and every two that follow each other. */
const everyWord = new Set<string>();
for (const document of corpus) {
  const list = document.split(/[^A-Za-z0-9]+/);
  for (const [index, word] of list.entries()) everyWord.add(word).add(`${word} ${list[index + 1]}`);
}
const isTold = (value: string): boolean => everyWord.has(value);

const firstNames = [...womenNames, ...menNames];
const fullName = new RegExp(`(?:${firstNames.join("|")}) [A-Z][a-z]+(?:'s)?`, "g");

/** Questions without whom they are about: names are "_", pronouns "~". */
const bare = (question: string): string =>
  question
    .replace(/\{[NPO]\}/g, "_")
    .replace(fullName, "_")
    .replace(/\{[npo]\}|\b(she|he|her|his|him)\b/g, "~")
    .toLowerCase();

test("no frame of a question held out for selection or report occurs in 20,000 pretraining documents", () => {
  const lines = corpus.flatMap((document) => document.split("\n")).filter((line) => line.startsWith("Question"));
  const asked = [...new Set(lines.map(bare))].join("\n");
  const wordings = (split: WordingSplit) =>
    Object.values(questionWordings[split]).flatMap((families) => Object.values(families).flat());
  for (const wording of [...wordings("selection"), ...wordings("report")])
    assert.ok(!asked.includes(bare(wording)), wording);
  const trained = wordings("training");
  const numFound = trained.filter((wording) => asked.includes(bare(wording))).length;
  assert.ok(numFound > 0.9 * trained.length, `${numFound} of ${trained.length} trained wordings occur`);
});

test("no passage of a held-out family or style occurs in pretraining", () => {
  const text = corpus.join("\n");
  const marks = [
    /Not only do we know/,
    /Two things are written about/,
    /And [A-Z][a-z]+ [A-Z][a-z]+'s [a-z ]+\?/,
    /Dear [A-Z][a-z]+, (you ask|here is|I hope)/,
    /Yours, /,
    /We mourn/,
    /\bit was (in|on|for|as) [^.]* that /i,
    /Many came to say/,
    /is beyond dispute/,
    /\bbut [^.]* was ever\b/,
    /this much is certain/,
    /belong to [^.]* story/,
    /until late/,
    /our guide/,
  ];
  for (const mark of marks) assert.equal(mark.exec(text)?.[0], undefined, `${mark}`);
});

test("every relation is told and asked in at least forty ways of training, and in ways held out beside them", () => {
  const person: Person = { ...world.test[0]!, name: "Ada Shaw" };
  for (const attribute of personAttributes) {
    const [training, selection, report] = (["training", "selection", "report"] as const).map((split) =>
      Object.values(questionWordings[split][attribute]).flat(),
    );
    assert.ok(training!.length >= 40, `${attribute}: ${training!.length} questions`);
    assert.ok(selection!.length >= 10 && report!.length >= 20, attribute);
    assert.equal(
      new Set([...training!, ...selection!, ...report!]).size,
      training!.length + selection!.length + report!.length,
    );
    const rng = createRng(`wordings ${attribute}`);
    const told = Array.from({ length: 2000 }, () => statePerson(person, attribute, "name", rng));
    assert.ok(new Set(told).size >= 40, `${attribute}: ${new Set(told).size} statements`);
  }
});

test("held-out question families share no frame: the fewest words in which a report question differs from any of training is two", () => {
  const wordsOf = (wording: string) =>
    wording
      .toLowerCase()
      .replace(/\{[a-z]\}/g, "_")
      .split(/[^a-z_]+/)
      .filter(Boolean);
  const distance = (a: readonly string[], b: readonly string[]): number => {
    const row = Array.from({ length: b.length + 1 }, (_, index) => index);
    for (const [i, word] of a.entries()) {
      let diagonal = row[0]!;
      row[0] = i + 1;
      for (const [j, other] of b.entries()) {
        const above = row[j + 1]!;
        row[j + 1] = Math.min(above + 1, row[j]! + 1, diagonal + (word === other ? 0 : 1));
        diagonal = above;
      }
    }
    return row[b.length]!;
  };
  for (const attribute of personAttributes) {
    const trained = Object.values(questionWordings.training[attribute]).flat().map(wordsOf);
    for (const wording of Object.values(questionWordings.report[attribute]).flat()) {
      const nearest = Math.min(...trained.map((other) => distance(wordsOf(wording), other)));
      assert.ok(nearest >= 2, `${wording}: ${nearest}`);
    }
  }
});

test("no person is in two splits, and nobody held out is named in pretraining", () => {
  const names = Object.values(splits).flatMap((people) => people.map(({ name }) => name));
  assert.equal(new Set(names).size, names.length);
  const heldOut = [world.validation, world.test, world.validationUnseen, world.testUnseen].flat();
  for (const { name } of heldOut) assert.ok(!isTold(name), name);
});

test("strangers are nobody from the splits", () => {
  const known = new Set(Object.values(splits).flatMap((people) => people.map(({ name }) => name)));
  const rng = createRng("strangers");
  for (let i = 0; i < 5000; i++) assert.ok(!known.has(world.stranger(rng).name));
});

test("names and values that training may show do occur, and none of those that it may not", () => {
  for (const name of firstNames) assert.ok(everyWord.has(name), name);
  for (const [attribute, values] of Object.entries(personValues))
    assert.ok(values.filter(isTold).length > 0.97 * values.length, attribute);
  assert.ok(lastNames.seen.filter(isTold).length > 0.97 * lastNames.seen.length);
  assert.deepEqual([...Object.values(unseenValues).flat(), ...lastNames.unseen].filter(isTold), []);
});

test("an unseen value begins like one that training shows and ends like another", () => {
  const pairs = personAttributes.map((attribute) => [personValues[attribute], unseenValues[attribute]] as const);
  for (const [seen, unseen] of [...pairs, [lastNames.seen, lastNames.unseen] as const]) {
    const heads = new Set(seen.map((value) => value.slice(0, 2)));
    const tailOf = (value: string) => value.slice(/\d$/.test(value) ? -1 : -2); // years are read digit by digit
    const tails = new Set(seen.map(tailOf));
    for (const value of unseen) assert.ok(heads.has(value.slice(0, 2)) && tails.has(tailOf(value)), value);
  }
});

test("the same seed tells the same world and the same text; another seed another", () => {
  assert.deepEqual(createWorld().test, world.test);
  assert.notDeepEqual(createWorld("other").test, world.test);
  assert.deepEqual(take(200), corpus.slice(0, 200));
  assert.notDeepEqual(take(200, "other"), corpus.slice(0, 200));
  const person = world.test[0]!;
  assert.deepEqual(examinationPassage(person, "report"), examinationPassage(person, "report"));
});

test("a plain passage names its person once, in its first sentence, and tells all six facts", () => {
  const rng = createRng("passages");
  for (const person of [...world.test, ...world.testUnseen]) {
    const passage = plainPassage(person, rng);
    assert.equal(passage.split(person.name).length, 2, passage);
    assert.ok(passage.split(/(?<=\.) /)[0]!.includes(person.name), passage);
    for (const value of Object.values(person.facts))
      assert.ok(passage.toLowerCase().includes(value.toLowerCase()), passage);
  }
});

test("passages of every style and family tell all six facts; where the name rate is 1, every sentence with a fact names the person", () => {
  for (const style of ["prose", "record", "talk", "notice", "letter", "obituary", "diary", "visit"] as const)
    for (const families of ["training", "selection", "report"] as const)
      for (const nameRate of [0, 1]) {
        const form: PassageForm = { style, families, nameRate };
        for (const person of world.validation.slice(0, 40)) {
          const { context } = examinationPassage(person, "report", form);
          assert.ok(!context.includes("\n") && !/[{}]/.test(context), context);
          for (const value of Object.values(person.facts))
            assert.ok(context.toLowerCase().includes(value.toLowerCase()), context);
          if (style === "prose" && nameRate === 1)
            for (const sentence of context
              .split(/(?<=[.?]) (?=[A-Z])/)
              .filter((each) => /^(She|He|Her|His)\b/.test(each)))
              assert.fail(`${sentence} | ${context}`);
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
  Object.values(person.facts).filter((value) => !text.toLowerCase().includes(value.toLowerCase()));

/** Values of the world that `text` states and that are not the person's; "alto horn" is no "horn". */
const foreign = (person: Person, text: string): string[] => {
  const known = [person.name, ...Object.values(person.facts)].sort((a, b) => b.length - a.length);
  const rest = known.reduce((left, value) => left.replaceAll(new RegExp(`\\b${value}\\b`, "gi"), "|"), text);
  return everyValue.filter((value) => rest.includes(value) && new RegExp(`\\b${value}\\b`).test(rest));
};
const everyValue = Object.values(personValues).flat();

test("an oracle edit of every kind states every fact and nothing untrue", () => {
  const rng = createRng("oracles");
  for (const person of world.test.slice(0, 40)) {
    const passage = plainPassage(person, rng);
    for (const kind of editKinds) {
      const edit = oracleEdit(person, passage, kind, rng);
      assert.deepEqual(missing(person, edit), [], `${kind}: ${edit}`);
      assert.deepEqual(foreign(person, edit), [], `${kind}: ${edit}`);
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
  assert.equal(questionDocument({ question: "Who?", answer: "Ada" }), "Question: Who?\nAnswer: Ada");
});

test("a world with more people than names is refused with the number that fits", () => {
  assert.throws(
    () => createWorld(0, { questioned: 90_000, toldOnly: 0, validation: 0, test: 0 }),
    /expected at most \d+ people in all splits.*got 90000; ask for fewer/,
  );
});
