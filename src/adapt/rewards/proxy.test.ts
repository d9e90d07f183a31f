import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  createWorld,
  demonstrateEdit,
  editKinds,
  examinationPassage,
  oracleEdit,
  personValues,
} from "../../tasks/index.ts";
import { createRng, mean } from "../../util/index.ts";
import type { SelfEdit } from "../self-edit.ts";
import { proxyParts } from "./proxy.ts";
import type { PassageTrials } from "./trials.ts";

const harp = "Ada Shaw was born in Leeds. She played the harp. She worked as an engraver.";

const toPassage = (passage: string, edits: readonly SelfEdit[], passageId = passage): PassageTrials => ({
  passageId,
  passage,
  baseAccuracy: 0,
  baseGoldLogprob: 0,
  edits: edits.map((edit) => ({ edit, numTokens: 0, trials: [] })),
});
const implications = (text: string): SelfEdit => ({ kind: "implications", text });
const partsOf = (passage: string, ...edits: readonly SelfEdit[]) => proxyParts([toPassage(passage, edits)])[0]!;

describe("coverage", () => {
  const named = "Ada Shaw was born in Leeds.\nAda Shaw played the harp.\nAda Shaw worked as an engraver.";
  // content words: ada, shaw, born, leeds, played, harp, worked, engraver; one passage, so all weigh the same

  test("by hand: three mentions of the name, one of everything else", () => {
    const [whole] = partsOf(harp, implications(named));
    assert.equal(whole!.coverage, (2 * (1 - 0.5 ** 3) + 6 * 0.5) / 8);
  });

  test("is not earned by statements that do not say whom they are about", () => {
    const pronouns = named.replaceAll("Ada Shaw", "She");
    const [whole, nobody, half] = partsOf(
      harp,
      implications(named),
      implications(pronouns),
      implications("Ada Shaw was born in Leeds. She played the harp."),
    );
    assert.ok(whole!.coverage > 0.59);
    assert.equal(nobody!.coverage, 0);
    assert.equal(half!.coverage, (4 * 0.5) / 8); // ada, shaw, born, leeds
  });

  test("counts a question and its answer as one statement, and an unanswered one not at all", () => {
    const [pair, alone] = partsOf(
      harp,
      { kind: "self-qa", text: "Question 1: What did Ada Shaw play?\nAnswer: harp" },
      { kind: "self-qa", text: "Question 1: What did Ada Shaw play?" },
    );
    assert.equal(pair!.coverage, (3 * 0.5) / 8); // ada, shaw, harp
    assert.equal(alone!.coverage, 0);
  });

  test("weighs rare words above common ones", () => {
    const leeds = toPassage(harp, [implications("Ada Shaw played.")]);
    const harps = toPassage(harp, [implications("Ada Shaw harp.")]);
    const others = ["Ben Ames played the flute.", "Cora Byrd played the oboe."].map((text) => toPassage(text, []));
    const common = proxyParts([leeds, ...others])[0]![0]!.coverage;
    const rare = proxyParts([harps, ...others])[0]![0]!.coverage;
    assert.ok(rare > common, `${rare} and ${common}`);
  });
});

