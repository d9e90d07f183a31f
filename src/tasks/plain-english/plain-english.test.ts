import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createWorld, personAttributes, personValues } from "../almanac/index.ts";
import { loadPlainEnglish } from "./plain-english.ts";

describe("passages in plain English", () => {
  const passages = loadPlainEnglish();

  test("are at least thirty of each voice, about different people whom no split of the Almanac holds", () => {
    for (const voice of ["note", "letter"] as const)
      assert.ok(passages.filter((passage) => passage.voice === voice).length >= 30, voice);
    assert.equal(new Set(passages.map(({ id }) => id)).size, passages.length);
    const { things: _things, stranger: _stranger, ...splits } = createWorld();
    const known = new Set(Object.values(splits).flatMap((people) => people.map(({ name }) => name)));
    assert.deepEqual(
      passages.filter(({ id }) => known.has(id)),
      [],
    );
  });

  test("ask once about every relation, by name, and state every answer word for word", () => {
    for (const { id, context, questions } of passages) {
      assert.deepEqual(
        questions.map(({ relation }) => relation),
        personAttributes,
        id,
      );
      assert.equal(new Set(questions.map(({ question }) => question)).size, questions.length, id);
      for (const word of id.split(" ")) assert.ok(context.includes(word), id);
      for (const { question, answer } of questions) {
        assert.ok(question.includes(id), question);
        assert.ok(context.toLowerCase().includes(answer.toLowerCase()), `${id}: ${answer}`);
      }
    }
  });

  test("take all their values from the Almanac's lists or none of them; about half do either", () => {
    for (const { id, values, questions } of passages)
      for (const { relation, answer } of questions) {
        const isListed = personValues[relation].some((value) => value.toLowerCase() === answer.toLowerCase());
        assert.equal(isListed, values === "world", `${id}: ${answer}`);
      }
    const share = passages.filter(({ values }) => values === "world").length / passages.length;
    assert.ok(share >= 0.4 && share <= 0.6, `${share}`);
  });
});
