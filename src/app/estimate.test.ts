/** @file Estimates before long work: they grow with what there is to do, and rates are measured on the model at hand. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createTinyModel } from "../../test/support/tiny-model.ts";
import { defaultLearnSettings, defaultSettings } from "../adapt/index.ts";
import { createEngine } from "../engine/index.ts";
import {
  type AdaptationWork,
  type LearningWork,
  measureRates,
  predictAdaptation,
  predictLearning,
  withoutFinished,
} from "./estimate.ts";

const layers = [{ name: "q", inSize: 100, outSize: 100 }];
const rates = { secondsPerStep: 0.01, secondsPerTrainedToken: 1e-4, secondsPerWrittenToken: 1e-3 };
const work: AdaptationWork = {
  ...{ passageTokens: [40, 40], numSelection: 12, numReported: 12, numWithoutQuestions: 0, numCanaries: 60 },
  ...{ settings: defaultSettings, layers },
};
const learning: LearningWork = {
  ...{ passageTokens: Array.from({ length: 100 }, () => 40), numHeldOut: 100, questionsPerPassage: 6, numCanaries: 60 },
  ...{ settings: defaultLearnSettings, layers },
};

describe("what an adaptation will take", () => {
  test("by hand, stage by stage", () => {
    const { secondsOf, seconds, bytes } = predictAdaptation(work, rates, 1000);
    assert.equal(secondsOf["exam"], 0);
    assert.ok(Math.abs(secondsOf["before"]! - 72 * 12 * 1e-3) < 1e-9); // 12 questions and 60 canaries, 12 tokens each
    assert.ok(Math.abs(secondsOf["propose"]! - 5 * 80 * 1.1 * 1e-3) < 1e-9); // 5 edits a tenth longer than the passages
    assert.ok(Math.abs(secondsOf["after"]! - 2 * secondsOf["before"]!) < 1e-9); // raw and adapted
    assert.ok(Math.abs(seconds - Object.values(secondsOf).reduce((sum, each) => sum + each, 0)) < 1e-9);
    assert.equal((bytes - 1000) % 2 ** 20, (16 * 16 * 200 * 10) % 2 ** 20); // 10 adapters of rank 16: weights, gradient, moments
  });

  test("grows with passages, edits and epochs, and is nothing at rates of nothing", () => {
    const { seconds } = predictAdaptation(work, rates, 0);
    const settings = { ...defaultSettings, numEdits: 10 };
    const finalLoop = { ...defaultSettings.finalLoop, epochs: 24 };
    assert.ok(predictAdaptation({ ...work, passageTokens: [40, 40, 40, 40] }, rates, 0).seconds > 1.5 * seconds);
    assert.ok(predictAdaptation({ ...work, settings }, rates, 0).seconds > seconds);
    assert.ok(predictAdaptation({ ...work, settings: { ...defaultSettings, finalLoop } }, rates, 0).seconds > seconds);
    assert.ok(predictAdaptation({ ...work, numWithoutQuestions: 2 }, rates, 0).secondsOf["exam"]! > 0);
    const still = { secondsPerStep: 0, secondsPerTrainedToken: 0, secondsPerWrittenToken: 0 };
    for (const given of [work, { ...work, passageTokens: [] }])
      assert.equal(predictAdaptation(given, still, 0).seconds, 0);
  });

  test("that goes on is without what is done, of each stage its share", () => {
    const whole = predictAdaptation({ ...work, numWithoutQuestions: 2 }, rates, 0);
    const { exam, before, propose, try: trying } = whole.secondsOf as Record<string, number>;
    const rest = withoutFinished(whole, { exam: 1, before: 1, propose: 1, try: 0.5, replay: 0 });
    assert.ok(Math.abs(whole.seconds - rest.seconds - (exam! + before! + propose! + trying! / 2)) < 1e-9);
    assert.deepEqual(rest.secondsOf, whole.secondsOf, "progress tells the time left of all stages");
    const all = Object.fromEntries(Object.keys(whole.secondsOf).map((stage) => [stage, 1]));
    assert.ok(Math.abs(withoutFinished(whole, all).seconds) < 1e-9);
    assert.equal(withoutFinished(whole, {}).seconds, whole.seconds);
  });

  test("of an outer loop grows with rounds and repetitions, and counts held-out passages once for each policy", () => {
    const { seconds } = predictLearning(learning, rates, 0);
    const with_ = (settings: Partial<typeof defaultLearnSettings>, more: Partial<LearningWork> = {}) =>
      predictLearning({ ...learning, ...more, settings: { ...defaultLearnSettings, ...settings } }, rates, 0).seconds;
    assert.ok(with_({ schedule: [{ numEdits: 5, repetitions: 6 }] }) > 1.4 * seconds);
    assert.ok(with_({ passagesPerRound: 25 }) < seconds);
    const [none, some, more] = [0, 100, 200].map((numHeldOut) => with_({}, { numHeldOut }));
    assert.ok(Math.abs(more! - some! - (some! - none!)) < 1e-6 * seconds);
  });
});

test("rates of a model are measured, positive, and leave nothing behind", async () => {
  const checkpoint = createTinyModel({
    name: "estimate-test",
    texts: ["a text"],
    vocabSize: 270,
    config: { maxSeqLen: 64, bosTokenId: 0 },
    hasEnd: false,
  });
  const { lm } = checkpoint;
  const engine = await createEngine(checkpoint);
  const before = lm.backend.memory().liveTensors;
  const measured = await measureRates(
    engine,
    { loraRank: 2, loraAlpha: 4, targets: "all" },
    new AbortController().signal,
  );
  assert.ok(
    measured.secondsPerWrittenToken > 0 && measured.secondsPerTrainedToken >= 0 && measured.secondsPerStep >= 0,
  );
  assert.ok(measured.secondsPerTrainedToken + measured.secondsPerStep > 0);
  assert.equal(lm.backend.memory().liveTensors, before);
  await assert.rejects(
    measureRates(engine, { loraRank: 2, loraAlpha: 4, targets: "all" }, AbortSignal.abort(new Error("stop"))),
    /stop/,
  );
});
