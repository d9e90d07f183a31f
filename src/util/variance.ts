/**
 * @file How much of a repeated measurement is signal: variance components by analysis of variance, and the intraclass
 * correlation they give (Shrout & Fleiss 1979, "Intraclass correlations: uses in assessing rater reliability").
 * The design is groups × units × repetitions: in SEAL's reward, passages × self-edits × trainings. Units compete within
 * their group, so what differs between groups is left out of the reliability.
 */
import { SelkieError } from "./errors.ts";
import { mean } from "./statistics.ts";

/** `design[group][unit]` lists the repeated measurements of one unit; the lists may differ in length. */
export type RepeatedDesign = readonly (readonly (readonly number[])[])[];

/** Estimated variances; unbiased, so a small one may come out below 0. `NaN` where the design cannot tell. */
export interface VarianceComponents {
  /** Of the units' true values around their group's. */
  readonly between: number;
  /** Of one measurement around its unit's true value, whatever causes it. */
  readonly within: number;
  /** Of the groups' true values. */
  readonly groups: number;
}

const sumOfSquares = (values: readonly number[]): number => {
  const centre = mean(values);
  return values.reduce((total, value) => total + (value - centre) ** 2, 0);
};

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Unbiased variance; `NaN` for fewer than two values. */
const variance = (values: readonly number[]): number => sumOfSquares(values) / (values.length - 1 || Number.NaN);

/**
 * Components of a nested design: repetition `r` of one unit has nothing to do with repetition `r` of another.
 * `within` is the pooled variance of the repetitions; `between` is the pooled variance of the units' means less what
 * `within` puts into them; `groups` likewise. Units without measurements are ignored.
 */
export function varianceComponents(design: RepeatedDesign): VarianceComponents {
  const measured = design.map((units) => units.filter(({ length }) => length > 0)).filter(({ length }) => length > 0);
  const units = measured.flat();
  const within = sum(units.map(sumOfSquares)) / (sum(units.map(({ length }) => length - 1)) || Number.NaN);
  const noiseOfMean = (unit: readonly number[]) => 1 / unit.length;
  const freedom = sum(measured.map(({ length }) => length - 1));
  const spread = sum(measured.map((group) => sumOfSquares(group.map(mean))));
  const noise = sum(measured.map((group) => (group.length - 1) * mean(group.map(noiseOfMean))));
  const between = (spread - within * noise) / (freedom || Number.NaN);
  const noiseOfGroup = measured.map(
    (group) => (between + within * mean(group.map(noiseOfMean))) / group.length, // variance of a mean of unit means
  );
  const groups = variance(measured.map((group) => mean(group.map(mean)))) - mean(noiseOfGroup);
  return { between, within, groups };
}

/** Components of a crossed design. */
export interface CrossedComponents extends VarianceComponents {
  /** What a repetition does to all units of its group alike; it cancels when they are compared. */
  readonly shared: number;
}

/**
 * Components where repetition `r` of every unit of a group was measured under the same conditions (common random
 * numbers): two-way analysis of variance without interaction in each group, pooled. `within` is what is left of a
 * measurement after its unit and its repetition.
 *
 * @throws {@link SelkieError} `"bad-input"` when the units of a group were not measured equally often.
 */
export function crossedComponents(design: RepeatedDesign): CrossedComponents {
  const groups = design.filter(({ length }) => length > 0).map(twoWay);
  const residualFreedom = sum(groups.map(({ numUnits, numRepeats }) => (numUnits - 1) * (numRepeats - 1)));
  const within = sum(groups.map(({ residual }) => residual)) / (residualFreedom || Number.NaN);
  const excess = (squares: number, freedom: number, divisor: number): number =>
    (squares - freedom * within) / (divisor || Number.NaN);
  const unitFreedom = sum(groups.map(({ numUnits }) => numUnits - 1));
  const repeatFreedom = sum(groups.map(({ numRepeats }) => numRepeats - 1));
  const between = excess(
    sum(groups.map((group) => group.ofUnits)),
    unitFreedom,
    sum(groups.map(({ numUnits, numRepeats }) => (numUnits - 1) * numRepeats)),
  );
  const shared = excess(
    sum(groups.map((group) => group.ofRepeats)),
    repeatFreedom,
    sum(groups.map(({ numUnits, numRepeats }) => (numRepeats - 1) * numUnits)),
  );
  const noise = groups.map(
    ({ numUnits, numRepeats }) => between / numUnits + shared / numRepeats + within / (numUnits * numRepeats),
  );
  return { between, within, shared, groups: variance(groups.map(({ centre }) => centre)) - mean(noise) };
}

/** Sums of squares of one group: of its units, of its repetitions, of what is left. */
function twoWay(units: readonly (readonly number[])[]) {
  const numUnits = units.length;
  const numRepeats = units[0]!.length;
  const odd = units.find(({ length }) => length !== numRepeats);
  if (odd !== undefined)
    throw new SelkieError(
      "bad-input",
      `crossedComponents: expected ${numRepeats} measurements of every unit of a group, got ${odd.length}; use varianceComponents`,
    );
  const repeats = Array.from({ length: numRepeats }, (_, repeat) => mean(units.map((unit) => unit[repeat]!)));
  const ofUnits = numRepeats * sumOfSquares(units.map(mean));
  const ofRepeats = numUnits * sumOfSquares(repeats);
  const residual = sumOfSquares(units.flat()) - ofUnits - ofRepeats;
  return { numUnits, numRepeats, ofUnits, ofRepeats, residual, centre: mean(repeats) };
}

/**
 * Intraclass correlation of the mean of `repetitions` measurements, ICC(k): the share of its variance between the units
 * of a group that is signal, in [0, 1]. With 1 it is ICC(1), the correlation of two measurements of one unit.
 * 0 when the signal is estimated at nothing; `NaN` when the components are unknown.
 */
export function reliability({ between, within }: VarianceComponents, repetitions = 1): number {
  if (Number.isNaN(between) || Number.isNaN(within)) return Number.NaN;
  return between <= 0 ? 0 : between / (between + within / repetitions);
}
