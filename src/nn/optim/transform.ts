/**
 * @file Gradient transforms: values that are chained into an optimizer, as in Optax. The gradient in a
 * {@link ParameterStore} becomes, from one transform to the next, what is added to the parameters:
 * `chain(clipByGlobalNorm(1), adamW({ learningRate: 1e-3 }), ema(0.999))`.
 *
 * Deviations from a pair of pure functions: gradients, state and parameters are updated in place, since a second copy of
 * the moments would cost as much memory as the model; and factors that are one number for a whole group (clipping, the
 * learning rate) stay pending in {@link Updates} until a transform needs the values, so that `adamW` reads everything once.
 */
import type { Tensor } from "../../tensor/index.ts";
import { SelkieError } from "../../util/index.ts";
import type { ParameterStore, StoreRun } from "../parameters.ts";

/** Parameters that are updated as one: with their own norm, settings and count of updates. */
export interface UpdateGroup {
  /** 0 for a whole model; the place of an adapter in its bank. */
  readonly group: number;
  /** Where it lies in the store, in ascending order. */
  readonly runs: readonly StoreRun[];
  /** Updates it has had before this one. */
  readonly step: number;
}

/** A number, or one that depends on the group and how far it is: a schedule, an adapter's own rate. */
export type Setting = number | ((group: UpdateGroup) => number);

/** What a transform remembers between updates; both kinds go into a checkpoint, so that a resumed run has the same bits. */
export interface TransformState {
  /** Of the size of the store, `[total]` each; owned by the state. */
  readonly tensors: Readonly<Record<string, Tensor>>;
  /** Changed in place. */
  readonly numbers?: Record<string, number>;
  /** States of chained transforms. */
  readonly parts?: readonly TransformState[];
}

/** One link of a chain. Write your own as an object with a name, `init` and what it does. */
export interface GradientTransform {
  readonly name: string;
  /** The rate it applies, for reports. */
  readonly learningRate?: Setting;
  /** True where `update` changes the parameters itself; nothing that changes gradients can come after it. */
  readonly isLast?: boolean;
  init(store: ParameterStore): TransformState;
  /** Turns gradients into updates. */
  update?(updates: Updates, state: TransformState): void;
  /** Called once the parameters have changed. */
  afterUpdate?(updates: Updates, state: TransformState): void;
  /** Makes some parameters start anew. */
  reset?(store: ParameterStore, state: TransformState, runs: readonly StoreRun[]): void;
  /** Called when training is complete. */
  finish?(store: ParameterStore, state: TransformState): void;
}

export const settingOf = (setting: Setting, group: UpdateGroup): number =>
  typeof setting === "number" ? setting : setting(group);

/** A state without anything in it. */
export const noState = (): TransformState => ({ tensors: {} });

/** Runs of all groups in the order of the store, each with the index of its group. */
function runsInOrder(groups: readonly UpdateGroup[]): { offset: number; length: number; index: number }[] {
  const runs: { offset: number; length: number; index: number }[] = [];
  const most = Math.max(0, ...groups.map((group) => group.runs.length));
  for (let at = 0; at < most; at++)
    groups.forEach((group, index) => {
      const run = group.runs[at];
      if (run !== undefined) runs.push({ ...run, index });
    });
  return runs.sort((a, b) => a.offset - b.offset); // in order already, or nearly
}

/** Euclidean norm of the gradient of each group. */
export function groupNorms(store: ParameterStore, groups: readonly UpdateGroup[]): number[] {
  const offsets = [0];
  const owners: number[] = [];
  for (const { offset, length, index } of runsInOrder(groups)) {
    if (offset > offsets.at(-1)!) {
      owners.push(-1); // between groups
      offsets.push(offset);
    }
    owners.push(index);
    offsets.push(offset + length);
  }
  const { flatGrad } = store;
  const squares = flatGrad.backend.kernels.sumSquares({ x: flatGrad, offsets: Int32Array.from(offsets) });
  const sums = groups.map(() => 0);
  owners.forEach((index, at) => {
    if (index >= 0) sums[index]! += squares[at]!;
  });
  return sums.map(Math.sqrt);
}

