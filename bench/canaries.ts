/**
 * @file `npm run canaries -- --known <file> <adapter folder>…`: how well canaries stand for everything a model knows. Asks the
 * base and each adapter every known fact, draws canaries of several numbers, and prints both shares kept and their difference
 * in points, over ten draws.
 */

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { canaryAgreement, drawCanaries, examine, type KnownFact, loadPrompts, parseKnown } from "../src/adapt/index.ts";
import { openEngine, withAdapter } from "../src/engine/index.ts";
import { loadAdapter } from "../src/models/index.ts";
import { createRng, mean, SelkieError } from "../src/util/index.ts";

const counts = [60, 120, 240, 480];
const numDraws = 10;

/** A fact with its subject, the names in its question, and its relation, what is left of the question. */
function toFact(item: { question: string; answer: string }, base: KnownFact["base"]): KnownFact {
  const names = /\p{Lu}[\p{L}’'-]*(?:\s+\p{Lu}[\p{L}-]*)+/u.exec(item.question.slice(item.question.indexOf(" ")));
  const subject = names?.[0].replace(/['’]s$/u, "") ?? item.question;
  return { ...item, subject, relation: item.question.replace(subject, "…"), base };
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { model: { type: "string", default: "models/nano" }, known: { type: "string" } },
  });
  if (values.known === undefined || positionals.length === 0)
    throw new SelkieError(
      "bad-option",
      "canaries: expected --known <file.jsonl> and adapter folders; see the head of bench/canaries.ts",
    );
  const items = parseKnown(readFileSync(values.known, "utf8"), values.known);
  await using engine = await openEngine(values.model, { precision: "f32" });
  const context = { engine, templates: await loadPrompts(values.model) };
  const [before] = await examine(context, [{ adapter: null, items }]);
  const facts = items.map((item, index) => toFact(item, before![index]!));
  console.log(`${facts.filter(({ base }) => base.isRight).length} of ${facts.length} facts known`);
  for (const directory of positionals) {
    const { adapter } = await loadAdapter(directory);
    const [after] = await withAdapter(engine, adapter, (id) => examine(context, [{ adapter: id, items }]));
    const kept = new Map(items.map(({ question }, index) => [question, after![index]!.isRight]));
    for (const count of counts) {
      const draws = Array.from({ length: numDraws }, (_, seed) =>
        canaryAgreement(facts, drawCanaries(facts, { count, rng: createRng(seed) }), (question) => kept.get(question)!),
      );
      const off = draws.map(({ differencePoints }) => Math.abs(differencePoints));
      console.log(
        `${directory}: ${count} canaries ${(100 * mean(draws.map(({ canaries }) => canaries))).toFixed(1)} %, all ${(100 * draws[0]!.all).toFixed(1)} %; off by ${mean(off).toFixed(2)} points on average, at most ${Math.max(...off).toFixed(2)}`,
      );
    }
  }
}

await main();
