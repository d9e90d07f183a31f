import assert from "node:assert/strict";
import { test } from "node:test";
import {
  allQuestions,
  askThing,
  createWorld,
  examinationPassage,
  oracleEdit,
  type ThingAttribute,
} from "../../tasks/index.ts";
import { createRng } from "../../util/index.ts";
import { Bm25 } from "./bm25.ts";
import { PassageRetriever } from "./retriever.ts";
import { namesIn, wordsOf } from "./words.ts";

const isNear = (got: number, want: number): void =>
  assert.ok(Math.abs(got - want) < 1e-12, `expected ${want}, got ${got}`);

test("BM25 scores are those computed by hand", () => {
  const ranking = new Bm25();
  for (const text of ["a b b", "a c d e", "a a"]) ranking.add(text.split(" "));
  // N = 3, mean length 3; idf(b) = ln(1 + 2.5 / 1.5), idf(a) = ln(1 + 0.5 / 3.5)
  const [idfB, idfA] = [Math.log(8 / 3), Math.log(8 / 7)];
  isNear(ranking.score(0, ["b"]), (idfB * 2) / (1.2 + 2));
  isNear(ranking.score(1, ["a", "b"]), idfA / (1.2 * (0.25 + 0.75 * (4 / 3)) + 1));
  isNear(ranking.score(2, ["a"]), (idfA * 2) / (1.2 * (0.25 + 0.75 * (2 / 3)) + 2));
  isNear(ranking.score(0, ["b", "b", "unheard"]), (2 * (idfB * 2)) / 3.2);
  assert.equal(ranking.score(2, ["b"]), 0);
});

test("without a length term, length does not matter; without saturation, counts do not", () => {
  const ranking = new Bm25({ k1: 0, b: 0 });
  for (const text of ["x y", "x x x z z z", "w"]) ranking.add(text.split(" "));
  isNear(ranking.score(0, ["x"]), Math.log(1 + 1.5 / 2.5));
  isNear(ranking.score(1, ["x"]), ranking.score(0, ["x"]));
  assert.throws(() => new Bm25({ b: 2 }), /expected k1 of at least 0 and b in \[0, 1\], got 1.2 and 2/);
});

test("words lose case and possessives; names are capitals inside sentences, and numbers", () => {
  assert.deepEqual(wordsOf("What was Ann Marlow's job, in 1920?"), [
    "what",
    "was",
    "ann",
    "marlow",
    "job",
    "in",
    "1920",
  ]);
  assert.deepEqual([...namesIn("What was Ann Marlow's job, in 1920?")], ["ann", "marlow", "1920"]);
  assert.deepEqual(
    [...namesIn("Ann Marlow sailed. She sang.\nThen she met Élan O’Hara.")],
    ["ann", "marlow", "élan", "o’hara"],
  );
});

const store = (...passages: readonly string[]): PassageRetriever => {
  const retriever = new PassageRetriever();
  for (const text of passages) retriever.add({ text });
  return retriever;
};

test("a question finds the passage with all its names, and nobody else's", () => {
  const retriever = store("Ann Marlow was born in Dover.", "Tom Marlow was born in Holm.", "Ann Reed sang.");
  assert.equal(retriever.find("Where was Ann Marlow born?")?.index, 0);
  assert.equal(retriever.find("Where was Tom Marlow born?")?.index, 1);
  assert.equal(retriever.find("Where was Tom Reed born?"), null);
  assert.equal(retriever.find("Where was Ivy Stone born?"), null);
  assert.equal(new PassageRetriever().find("Where was Ann Marlow born?"), null);
});

test("of two passages with the names the better one wins, and the later of equals", () => {
  const text = "The town of Veld has a harbour.";
  const retriever = store(text, "The town of Veld has a castle, a castle in ruins.", text);
  assert.equal(retriever.find("What castle has Veld?")?.index, 1);
  assert.equal(retriever.find("What harbour has Veld?")?.index, 2);
});

test("a question about what a passage merely mentions is not about the passage", () => {
  const documents = [
    "Where did Ann Marlow sail? On the Falcon.",
    "In Dover, Ann Marlow was born.",
    "Say: Ann Marlow sang.",
  ];
  const retriever = new PassageRetriever();
  retriever.add({ text: "Ann Marlow was born in Dover. She sailed on the Falcon.", documents });
  retriever.add({ text: "The harbour of Ryde was built in 1902." });
  assert.equal(retriever.find("When was the Falcon launched?"), null);
  assert.equal(retriever.find("On what ship did Ann Marlow sail?")?.index, 0);
  assert.equal(retriever.find("What was built in 1902?")?.index, 1);
});

test("questions without capitals go by their rarest words, if at least half of the words are there", () => {
  const retriever = store("Ann Marlow was born in Dover.", "Tom Reed was born in Holm.");
  assert.equal(retriever.find("where was tom reed born")?.index, 1);
  assert.equal(retriever.find("where was tom marlow born"), null);
  assert.equal(retriever.find("what do bees make in summer"), null);
  assert.equal(retriever.find("in"), null, "a word of all passages");
  assert.equal(store("Tom Reed was born in Holm.").find("where was tom reed born"), null, "a store of one");
});

test("the Almanac's questions about stored people find them, and no question about others or about things finds anyone", () => {
  const world = createWorld();
  const [stored, others] = [world.validation.slice(0, 60), [...world.validation.slice(60), ...world.questioned]];
  const rng = createRng("retriever-test");
  const retriever = new PassageRetriever();
  const documentsOf = (text: string): string[] => text.split(/(?=Question \d+:)/);
  for (const person of stored) {
    const text = examinationPassage(person, "report").context;
    retriever.add({ text, documents: documentsOf(oracleEdit(person, text, "self-qa", rng.fork(person.name))) });
  }
  stored.forEach((person, index) => {
    for (const split of ["selection", "report"] as const)
      for (const { question } of allQuestions(person, split))
        assert.equal(retriever.find(question)?.index, index, question);
  });
  for (const thing of world.things)
    for (const attribute of Object.keys(thing.facts) as ThingAttribute[]) {
      const { question } = askThing(thing, attribute, rng.fork(thing.name));
      assert.equal(retriever.find(question), null, question);
    }
  for (const person of others)
    for (const { question } of allQuestions(person, "report")) assert.equal(retriever.find(question), null, question);
});
