/** @file Tables of the round's time: ways of running trials against each other, our round whole, what padding does to answers. */
import { mean, median } from "../util/index.ts";
import type { LoopTimes } from "./reference-loop.ts";
import type { RoundTimes, TimedArm } from "./round-time.ts";
import { differenceOver, meanOfMeasured, meanOver, type ResultTable } from "./table.ts";

/** All tables; `machine` is named in the captions. */
export function tabulateRoundTime(found: RoundTimes, machine: string): ResultTable[] {
  return [trialTable(found, machine), roundTable(found, machine), answerTable(found)];
}

/** Seconds of the mean trial: training grows with the rows to compute, asking does not. */
function secondsPerTrial({ numTrials, tokensPerTrial }: TimedArm, times: LoopTimes): number {
  return (times.trainSeconds / times.numTokens) * tokensPerTrial + times.examSeconds / numTrials;
}

const formatRange = (values: readonly number[]): string => {
  const digits = median(values) >= 20 ? 0 : 1;
  return `${median(values).toFixed(digits)} (${Math.min(...values).toFixed(digits)}–${Math.max(...values).toFixed(digits)})`;
};

/** Seconds as a person says them. */
function formatTime(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${(seconds / 60).toFixed(1)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

function trialTable({ arms, round }: RoundTimes, machine: string): ResultTable {
  const bank = arms[0]!;
  const perTrial = (arm: TimedArm) => arm.times.map((times) => secondsPerTrial(arm, times));
  const ofBank = perTrial(bank);
  return {
    title: "A trial, one way and another",
    caption: `${machine}. Edits of the shipped model: the same trials each way, ${bank.numTrials} of them in the bank and a sample of every length one at a time, ${bank.times.length === 1 ? "timed once" : `${bank.times.length} repetitions in turn, medians with the range`}. A trial is training and then asking its questions. Padded: every document is filled up to the longest sequence the model takes with end-of-text tokens, which count in the loss, as SEAL's released code does.`,
    columns: [
      { name: "trials timed", unit: "number" },
      { name: "training, ms a trial", unit: "number" },
      { name: "asking, ms a trial", unit: "number" },
      { name: "tokens a trial", unit: "number" },
      { name: "times the documents' tokens", unit: "number", digits: 1 },
      { name: "times the bank's time", unit: "number" },
      { name: "peak memory, MiB", unit: "number" },
      { name: `${round.numTrials} trials`, unit: "number" },
    ],
    rows: arms.map((arm) => {
      const seconds = perTrial(arm);
      const asking = arm.times.map(({ examSeconds }) => examSeconds / arm.numTrials);
      const training = seconds.map((whole, index) => whole - asking[index]!);
      return {
        name: arm.name,
        cells: [
          arm.numTrials,
          1000 * median(training),
          1000 * median(asking),
          arm.tokensPerTrial,
          arm.tokensPerTrial / bank.tokensPerTrial,
          formatRange(seconds.map((value, index) => value / ofBank[index]!)),
          Math.max(...arm.times.map(({ peakMiB }) => peakMiB)),
          arm === bank
            ? `${formatTime(round.trialSeconds)}, measured`
            : `${formatTime(median(seconds) * round.numTrials)}, extrapolated`,
        ],
      };
    }),
    drawn: null,
    notes: [
      "Extrapolated: the median time of a trial of mean length times the trials of a round; nobody waited for it. Training of the sample is put to the mean trial by the tokens computed. Peak memory: what the tensors of training take together, the model's own included.",
    ],
  };
}

function roundTable({ round, arms }: RoundTimes, machine: string): ResultTable {
  const { numPassages, numTrials, replaySeconds, writeSeconds, trialSeconds, updateSeconds } = round;
  const whole = writeSeconds + trialSeconds + updateSeconds;
  const slowest = arms.map((arm) => median(arm.times.map((times) => secondsPerTrial(arm, times))));
  const others = arms
    .map(({ name }, index) => ({ name, seconds: writeSeconds + slowest[index]! * numTrials + updateSeconds }))
    .slice(1);
  return {
    title: "A round of the outer loop",
    caption: `${machine}. ${numPassages} passages, ${numTrials} trials, measured once from the first sample to the next policy. The reference needs about 6 hours for as many trials of a 7B model on two H100; the rows below the line are our model and kernels with the trials run the other ways.`,
    columns: [
      { name: "seconds", unit: "number", digits: 1 },
      { name: "times ours", unit: "number", digits: 1 },
      { name: "how", unit: "number" },
    ],
    rows: [
      { name: "writing edits", cells: [writeSeconds, null, "measured"] },
      { name: "trials", cells: [trialSeconds, null, "measured"] },
      { name: "training the policy", cells: [updateSeconds, null, "measured"] },
      { name: "**the round**", cells: [whole, 1, "measured"] },
      { name: "sampling old text, once for all rounds", cells: [replaySeconds, null, "measured"] },
      ...others.map(({ name, seconds }) => ({
        name: `the round with trials ${name}`,
        cells: [seconds, seconds / whole, "extrapolated"],
      })),
    ],
    drawn: null,
  };
}

function answerTable({ answers }: RoundTimes): ResultTable {
  const [first] = answers;
  return {
    title: "What padding does to the answers",
    caption: `${first!.scores.length} held-out ${first!.scores.length === 1 ? "passage" : "passages"}, one edit of the shipped model each, learned each way with the same settings but for what the row says; questions in wordings that no training text contains. 95 % bootstraps over passages, differences paired.`,
    columns: [
      { name: "new answers right", unit: "percent" },
      { name: "over our loop", unit: "points" },
      { name: "old answers kept", unit: "percent" },
      { name: "tokens", unit: "number" },
    ],
    rows: answers.map(({ name, scores, kept, numTokens }, index) => ({
      name,
      cells: [
        meanOver([scores], name),
        index === 0 ? null : differenceOver([scores], [first!.scores], name),
        meanOfMeasured(kept),
        numTokens,
      ],
    })),
    drawn: "new answers right",
    notes: [
      `Padding multiplies the tokens by ${(mean([answers.find(({ name }) => name.startsWith("padded"))!.numTokens]) / first!.numTokens).toFixed(0)}; SEAL's released loop pads to 2048 tokens, about 40 times its articles.`,
    ],
  };
}
