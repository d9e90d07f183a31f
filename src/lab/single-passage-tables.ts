/** @file Tables of the single-passage experiment: what each way is worth, what is in the edits, and where the gain comes from. */
import { mean } from "../util/index.ts";
import type { ScoreFigures } from "./arms.ts";
import { pick, type ScoresBySeed } from "./policies.ts";
import { armNames, modelName, type SeedFindings, type SeedWriter, type SetFindings } from "./single-passage.ts";
import {
  type Cell,
  differenceOver,
  differenceOverSeeds,
  meanOfMeasured,
  meanOver,
  meanOverSeeds,
  type ResultTable,
  type SeedTable,
  twoIntervals,
} from "./table.ts";

/** All tables of the experiment: what each way is worth on every set, the comparisons that matter, and the details. */
export function tabulateSinglePassage(sets: readonly SetFindings<ScoreFigures>[], numRounds: number): ResultTable[] {
  const titled = ({ set }: SetFindings<ScoreFigures>, table: ResultTable): ResultTable => ({
    ...table,
    title: sets.length === 1 ? table.title : `${table.title} (${set})`,
  });
  return [
    ...sets.map((one) => titled(one, armTable(one, numRounds))),
    contrastTable(sets, numRounds),
    ...sets.flatMap((one) => [
      titled(one, writerTable(one.findings)),
      titled(one, gainTable(one.findings, numRounds)),
      titled(one, kindTable(one.findings, numRounds)),
    ]),
  ];
}

const sizeOf = (findings: readonly SeedFindings<ScoreFigures>[]): string =>
  `${findings[0]!.arms[0]!.scores.length} held-out passages, ${findings.length === 1 ? "one seed" : `${findings.length} seeds`}`;

/** What the last round is worth over what needs no reinforcement, or no model, at as many updates. */
function contrastTable(sets: readonly SetFindings<ScoreFigures>[], numRounds: number): ResultTable {
  const round = armNames.round(numRounds);
  const measured = new Set(sets[0]!.findings[0]!.arms.map(({ name }) => name));
  const references = [armNames.rule(numRounds), armNames.rawAtRound(numRounds), armNames.untrained].filter((name) =>
    measured.has(name),
  );
  return {
    title: `Round ${numRounds} over what needs no reinforcement`,
    caption: `${sets.map(({ set, summary }) => `${set}: ${summary}`).join("; ")}. ${twoIntervals}`,
    columns: [
      { name: "difference", unit: "points" },
      { name: "t over seeds", unit: "points" },
    ],
    rows: sets.flatMap(({ set, findings }) =>
      references.map((reference) => {
        const [scores, other] = [accuracyOf(findings, round), accuracyOf(findings, reference)];
        return {
          name: `${set}: ${round} − ${reference}`,
          cells: [differenceOver(scores, other, `${round} over ${reference}`), differenceOverSeeds(scores, other)],
        };
      }),
    ),
    drawn: null,
    notes: [equalUpdates(numRounds)],
  };
}

const equalUpdates = (numRounds: number): string =>
  `Equal updates: as many optimizer updates (one document each) as the training on round ${numRounds}'s own edit of that very passage and seed makes, its learning rate falling to 0 over them; documents come round again in a new order as often as it takes. Updates are equal, tokens are not: see the columns. The rule is a program, not a model: it splits the passage into sentences and writes the name of whom the text is about (its title, or the name it gives most often) in place of every he, she, his and her.`;

/** Scores of the arm of that name. */
function scoresOf(findings: readonly SeedFindings<ScoreFigures>[], name: string): ScoresBySeed {
  return findings.map(({ arms }) => arms.find((arm) => arm.name === name)!.scores);
}

const accuracyOf = (findings: readonly SeedFindings<ScoreFigures>[], name: string): SeedTable =>
  pick(scoresOf(findings, name), "accuracy");

