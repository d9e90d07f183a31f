import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createRng } from "../util/index.ts";
import { canaryAgreement, drawCanaries, type KnownFact } from "./draw-canaries.ts";

const rng = createRng("facts");
const relations = ["birthplace", "trade", "ship", "year"];
/** 600 facts, a tenth unknown, sureness spread and different by relation. */
const facts: readonly KnownFact[] = Array.from({ length: 600 }, (_, index) => {
  const relation = relations[index % 4]!;
  return {
    question: `q${index}`,
    answer: `a${index}`,
    subject: `person ${index % 300}`,
    relation,
    family: `f${index % 3}`,
    base: { isRight: index % 10 !== 0, goldLogprob: -3 * rng.uniform() ** 2 - (relation === "year" ? 0.5 : 0) },
  };
});

/** What an adapter loses: the less sure, the likelier. */
const adapterThatForgets = (strength: number) => {
  const chance = createRng(`forgets ${strength}`);
  const lost = new Set(
    facts
      .filter(({ base }) => chance.uniform() < strength * Math.min(1, -base.goldLogprob / 3))
      .map(({ question }) => question),
  );
  return (question: string) => !lost.has(question);
};

describe("drawn canaries", () => {
  test("are known, of different subjects, and the same for the same seed", () => {
    const draw = () => drawCanaries(facts, { count: 100, rng: createRng(1) });
    const drawn = draw();
    assert.equal(drawn.length, 100);
    assert.ok(drawn.every(({ base }) => base.isRight));
    assert.equal(new Set(drawn.map(({ question }) => question)).size, 100);
    assert.ok(new Set(drawn.map(({ subject }) => subject)).size >= 98);
    assert.deepEqual(draw(), drawn);
  });

  test("have each relation in its share", () => {
    const drawn = drawCanaries(facts, { count: 80, rng: createRng(2) });
    for (const relation of relations) {
      const share = (list: readonly KnownFact[]) =>
        list.filter((fact) => fact.relation === relation).length / list.length;
      assert.ok(Math.abs(share(drawn) - share(facts.filter(({ base }) => base.isRight))) < 0.02, relation);
    }
  });

  test("agree with all known facts more closely than a plain draw, on average over draws and adapters", () => {
    const errorOf = (draw: (seed: number) => readonly Pick<KnownFact, "question">[]) => {
      let sum = 0;
      for (let seed = 0; seed < 40; seed++)
        for (const strength of [0.1, 0.3, 0.6]) {
          const { differencePoints } = canaryAgreement(facts, draw(seed), adapterThatForgets(strength));
          sum += differencePoints ** 2 / 120;
        }
      return Math.sqrt(sum);
    };
    const known = facts.filter(({ base }) => base.isRight);
    const stratified = errorOf((seed) => drawCanaries(facts, { count: 200, rng: createRng(seed) }));
    const plain = errorOf((seed) =>
      createRng(`plain ${seed}`)
        .shuffle([...known])
        .slice(0, 200),
    );
    assert.ok(stratified < plain, `${stratified} points against ${plain}`);
  });

  test("are all that is known where that is little, and none is an error", () => {
    assert.equal(drawCanaries(facts.slice(0, 20), { count: 100, rng }).length, 18);
    assert.throws(() => drawCanaries([facts[0]!], { count: 5, rng }), {
      message: /expected facts that the base model answers right, got none of 1/,
    });
  });
});
