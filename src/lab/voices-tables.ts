/** @file Tables of the voices: what is learned in each, what reinforcement adds there, and whether relations are told apart. */
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
import { type VoiceArm, type VoiceFindings, voiceArms } from "./voices.ts";

/** A set, or a part of one. */
interface Row {
  readonly name: string;
  readonly findings: VoiceFindings;
  /** Places of its tasks. */
  readonly members: readonly number[];
}

const rowsOf = (all: readonly VoiceFindings[]): Row[] =>
  all.flatMap((findings) => {
    const { set, parts, passageIds } = findings;
    const places = [...passageIds.keys()];
    const whole = { name: set, findings, members: places };
    if (parts === null) return [whole];
    const labels = [...new Set(parts)];
    return [
      whole,
      ...labels.map((label) => ({
        ...{ name: `${set}: ${label}`, findings },
        members: places.filter((place) => parts[place] === label),
      })),
    ];
  });

const accuracyOf = ({ findings, members }: Row, arm: VoiceArm): SeedTable =>
  findings.seeds.map(({ arms }) => members.map((place) => arms[arm][place]!.accuracy));

/** The figure of an arm where it was measured, mean over seeds and tasks. */
const meanFigure = ({ findings, members }: Row, arm: VoiceArm, key: "trapped" | "agreed" | "kept"): Cell =>
  meanOfMeasured(findings.seeds.flatMap(({ arms }) => members.map((place) => arms[arm][place]![key] ?? null)));

const roundName = (numRounds: number): string => `edit of round ${numRounds}`;

const titleOf = (arm: VoiceArm, numRounds: number): string => {
  const names: Readonly<Record<VoiceArm, string>> = {
    "closed book": "nothing learned",
    reading: "passage in the prompt",
    "untrained edit": "untrained edit",
    "last round": roundName(numRounds),
    raw: "raw, equal updates",
    rule: "rule, equal updates",
  };
  return names[arm];
};

/** All tables. */
export function tabulateVoices(findings: readonly VoiceFindings[], numRounds: number): ResultTable[] {
  const rows = rowsOf(findings);
  return [armTable(findings, rows, numRounds), gainTable(rows, numRounds), relationTable(rows, numRounds)];
}

function armTable(findings: readonly VoiceFindings[], rows: readonly Row[], numRounds: number): ResultTable {
  const { seeds } = findings[0]!;
  const sets = findings.map(
    ({ set, summary, split, passageIds, numQuestions }) =>
      `- **${set}** (${split}, ${passageIds.length} passages, ${Number(numQuestions.toFixed(1))} questions each): ${summary}`,
  );
  return {
    title: "Right answers in many voices",
    caption: `One adapter for each passage, asked closed-book; ${seeds.length === 1 ? "one seed" : `${seeds.length} seeds, each an outer loop of its own`}. ${twoIntervals}`,
    columns: [
      ...voiceArms.map((arm) => ({ name: titleOf(arm, numRounds), unit: "percent" }) as const),
      { name: `${roundName(numRounds)}, t over seeds`, unit: "percent" },
      { name: "old answers kept after it", unit: "percent" },
    ],
    rows: rows.map((row) => ({
      name: row.name,
      cells: [
        ...voiceArms.map((arm) => meanOver(accuracyOf(row, arm), `${row.name} ${arm}`)),
        meanOverSeeds(accuracyOf(row, "last round")),
        meanFigure(row, "last round", "kept"),
      ],
    })),
    drawn: roundName(numRounds),
    notes: [
      sets.join("\n"),
      `The edit of round ${numRounds} is written and learned by the policy of that round, everything else by the untrained model. Equal updates: as many optimizer updates (one document each) as the training on that round's edit of the same passage and seed makes. The rule is a program, not a model: sentences with the name of whom the text is about in place of he, she, his and her.`,
    ],
  };
}

function gainTable(rows: readonly Row[], numRounds: number): ResultTable {
  const references = ["raw", "rule", "untrained edit"] as const;
  return {
    title: `What round ${numRounds} adds in each voice`,
    caption: twoIntervals,
    columns: references.flatMap((arm) => [
      { name: `over ${titleOf(arm, numRounds)}`, unit: "points" } as const,
      { name: "t over seeds", unit: "points" } as const,
    ]),
    rows: rows.map((row) => ({
      name: row.name,
      cells: references.flatMap((arm) => {
        const [scores, other] = [accuracyOf(row, "last round"), accuracyOf(row, arm)];
        return [differenceOver(scores, other, `${row.name} over ${arm}`), differenceOverSeeds(scores, other)];
      }),
    })),
    drawn: null,
  };
}

function relationTable(rows: readonly Row[], numRounds: number): ResultTable {
  const arms = ["reading", "last round", "raw", "rule"] as const;
  return {
    title: "Is the relation learned, or only the value?",
    caption:
      "Every passage is also asked about relations that it does not tell, with values of the same type (“In what year did … die?” where only a birth is told; in renamed-relations the other way round). Wrong relation accepted: share of these questions that are answered with the passage's value. Right and told apart: share of all questions that are answered right and whose value is not given to the question about the other relation as well. A model that never declines to answer is trapped often; what counts is the difference between arms and voices.",
    columns: arms.flatMap((arm) => [
      { name: `${titleOf(arm, numRounds)}: wrong relation accepted`, unit: "percent" } as const,
      { name: "right and told apart", unit: "percent" } as const,
    ]),
    rows: rows.map((row) => ({
      name: row.name,
      cells: arms.flatMap((arm) => [meanFigure(row, arm, "trapped"), meanFigure(row, arm, "agreed")]),
    })),
    drawn: null,
  };
}