function armTable({ findings, summary }: SetFindings<ScoreFigures>, numRounds: number): ResultTable {
  const over = (name: string, reference: string): Cell =>
    name === reference
      ? null
      : differenceOver(accuracyOf(findings, name), accuracyOf(findings, reference), `${name} over ${reference}`);
  const meanBy = (scores: ScoresBySeed, key: "numDocuments" | "numSteps" | "numTokens") =>
    mean(pick(scores, key).map(mean));
  return {
    title: "What one passage is worth",
    caption: `${sizeOf(findings)} (${summary}): each seed is a run of the outer loop with its own samples and trainings. One adapter for each passage, trained on the model named in the second column and asked closed-book in wordings that no training text contains. ${twoIntervals} Old answers: share of the canaries the untrained model answers right that are still right with the adapter.`,
    columns: [
      { name: "trained on", unit: "number" },
      { name: "new answers right", unit: "percent" },
      { name: "t over seeds", unit: "percent" },
      { name: "over the untrained policy's edit", unit: "points" },
      { name: "over the raw passage", unit: "points" },
      { name: "old answers kept", unit: "percent" },
      { name: "documents", unit: "number", digits: 1 },
      { name: "updates", unit: "number" },
      { name: "tokens", unit: "number" },
    ],
    rows: findings[0]!.arms.map(({ name, base }) => {
      const scores = scoresOf(findings, name);
      return {
        name,
        cells: [
          base,
          meanOver(pick(scores, "accuracy"), name),
          meanOverSeeds(pick(scores, "accuracy")),
          over(name, armNames.untrained),
          over(name, armNames.raw),
          meanOfMeasured(scores.flat().map(({ kept }) => kept)),
          meanBy(scores, "numDocuments"),
          meanBy(scores, "numSteps"),
          meanBy(scores, "numTokens"),
        ],
      };
    }),
    drawn: "new answers right",
    notes: [
      equalUpdates(numRounds),
      "Tokens are rows computed in training, all epochs together. The stronger writer knows all facts and draws the kind as the untrained policy was taught to; it is no part of SEAL and says what better edits would be worth to the same model.",
    ],
  };
}

const kindsOf = (findings: readonly SeedFindings<ScoreFigures>[]): string[] =>
  [
    ...new Set(findings.flatMap(({ writers }) => writers.flatMap(({ figures }) => figures.map(({ kind }) => kind)))),
  ].sort();

function writerTable(findings: readonly SeedFindings<ScoreFigures>[]): ResultTable {
  const kinds = kindsOf(findings);
  const figure = (writers: readonly SeedWriter[], key: "coverage" | "namedCoverage" | "wrongFacts"): Cell => {
    const table = writers.map(({ figures }) => figures.map((edit) => edit[key]));
    const measured = table.map((row) => row.filter((value) => value !== null));
    return measured.some((row, seed) => row.length < table[seed]!.length)
      ? null
      : meanOver(measured, `${key} of ${writers[0]!.name}`);
  };
  return {
    title: "What is in the edits",
    caption: `${sizeOf(findings)}, one edit each; the passage that is learned beside every edit is left out. Answers stated: share of the exam's answers that occur in the edit. With the name: in one sentence or question with the name of whom it is about. Wrong facts: different values in an edit that are somebody else's. Writer's old answers: canaries that the policy itself, without an adapter, still answers right.`,
    columns: [
      { name: "answers stated", unit: "percent" },
      { name: "with the name", unit: "percent" },
      { name: "wrong facts", unit: "number", digits: 2 },
      { name: "words", unit: "number" },
      { name: "documents", unit: "number", digits: 1 },
      ...kinds.map((name) => ({ name, unit: "percent", digits: 0 }) as const),
      { name: "writer's old answers", unit: "percent" },
    ],
    rows: findings[0]!.writers.map(({ name }, index) => {
      const writers = findings.map((finding) => finding.writers[index]!);
      const edits = writers.flatMap(({ figures }) => figures);
      return {
        name,
        cells: [
          figure(writers, "coverage"),
          figure(writers, "namedCoverage"),
          figure(writers, "wrongFacts"),
          mean(edits.map(({ words }) => words)),
          mean(edits.map(({ numDocuments }) => numDocuments)),
          ...kinds.map((kind) => mean(edits.map((edit) => (edit.kind === kind ? 1 : 0)))),
          meanOfMeasured(writers.map(({ kept }) => kept)),
        ],
      };
    }),
    drawn: null,
    notes: [
      "A `plain` edit states every answer and is no more than the passage once more: what counts is the column beside it.",
    ],
  };
}

