/** @file Progress in words: counts, the time left, one line for each stage however often stages take turns. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createProgressTeller, describeEstimate } from "./progress.ts";

/** What is said of these events, one second after another; true for lines that begin a stage. */
function listen(names: Record<string, string> = {}, isTerminal = true) {
  const said: [text: string, isStage: boolean][] = [];
  let nowMs = 0;
  const teller = createProgressTeller(
    { isTerminal, progress: (text, options) => said.push([text, options?.isStage === true]) },
    { names, now: () => nowMs },
  );
  return { said, teller, tick: () => (nowMs += 1000) };
}

test("each line has the stage, how far it is, and after some steps how long it takes", () => {
  const { said, teller, tick } = listen({ try: "trying the edits" });
  for (let done = 0; done <= 12; done++) {
    teller({ stage: "try", done, total: 50, note: done === 12 ? "900 tokens/s" : "" });
    tick();
  }
  assert.deepEqual(said[0], ["░░░░░░░░░░░░░░░░ trying the edits 0/50", true]);
  assert.deepEqual(said[12], ["████░░░░░░░░░░░░ trying the edits 12/50, 38 s left  900 tokens/s", false]);
  teller({ stage: "after", done: 0, total: 1 });
  assert.deepEqual(said.at(-1), ["░░░░░░░░░░░░░░░░ after", true]);
});

test("stages that take turns begin once, and each keeps its own pace", () => {
  const { said, teller, tick } = listen();
  for (let step = 0; step <= 20; step++) {
    teller({ stage: "streams", done: step, total: 40 });
    for (let done = 0; done < 4; done++) {
      teller({ stage: "merge", done, total: 4 });
      tick();
    }
  }
  assert.equal(said.filter(([, isStage]) => isStage).length, 2);
  const streams = said.filter(([text]) => text.includes("streams")).at(-1)![0];
  assert.match(streams, /streams 20\/40, 1 min (?:20|25|15) s left$/);
});

test("where the stages' own times are expected, the time left is that of all", () => {
  const { said, teller, tick } = listen();
  teller.expect({ first: 10, second: 30 });
  for (let done = 0; done <= 5; done++) {
    teller({ stage: "first", done, total: 10 });
    tick();
  }
  assert.match(said.at(-1)![0], /first 5\/10, 3[456] s left in all$/);
});

test("an estimate says time, memory, for what, and how it is known", () => {
  assert.equal(
    describeEstimate({ seconds: 40, bytes: 1.2 * 2 ** 30 }, "4 texts"),
    "about 40 s and 1.2 GiB of memory, for 4 texts at the speed just measured with this model; good to a factor of two",
  );
});

test("where lines stay, a stage begins without a bar; one is drawn when it has something in it", () => {
  const { said, teller, tick } = listen({ before: "asking the model" }, false);
  for (let done = 0; done <= 4; done++) {
    teller({ stage: "before", done, total: 4 });
    tick();
  }
  teller({ stage: "replay", done: 0, total: 0 });
  assert.deepEqual(said[0], ["asking the model 0/4", true]);
  assert.match(said[1]![0], /^█+░+ asking the model 1\/4/);
  assert.deepEqual(said.at(-1), ["████████████████ replay", true], "of a stage without work, that it is done");
});
