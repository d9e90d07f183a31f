/** @file Who may read whom: the test people by one command alone, and nobody twice. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import {
  almanacPassages,
  createWorld,
  personAttributes,
  personValues,
  plainForm,
  unseenValues,
} from "../tasks/index.ts";
import { readPassages } from "./learning.ts";
import { developmentPeople, readHeldOut, recordTestSetReading, refuseTestPeople, roundPeople } from "./people.ts";

const folder = mkdtempSync(join(tmpdir(), "selkie-people-"));
after(() => rmSync(folder, { recursive: true }));
const world = createWorld();
const quiet = () => {};

describe("the test set", () => {
  test("is read when it is asked for, aloud; without that, validation people whom no round learns from", async () => {
    const said: string[] = [];
    const args = { source: "almanac", limit: 3 };
    const tested = await readHeldOut({ ...args, isTestSet: true }, (text) => said.push(text));
    assert.deepEqual([tested.split, tested.people], ["test", world.test.slice(0, 3)]);
    assert.match(said.join(), /^reading the test set: 3 people/);
    const held = await readHeldOut({ ...args, isTestSet: false }, assert.fail);
    assert.equal(held.split, "validation");
    const rounds = new Set(roundPeople().map(({ name }) => name));
    assert.ok(developmentPeople().every(({ name }) => !rounds.has(name)));
    assert.ok(held.people!.every(({ name }) => !rounds.has(name)));
    const coined = roundPeople().filter(({ name }) => !world.validation.some((person) => person.name === name));
    assert.deepEqual([rounds.size, coined.length], [150, 75], "half of them have values that stand on no list");
    for (const { facts } of coined)
      for (const attribute of personAttributes)
        assert.ok(![...personValues[attribute], ...unseenValues[attribute]].includes(facts[attribute]));
    const learned = await readPassages("almanac");
    assert.deepEqual(
      learned.map(({ id }) => id),
      roundPeople().map(({ name }) => name),
    );
  });

  test("is refused in files, in whatever form, and nobody else is", async () => {
    const [person] = world.test;
    const { name, facts } = person!;
    const file = join(folder, "mine.txt");
    const forms = [
      almanacPassages([person!])[0]!.context,
      almanacPassages([person!], { ...plainForm, style: "record" })[0]!.context,
      `My friend ${name}, a ${facts.occupation} from ${facts.birthplace}, plays the ${facts.instrument}.`,
    ];
    for (const text of forms) {
      writeFileSync(file, text);
      await assert.rejects(readPassages(file), {
        code: "bad-input",
        message: new RegExp(`got ${name} in .*--test-set`),
      });
      await assert.rejects(readHeldOut({ source: file, limit: undefined, isTestSet: false }, quiet), /got .* in mine/);
    }
    writeFileSync(file, `${name} is also the name of my aunt, a ${facts.occupation}.`);
    assert.equal((await readPassages(file)).length, 1, "a name is not yet a person");
    const { validation, testUnseen } = world;
    assert.equal(refuseTestPeople(almanacPassages(validation), "x").length, validation.length);
    assert.throws(() => refuseTestPeople(almanacPassages(testUnseen.slice(4, 5)), "x"), /test set/);
  });

  test("cannot be asked for beside a file, and every reading is written down once", async () => {
    await assert.rejects(
      readHeldOut({ source: "some.json", limit: undefined, isTestSet: true }, quiet),
      /--test-set: expected --held-out almanac, .* got --held-out some\.json/,
    );
    const reading = { command: "selkie experiment x --test-set", model: "ab", people: 5 };
    for (const one of [reading, reading, { ...reading, model: "cd" }]) recordTestSetReading(folder, one);
    assert.deepEqual(JSON.parse(readFileSync(join(folder, "test-set.json"), "utf8")), [
      reading,
      { ...reading, model: "cd" },
    ]);
  });
});
