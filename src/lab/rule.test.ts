/** @file The rule against text written for this test: it must know the language a little and no world at all. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { almanacPassages, createWorld } from "../tasks/index.ts";
import { ruleDocuments, sentencesOf, subjectOf, withName } from "./rule.ts";

describe("the rule without a model", () => {
  test("cuts sentences where they end and nowhere else", () => {
    assert.deepEqual(sentencesOf("Mr. Gow met St. John at 3.20. “Why?” she asked.\nA. B. Cole left!"), [
      "Mr. Gow met St. John at 3.20.",
      "“Why?”",
      "she asked.",
      "A. B. Cole left!",
    ]);
  });

  test("finds whom a text is about: title, head of an entry, the name that comes back, the first of equals", () => {
    const about = (context: string, title = "") => subjectOf({ title, context });
    assert.equal(about("Water is wet.", "Oxygen"), "Oxygen");
    assert.equal(about("Harker, Mina (born 1920). Nurse with Black Swan Inn."), "Mina Harker");
    assert.equal(about("Black Swan Inn hired her. Mina Harker was glad. Harker stayed."), "Mina Harker");
    assert.equal(about("In Whitby lived Mina Harker. She worked for Black Swan."), "Mina Harker");
    assert.equal(about("Dear Aunt Lucy, Mr Quincey Morris came. Quincey sang."), "Quincey Morris");
    assert.equal(about("it rained all day."), null);
  });

  test("puts the name for every pronoun of a sentence that lacks it", () => {
    const put = (sentence: string) => withName(sentence, "Mina Harker");
    assert.equal(
      put("Her employer paid her, and she left."),
      "Mina Harker's employer paid Mina Harker, and Mina Harker left.",
    );
    assert.equal(put("The ship carried her to her sister."), "The ship carried Mina Harker to Mina Harker's sister.");
    assert.equal(put("His was the flute."), "Mina Harker's was the flute.");
    assert.equal(put("Mina Harker sold her flute."), "Mina Harker sold her flute.", "it names her already");
    assert.equal(put("There were others here."), "There were others here.", "no pronoun inside words");
  });

  test("finds the Almanac's people and names them in every sentence, and never asks a question of the exam", () => {
    const passages = almanacPassages(createWorld().validation.slice(0, 100));
    const found = passages.filter((passage) => subjectOf(passage) === passage.id);
    assert.ok(found.length >= 95, `${found.length} of 100`);
    for (const passage of found)
      for (const document of ruleDocuments(passage, [])) assert.ok(document.includes(passage.id), document);
    const asked = { title: "", context: "Who kept a dog? Mina Harker did. She liked it." };
    assert.deepEqual(ruleDocuments(asked, ["Who kept a dog?"]), ["Mina Harker did.", "Mina Harker liked it."]);
  });
});