/** Gradients of some groups on their way to becoming updates. They lie in `store.flatGrad`, up to one pending factor per group. */
export class Updates {
  readonly store: ParameterStore;
  readonly groups: readonly UpdateGroup[];
  /** Set by a transform that changes the parameters itself. */
  isApplied = false;
  readonly #factors: number[];
  #norms: readonly number[] | null;

  /** `norms` where they are known already. */
  constructor(store: ParameterStore, groups: readonly UpdateGroup[], norms: readonly number[] | null = null) {
    this.store = store;
    this.groups = groups;
    this.#factors = groups.map(() => 1);
    this.#norms = norms;
  }

  /** Norm of each group as it is now, pending factors included. */
  norms(): readonly number[] {
    this.#norms ??= groupNorms(this.store, this.groups);
    return this.#norms.map((norm, index) => norm * Math.abs(this.#factors[index]!));
  }

  /** Multiplies one group by a number, without touching its values yet. */
  multiply(index: number, factor: number): void {
    this.#factors[index]! *= factor;
  }

  /** What the values of a group are still to be multiplied by. */
  factorOf(index: number): number {
    return this.#factors[index]!;
  }

  /** The values, with no factor pending, for a transform to change in place. */
  values(): Tensor {
    const { flatGrad } = this.store;
    this.groups.forEach(({ runs }, index) => {
      const factor = this.#factors[index]!;
      if (factor === 1) return;
      for (const { offset, length } of runs) {
        const view = flatGrad.view(offset, [length]);
        view.backend.kernels.axpby({ x: view, alpha: factor, y: view, beta: 0 });
      }
      this.#factors[index] = 1;
    });
    this.#norms = null;
    return flatGrad;
  }

  /** `parameters += updates`, unless it was done. */
  apply(): void {
    if (this.isApplied) return;
    const { flat, flatGrad } = this.store;
    this.groups.forEach(({ runs }, index) => {
      for (const { offset, length } of runs)
        flat.backend.kernels.axpby({
          x: flatGrad.view(offset, [length]),
          alpha: this.#factors[index]!,
          y: flat.view(offset, [length]),
          beta: 1,
        });
    });
    this.isApplied = true;
  }

  /** Runs of all groups in the order of the store; `index` is that of the group. */
  runsInOrder(): readonly { readonly offset: number; readonly length: number; readonly index: number }[] {
    return runsInOrder(this.groups);
  }
}

/**
 * Transforms one after another, as one.
 *
 * @throws {@link SelkieError} `"bad-option"` where a transform of gradients comes after one that has used them up.
 */
export function chain(...transforms: readonly GradientTransform[]): GradientTransform {
  const last = transforms.findIndex(({ isLast }) => isLast);
  const late = last < 0 ? undefined : transforms.slice(last + 1).find(({ update }) => update !== undefined);
  if (late !== undefined)
    throw new SelkieError(
      "bad-option",
      `chain: expected nothing that changes gradients after ${transforms[last]!.name}, which uses them up, got ${late.name}; put it before`,
    );
  const learningRate = transforms.findLast((transform) => transform.learningRate !== undefined)?.learningRate;
  const each = (state: TransformState, visit: (transform: GradientTransform, part: TransformState) => void): void =>
    transforms.forEach((transform, index) => {
      visit(transform, state.parts![index]!);
    });
  return {
    name: `chain(${transforms.map(({ name }) => name).join(", ")})`,
    ...(learningRate !== undefined && { learningRate }),
    ...(last >= 0 && { isLast: true }),
    init: (store) => ({ tensors: {}, parts: transforms.map((transform) => transform.init(store)) }),
    update: (updates, state) => each(state, (transform, part) => transform.update?.(updates, part)),
    afterUpdate: (updates, state) => each(state, (transform, part) => transform.afterUpdate?.(updates, part)),
    reset: (store, state, runs) => each(state, (transform, part) => transform.reset?.(store, part, runs)),
    finish: (store, state) => each(state, (transform, part) => transform.finish?.(store, part)),
  };
}
