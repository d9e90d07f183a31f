/**
 * @file What a stream of edits leaves behind, read off its lower-triangular matrix: accuracy on every passage so far after
 * each edit. Backward transfer is that of Lopez-Paz & Ranzato 2017 ("Gradient episodic memory", arXiv 1706.08840).
 */
import { normaliseAnswer } from "../../tasks/index.ts";
import { mean, ShapeError } from "../../util/index.ts";

/** Accuracies of one stream, or means over streams of one length. */
export interface ContinualMatrix {
  /** Of the model before any edit, on each passage: `[T]`. */
  readonly base: readonly number[];
  /**
   * `after[k][i]`: on passage `i` once passages `0..k` were learned, `i ≤ k`; later entries are not looked at. `null` where
   * it was not examined, which long streams do without, except on the diagonal and in the last row.
   */
  readonly after: readonly (readonly (number | null)[])[];
}

/** A stream in numbers; means are over passages. */
export interface ContinualMetrics {
  readonly numSteps: number;
  /** Before any edit. */
  readonly base: number;
  /** Right after its own edit: the diagonal. */
  readonly acquisition: number;
  /** After the last edit: the last row. */
  readonly finalRetention: number;
  /** `finalRetention / acquisition`; `null` when nothing was acquired. */
  readonly keptShare: number | null;
  /** Share of what edits added to the base that is left at the end; below 0 when less than the base knew. `null` when they added nothing. */
  readonly keptGain: number | null;
  /** Change from acquisition to the end, over all passages but the last; `null` for a single step. */
  readonly backwardTransfer: number | null;
  /** `byAge[a]`: accuracy when `a` further edits have been made, over the passages examined at that age; `null` for none. */
  readonly byAge: readonly (number | null)[];
  /** Last row less base, passage by passage: below 0 where the stream did worse than leaving the model alone. */
  readonly finalOverBase: readonly number[];
}

function checkMatrix({ base, after }: ContinualMatrix): void {
  if (base.length === 0 || base.length !== after.length)
    throw new ShapeError(
      "continualMetrics",
      `a row for each of ${base.length} passages, at least one`,
      `${after.length}`,
    );
  after.forEach((row, step) => {
    if (row.length <= step)
      throw new ShapeError("continualMetrics", `${step + 1} accuracies after edit ${step + 1}`, `${row.length}`);
    if (row[step] === null)
      throw new ShapeError("continualMetrics", `the accuracy on passage ${step + 1} right after its edit`, "none");
  });
  if (after.at(-1)!.slice(0, base.length).includes(null))
    throw new ShapeError("continualMetrics", "the accuracy on every passage after the last edit", "gaps");
}

/** All figures of one stream. */
export function continualMetrics(matrix: ContinualMatrix): ContinualMetrics {
  checkMatrix(matrix);
  const { base, after } = matrix;
  const numSteps = base.length;
  const diagonal = after.map((row, step) => row[step]!);
  const last = base.map((_, passage) => after[numSteps - 1]![passage]!);
  const ages = base.map((_, age) =>
    after
      .slice(age)
      .map((row, first) => row[first]!)
      .filter((value) => value !== null),
  );
  const [baseMean, acquisition, finalRetention] = [mean(base), mean(diagonal), mean(last)];
  const gained = acquisition - baseMean;
  return {
    numSteps,
    base: baseMean,
    acquisition,
    finalRetention,
    keptShare: acquisition > 0 ? finalRetention / acquisition : null,
    keptGain: gained > 0 ? (finalRetention - baseMean) / gained : null,
    backwardTransfer: numSteps > 1 ? mean(diagonal.slice(0, -1).map((value, index) => last[index]! - value)) : null,
    byAge: ages.map((values) => (values.length === 0 ? null : mean(values))),
    finalOverBase: last.map((value, index) => value - base[index]!),
  };
}

/**
 * Share of the questions the base answered right that are still answered right; `null` when it answered none.
 *
 * @throws {@link ShapeError} when the lists differ in length.
 */
export function baseRightKept(before: readonly boolean[], after: readonly boolean[]): number | null {
  if (before.length !== after.length)
    throw new ShapeError("baseRightKept", `${before.length} answers`, `${after.length}`);
  const known = after.filter((_, index) => before[index]);
  return known.length === 0 ? null : known.filter(Boolean).length / known.length;
}

/** An answer to a question about a passage learned earlier. */
export interface EarlierAnswer {
  readonly prediction: string;
  readonly gold: string;
  readonly isRight: boolean;
}

/**
 * Share of the wrong answers about earlier passages that give a fact of the passage learned last; `null` when none is
 * wrong. Facts are compared as whole normalised words; one that is the right answer as well does not count.
 *
 * @param latest - Gold answers of the passage learned last.
 */
export function recencyIntrusionRate(answers: readonly EarlierAnswer[], latest: readonly string[]): number | null {
  const facts = [...new Set(latest.map(normaliseAnswer))].filter((fact) => fact !== "");
  const wrong = answers.filter(({ isRight }) => !isRight);
  const intrudes = ({ prediction, gold }: EarlierAnswer) => {
    const said = ` ${normaliseAnswer(prediction)} `;
    return facts.some((fact) => fact !== normaliseAnswer(gold) && said.includes(` ${fact} `));
  };
  return wrong.length === 0 ? null : wrong.filter(intrudes).length / wrong.length;
}
