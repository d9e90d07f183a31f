import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { allQuestions, createWorld } from "../../tasks/index.ts";
import { createRng } from "../../util/index.ts";
import { almanacTemplates } from "../almanac-templates.ts";
import { almanacChecks } from "./almanac.ts";
import { measureSkills, oneWordingEach } from "./checks.ts";
import type { CompletionRequest } from "./method.ts";

describe("skills", () => {
  const reading = [
    { passage: "Jo lives in Ryde.", question: "Where does Jo live?", answer: "Ryde" },
    { passage: "Al lives in Deal.", question: "Where does Al live?", answer: "Deal" },
  ];
  const written = (id: string) => ({
    source: { id, title: "", context: `${id} lives in Ryde.` },
    facts: ["Ryde", "1912"],
  });
  const items = { reading, writing: [written("Jo"), written("Al"), written("Di"), written("Ed")] };
  const replies: Readonly<Record<string, string>> = {
    Jo: " implications\nJo lives in Ryde.\nJo was born in 1912.",
    Al: " self-qa\nno question at all, in Ryde", // no document comes of it
    Di: "a rambling text about Ryde", // names no kind
    Ed: " rewrite\nEd's home is Ryde.",
  };

  test("by hand: one of two read, two of four edits valid, three of eight facts said", async () => {
    const asked: CompletionRequest[] = [];
    const system = async (requests: readonly CompletionRequest[]): Promise<string[]> => {
      asked.push(...requests);
      return requests.map(({ prompt, isLine }) =>
        isLine ? " Ryde\nmore" : replies[/Passage: (\w+)/.exec(prompt)![1]!]!,
      );
    };
    const report = await measureSkills(system, almanacTemplates, items);
    assert.deepEqual(report, { reading: 0.5, validEdits: 0.5, coverage: 3 / 8 });
    assert.equal(asked[0]!.prompt, "Passage: Jo lives in Ryde.\nQuestion: Where does Jo live?\nAnswer:");
    assert.ok(asked.slice(0, 2).every(({ seed }) => seed === null));
    assert.equal(new Set(asked.slice(2).map(({ seed }) => seed)).size, 4);
    assert.deepEqual(await measureSkills(async () => [], almanacTemplates, { reading: [], writing: [] }), {
      ...{ reading: null, validEdits: null, coverage: null },
    });
  });
});

describe("what is asked", () => {
  test("one wording of each fact, the same every time", () => {
    const [person] = createWorld().validation;
    const items = allQuestions(person!, "report").map((question) => ({ ...question, title: "" }));
    const one = oneWordingEach(items, 1, createRng("w"));
    assert.deepEqual(one.map(({ answer }) => answer).sort(), Object.values(person!.facts).sort());
    assert.deepEqual(oneWordingEach(items, 1, createRng("w")), one);
    assert.equal(oneWordingEach(items, 2, createRng("w")).length, 12);
  });

  test("known people of the checks are in no canary, and nobody in them is held out", () => {
    const world = createWorld();
    const canaries = world.toldOnly
      .slice(0, 20)
      .map((person) => ({ ...allQuestions(person, "report")[0]!, title: "" }));
    const { known, texts, reading, writing } = almanacChecks(world, canaries, createRng("c"));
    assert.equal(known.length, 280);
    const text = JSON.stringify([known, texts, reading, writing]);
    for (const { name } of [...world.toldOnly.slice(0, 20), ...world.validation, ...world.test])
      assert.ok(!text.includes(`${name} `) && !text.includes(`${name}'`), name);
    for (const { source, facts } of writing) assert.ok(facts.every((fact) => source.context.includes(fact)));
    for (const { passage, answer } of reading) assert.ok(passage.includes(answer));
  });
});
