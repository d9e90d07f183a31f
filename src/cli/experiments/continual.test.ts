import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ContinualReport, MethodRow } from "../../adapt/index.ts";
import { describeTargets, tabulateContinual } from "./continual.ts";
import { bestStreaming, drawAges, drawMatrices } from "./continual-pictures.ts";
import { describeResultTable } from "./write.ts";

const at = (mean: number) => ({ mean, low: mean, high: mean });
const row = (name: string, more: Partial<MethodRow>): MethodRow => ({
  ...{
    name,
    summary: `what ${name} does`,
    acquisition: at(0.8),
    retention: at(0.4),
    keptShare: at(0.5),
    keptGain: at(0.5),
  },
  ...{ backwardTransfer: at(-0.4), baseKept: at(0.6), klNats: at(0.7), intrusions: null, reading: at(1) },
  ...{
    validEdits: at(1),
    coverage: at(0.8),
    overFirst: null,
    overBase: at(0.38),
    overBaseInAll: at(-0.2),
    byAge: [0.8, null, 0.1],
  },
  ...{ matrix: [[1], [null, 0.6], [0.1, 0.2, 0.8]], drift: [], tokensPerEdit: 1000, stepsPerEdit: 70 },
  ...{ seconds: { learning: 1, total: 2 }, notes: {} },
  ...more,
});
const bound = { acquisition: null, keptShare: null, backwardTransfer: null, byAge: [], matrix: [] };
const report: ContinualReport = {
  length: 3,
  numStreams: 2,
  numPolicies: 1,
  questions: { known: 300, asked: 18 },
  base: { accuracy: at(0.02), reading: at(1), validEdits: at(1), coverage: at(0.8) },
  rows: [
    row("merge", { notes: { "scale 0.5": 2, "scale 0.25": 1, rejected: 1 } }),
    row("bank", { retention: at(0.7), keptShare: at(1), baseKept: at(1), overFirst: at(0.3), byAge: [0.7, 0.7, 0.7] }),
    row("joint <all>", { ...bound, retention: at(0.9), baseKept: at(0.97) }),
  ],
  streams: [],
};

describe("tables of the continual experiment", () => {
  test("show every method, leave out what was not examined, and add up decisions", () => {
    const tables = tabulateContinual(report, { wordings: 1, split: "test" });
    const [retention, ages, sides, costs] = tables.map(describeResultTable);
    assert.match(retention!, /\| merge \| 80\.0 \[80\.0, 80\.0\] \| 40\.0 .*\| – \| \+38\.0/);
    assert.match(retention!, /\| joint <all> \| – \| 90\.0/);
    assert.match(retention!, /by one policy .* over streams, which say nothing of other policies/);
    const several = {
      ...report,
      numPolicies: 3,
      rows: [row("merge", { retention: { ...at(0.4), overPolicies: at(0.5) } })],
    };
    const [over] = tabulateContinual(several, { wordings: 1, split: "test" }).map(describeResultTable);
    assert.match(over!, /policies of 3 outer loops .*\(policies resampled whole\)/);
    assert.match(over!, /\| merge \| 80\.0 .* \| 40\.0 .* \| 50\.0 \[50\.0, 50\.0\] \|/);
    assert.match(ages!, /0 later, % \| 1 later, % \| 2 later, %/);
    assert.match(ages!, /\| merge \| 80\.0 \| – \| 10\.0 \|/);
    assert.ok(!ages!.includes("joint"));
    assert.match(sides!, /\| base \| 0\.000 \| – \| 100\.0/);
    assert.match(costs!, /3 scaled down, 1 rejected/);
  });

  test("targets: who reaches them is read off the figures", () => {
    assert.match(
      describeTargets(report),
      /90\.0 % .* most left first: bank\. merge ends 38\.0 points above .* 60\.0 % .* 300 answers of the base and 18 .* 20\.0 points below/,
    );
    const { questions } = report;
    const long = {
      length: 100,
      questions,
      rows: [row("merge", { keptShare: at(0.85), baseKept: at(0.95), overBase: at(-0.1) })],
    };
    assert.match(describeTargets(long), /80\.0 % .*: merge\. merge ends 10\.0 points below/);
    assert.match(describeTargets({ ...long, length: 20 }), /most left first: none/);
  });
});

describe("pictures of the continual experiment", () => {
  test("one line per method with a matrix, a dashed one per bound, and the best beside the first", () => {
    const ages = drawAges(report);
    assert.equal(ages.match(/<path /g)!.length, 2);
    assert.equal(ages.match(/stroke-dasharray/g)!.length, 1);
    assert.match(ages, /joint &lt;all&gt; \(at the end\)/);
    assert.match(ages, /d="M56\.0 116\.0L616\.0 326\.0"/); // 0.8 at age 0, 0.1 at age 2
    assert.equal(bestStreaming(report.rows)!.name, "bank");
    const matrices = drawMatrices(report);
    assert.equal(matrices.match(/fill-opacity/g)!.length, 2 * 5);
    assert.match(matrices, />merge<[\s\S]*>bank</);
  });
});
