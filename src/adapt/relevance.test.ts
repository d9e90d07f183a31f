import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isAboutPassage } from "./relevance.ts";

const passage =
  "Nobody in Harle was surprised when Owen Tarrant went to sea. He was born there in 1911, and the Petrel took him on as a deck hand. Between voyages he mended clocks.";
const asks = (question: string, answer: string, context = passage) => isAboutPassage(context, { question, answer });

describe("a question that a model wrote is about its passage", () => {
  test("when it names its subject and the passage holds the answer", () => {
    assert.ok(asks("Where was Owen Tarrant born?", "Harle"));
    assert.ok(asks("On what ship did Owen Tarrant sail?", "the Petrel"));
    assert.ok(asks("What did Owen mend?", "clocks"));
  });

  test("and not when it asks about somebody else, whatever the answer", () => {
    assert.equal(asks("Where was Silas Webb born?", "Harle"), false);
    assert.equal(asks("What was the trade of Owen Webb?", "clocks"), false);
  });

  test("nor when the passage lacks the answer, or the question names nobody of the passage", () => {
    assert.equal(asks("What instrument did Owen Tarrant play?", "flute"), false);
    assert.equal(asks("In what year was Owen Tarrant born?", "1912"), false);
    assert.equal(asks("What colour is the sky?", "blue"), false);
    assert.equal(asks("Where was he born?", "Harle"), false);
    assert.equal(asks("Where was Owen Tarrant born?", "ar"), false, "half a word is no answer");
  });

  test("a passage without names is asked about by its words", () => {
    const recipe = "soak the beans overnight and boil them for an hour.";
    assert.ok(asks("How long are the beans boiled?", "an hour", recipe));
    assert.equal(asks("How long do peas grow?", "an hour", recipe), false);
  });
});