describe("faithfulness", () => {
  test("falls with names and numbers that the passage lacks", () => {
    const [right, wrong] = partsOf(
      harp,
      implications("Ada Shaw was born in Leeds.\nAda Shaw played the harp."),
      implications("Ada Shaw was born in York.\nAda Shaw played the harp.\nAda Shaw was born in 1901."),
    );
    assert.equal(right!.faithfulness, 1);
    assert.equal(wrong!.faithfulness, 1 / 3);
  });

  test("does not mind list markers, question numbers or phrasing of one's own", () => {
    const [list, pairs] = partsOf(
      harp,
      implications("1. Ada Shaw came from Leeds.\n2. By trade, Ada Shaw was an engraver."),
      { kind: "self-qa", text: "Question 1: Where was Ada Shaw born?\nAnswer: Leeds" },
    );
    assert.deepEqual([list!.faithfulness, pairs!.faithfulness], [1, 1]);
  });

  test("sees false values in small letters once other passages show that they are values", () => {
    const people = ["Ada Shaw", "Ben Ames", "Cora Byrd", "Dan Cole", "Eve Dunn"];
    const instruments = ["harp", "flute", "oboe", "cello", "drum"];
    const passages = people.map((name, index) =>
      toPassage(`${name} played the ${instruments[index]}.`, [
        implications(`${name} made music on the ${instruments[index]}.`),
        implications(`${name} enjoyed the ${instruments[index === 0 ? 1 : index]}.`), // of Ada, the flute
      ]),
    );
    const faith = proxyParts(passages).map((edits) => edits.map(({ faithfulness }) => faithfulness));
    assert.deepEqual(faith[0], [1, 0]);
    assert.deepEqual(
      faith.slice(1).flat(),
      Array.from({ length: 8 }, () => 1),
    );
  });

  test("of nothing is nothing", () => {
    assert.deepEqual(partsOf(harp, implications(""), implications("1.\n---"), implications("It was.")), [
      { coverage: 0, faithfulness: 0 },
      { coverage: 0, faithfulness: 0 },
      { coverage: 0, faithfulness: 0 },
    ]);
    assert.deepEqual(partsOf("", implications("Ada Shaw played.")), [{ coverage: 0, faithfulness: 0 }]);
    assert.deepEqual(proxyParts([]), []);
  });
});

describe("the proxy on the Almanac", () => {
  const people = createWorld().validation.slice(0, 40);
  const rng = createRng("proxy");
  const writings = people.map((person) => {
    const { context } = examinationPassage(person, "selection");
    const edits = editKinds.flatMap((kind) => [
      { kind, text: demonstrateEdit(person, context, kind, rng.fork("demonstration", person.name, kind)) },
      { kind, text: oracleEdit(person, context, kind, rng.fork("oracle", person.name, kind)) },
    ]);
    return toPassage(context, edits, person.name);
  });
  const parts = proxyParts(writings);

  test("finds the all-knowing editor faithful, whatever the kind", () => {
    const oracle = parts.flatMap((edits) => edits.filter((_, index) => index % 2 === 1));
    const faithful = mean(oracle.map(({ faithfulness }) => faithfulness));
    // words that are a value here and a way of speaking there ("a hand aboard", "hand lyre") cost a little
    assert.ok(faithful > 0.985, `${faithful}`);
  });

  test("doubts hardly any true edit, and most false ones", () => {
    // what it misses: false words in small letters that no passage of the round holds
    const every = Object.values(personValues)
      .flat()
      .sort((a, b) => b.length - a.length); // "alto horn" before "horn"
    const isFalse = (facts: readonly string[], text: string) => {
      const own = facts.toSorted((a, b) => b.length - a.length);
      const rest = own.reduce((left, value) => left.replaceAll(new RegExp(value, "gi"), "|"), text);
      return every.some((value) => rest.includes(value) && new RegExp(`\\b${value}\\b`).test(rest));
    };
    const judged = writings.flatMap(({ edits }, index) =>
      edits.map(({ edit }, at) => ({
        isFalse: isFalse([people[index]!.name, ...Object.values(people[index]!.facts)], edit.text),
        isDoubted: parts[index]![at]!.faithfulness < 1,
      })),
    );
    const hit = judged.filter(({ isFalse, isDoubted }) => isFalse && isDoubted).length;
    const numFalse = judged.filter(({ isFalse }) => isFalse).length;
    const numDoubted = judged.filter(({ isDoubted }) => isDoubted).length;
    assert.ok(numFalse > 20, `${numFalse}`);
    assert.ok(hit / numFalse > 0.8, `${hit} of ${numFalse} false edits doubted`);
    assert.ok(hit / numDoubted > 0.65, `${hit} of ${numDoubted} doubted edits false`);
  });

  test("puts kinds that name their subject above those that do not", () => {
    const oracleOf = (kind: (typeof editKinds)[number]) =>
      mean(parts.map((edits) => edits[2 * editKinds.indexOf(kind) + 1]!.coverage));
    for (const good of ["implications", "implications-long", "self-qa"] as const)
      for (const bad of ["plain", "rewrite"] as const)
        assert.ok(oracleOf(good) > oracleOf(bad), `${good} ${oracleOf(good)}, ${bad} ${oracleOf(bad)}`);
  });
});
