/**
 * @file `npm run contradictions`: how often the base model's own answers give away that a passage says otherwise than what it holds.
 * Three sorts of people, each with a passage's exam: known ones whom training asked about and known ones whom it only told of, with
 * one fact of six replaced by a false one, and strangers with nothing false. Prints the share of each that is reported, with
 * Wilson intervals; of strangers every report is a false alarm.
 */
import { parseArgs } from "node:util";
import { baseContradictions } from "../src/adapt/gate/contradictions.ts";
import { defaultGate, type ExamItem, loadPrompts } from "../src/adapt/index.ts";
import { openEngine } from "../src/engine/index.ts";
import { allQuestions, createWorld, type Person, personAttributes, personValues } from "../src/tasks/index.ts";
import { createRng, SelkieError } from "../src/util/index.ts";
import { wilson } from "./screen.ts";

const rng = createRng("contradictions");

/** The exam about a person with the facts given: what a passage about them would be asked. */
const examOf = (person: Person): ExamItem[] =>
  allQuestions(person, "report").map((question) => ({ ...question, title: "" }));

/** The person with one fact replaced. */
function lieAbout(person: Person): Person {
  const attribute = rng.choice(personAttributes);
  const others = personValues[attribute].filter((value) => value !== person.facts[attribute]);
  return { ...person, facts: { ...person.facts, [attribute]: rng.choice(others) } };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { model: { type: "string", default: "models/nano" }, people: { type: "string", default: "60" } },
  });
  const { questioned, toldOnly, validation, validationUnseen } = createWorld();
  const count = Number(values.people);
  if (!Number.isInteger(count) || count < 1 || count > 100)
    throw new SelkieError("bad-option", `contradictions: expected --people from 1 to 100, got ${values.people}`);
  await using engine = await openEngine(values.model, { precision: "f32" });
  const context = { engine, templates: await loadPrompts(values.model) };
  const minProbability = defaultGate.thresholds.minHeldProbability;
  const sorts: readonly (readonly [name: string, people: readonly Person[], isKnown: boolean])[] = [
    ["asked about in training, one fact false", questioned.slice(0, count).map(lieAbout), true],
    ["only told of in training, one fact false", toldOnly.slice(0, count).map(lieAbout), true],
    ["strangers, seen values, nothing false", validation.slice(0, count), false],
    ["strangers, unseen values, nothing false", validationUnseen.slice(0, count), false],
  ];
  for (const withKnown of [true, false]) {
    for (const [name, people, isKnown] of sorts) {
      if (withKnown && !isKnown) continue;
      let found = 0;
      for (const person of people) {
        const known = withKnown && isKnown ? examOf(person) : [];
        const reports = await baseContradictions(context, { questions: examOf(person), known, minProbability });
        found += reports.length > 0 ? 1 : 0;
      }
      const [low, high] = wilson(found, people.length).map((share) => (100 * share).toFixed(1));
      const subject = withKnown ? "a near fact names the subject" : "nothing known of the subject";
      console.log(`${name} (${subject}): ${found} of ${people.length} reported, ${low} to ${high} %`);
    }
  }
}

await main();