/** Edits of one kind: how many of all, and what they are worth to the untrained model. */
interface KindShare {
  readonly share: number;
  readonly accuracy: number | null;
}

function sharesByKind(
  findings: readonly SeedFindings<ScoreFigures>[],
  writer: string,
  arm: string,
): ReadonlyMap<string, KindShare> {
  const scores = accuracyOf(findings, arm);
  const edits = findings.flatMap(({ writers }, seed) =>
    writers
      .find(({ name }) => name === writer)!
      .figures.map(({ kind }, passage) => ({ kind, accuracy: scores[seed]![passage]! })),
  );
  return new Map(
    kindsOf(findings).map((kind) => {
      const own = edits.filter((edit) => edit.kind === kind);
      return [
        kind,
        { share: own.length / edits.length, accuracy: meanOfMeasured(own.map(({ accuracy }) => accuracy)) },
      ];
    }),
  );
}

/** Gain of writing in two parts: other kinds, each worth what it was, and better edits of each kind. */
function partWriting(before: ReadonlyMap<string, KindShare>, after: ReadonlyMap<string, KindShare>) {
  let [byMix, byQuality] = [0, 0];
  for (const [kind, { share, accuracy }] of after) {
    const earlier = before.get(kind)!;
    const worth = earlier.accuracy ?? accuracy ?? 0; // a kind never written before: all of its worth is in having it
    byMix += (share - earlier.share) * worth;
    byQuality += share * ((accuracy ?? worth) - worth);
  }
  return { byMix, byQuality };
}

function gainTable(findings: readonly SeedFindings<ScoreFigures>[], numRounds: number): ResultTable {
  const [whole, untrained, swapped] = [armNames.round(numRounds), armNames.untrained, armNames.swapped(numRounds)];
  const between = (a: string, b: string) =>
    differenceOver(accuracyOf(findings, a), accuracyOf(findings, b), `${a} − ${b}`);
  const { byMix, byQuality } = partWriting(
    sharesByKind(findings, modelName(0), untrained),
    sharesByKind(findings, modelName(numRounds), swapped),
  );
  return {
    title: `Where the gain of ${numRounds} rounds comes from`,
    caption: `${sizeOf(findings)}. Writing: the same untrained model learns the edits of round ${numRounds} instead of its own. Learning: round ${numRounds} learns its own edits instead of the untrained model. The two parts of writing follow from the table by kind: other kinds, each worth what the untrained policy's are, and better edits of the same kind.`,
    columns: [{ name: "gain", unit: "points" }],
    rows: [
      { name: "all", cells: [between(whole, untrained)] },
      { name: "writing: better edits", cells: [between(swapped, untrained)] },
      { name: "… by choosing other kinds", cells: [byMix] },
      { name: "… by writing each kind better", cells: [byQuality] },
      { name: "learning: a model that learns more from the same edit", cells: [between(whole, swapped)] },
    ],
    drawn: null,
  };
}

function kindTable(findings: readonly SeedFindings<ScoreFigures>[], numRounds: number): ResultTable {
  const writers = [
    [modelName(0), armNames.untrained],
    [modelName(numRounds), armNames.swapped(numRounds)],
  ] as const;
  const shares = writers.map(([writer, arm]) => sharesByKind(findings, writer, arm));
  return {
    title: "By kind",
    caption: `${sizeOf(findings)}; every edit learned by the untrained model.`,
    columns: writers.flatMap(([writer]) => [
      { name: `${writer} writes`, unit: "percent", digits: 0 } as const,
      { name: `answers right (${writer})`, unit: "percent" } as const,
    ]),
    rows: kindsOf(findings).map((kind) => ({
      name: kind,
      cells: shares.flatMap((map) => [map.get(kind)!.share, map.get(kind)!.accuracy]),
    })),
    drawn: null,
  };
}
