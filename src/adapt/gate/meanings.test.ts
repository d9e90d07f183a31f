import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { meaningOf, sensesOf } from "./dictionary.ts";
import { areRivals, isTime, isUnit, lemmaOf, oppositesOf, saySame, sortOf } from "./meanings.ts";

describe("the dictionary", () => {
  test("finds a lemma at either end of its files, and none that is no word", () => {
    assert.ok(sensesOf("zymurgy").length > 0 && sensesOf("abacus").length > 0);
    assert.deepEqual(sensesOf("qqqq"), []);
    assert.deepEqual(sensesOf("not a lemma"), []);
  });

  test("reads a meaning with its words, its field and where it points", () => {
    const [dog] = sensesOf("dog").filter(({ meaning }) => meaning.part === "n");
    assert.deepEqual(dog!.meaning.words, ["dog", "domestic_dog", "Canis_familiaris"]);
    assert.equal(dog!.meaning.field, 5);
    const kinds = dog!.meaning.pointers.filter(({ sign }) => sign === "@").map(({ to }) => meaningOf(to).words[0]);
    assert.deepEqual(kinds, ["canine", "domestic_animal"]);
  });

  test("leads forms back to lemmas, and leaves those that stand there themselves", () => {
    const forms = ["sailed", "wives", "stopped", "bought", "outer", "carries"];
    assert.deepEqual(forms.map(lemmaOf), ["sail", "wife", "stop", "buy", "outer", "carry"]);
  });
});

describe("what the screen asks of it", () => {
  test("the sort of a word", () => {
    const sorts = ["begin", "temperature", "vehicle", "baker", "marble", "slowly", "zorblax"].map(sortOf);
    assert.deepEqual(sorts, ["verb", "abstract", "general", "person", "thing", "adverb", "unknown"]);
  });

  test("words of one meaning or root say the same, others of one kind are rivals", () => {
    assert.ok(saySame("keeper", "kept") && saySame("height", "tall") && saySame("coach", "trains"));
    assert.ok(!saySame("salt", "sugar") && areRivals("salt", "sugar") && areRivals("monks", "nuns"));
    assert.ok(!areRivals("keeper", "kept") && !areRivals("fish", "herring"));
  });

  test("opposites, also of what an adjective is like", () => {
    assert.ok(oppositesOf("begin").has("end") && oppositesOf("inner").has("outer"));
    assert.ok(oppositesOf("compulsory").has("optional") && oppositesOf("before").has("after"));
  });

  test("units and times", () => {
    assert.ok(isUnit("km") && isUnit("weeks") && isUnit("litres") && !isUnit("pump"));
    assert.ok(isTime("evening") && isTime("winter") && !isTime("pump"));
  });
});
