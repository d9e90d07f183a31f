/** @file A gradient transform at work on a store: it owns the state, runs updates, and hands out what a checkpoint needs. */
import type { Tensor } from "../../tensor/index.ts";
import type { ParameterStore, StoreRun } from "../parameters.ts";
import { type GradientTransform, settingOf, type TransformState, type UpdateGroup, Updates } from "./transform.ts";

/** All parameters of a store as one group that has had `step` updates. */
export const wholeStore = (store: ParameterStore, step: number): UpdateGroup => ({
  group: 0,
  runs: [{ offset: 0, length: store.flat.size }],
  step,
});

/** Every state of the tree, a chain before its parts. */
const flatten = (state: TransformState): TransformState[] => [state, ...(state.parts ?? []).flatMap(flatten)];

/** Every field of these records, each under a name of its own: a second one of the same name gets a number. */
function fieldsOf<T>(records: readonly Record<string, T>[]): Map<string, { record: Record<string, T>; field: string }> {
  const fields = new Map<string, { record: Record<string, T>; field: string }>();
  records.forEach((record, index) => {
    for (const field of Object.keys(record))
      fields.set(fields.has(field) ? `${field}.${index}` : field, { record, field });
  });
  return fields;
}

const valuesOf = <T>(fields: ReturnType<typeof fieldsOf<T>>): Record<string, T> =>
  Object.fromEntries([...fields].map(([name, { record, field }]) => [name, record[field]!]));

/** A store and the transform that updates it. */
export class Optimizer implements Disposable {
  readonly store: ParameterStore;
  readonly transform: GradientTransform;
  readonly #state: TransformState;

  /** Starts anew; `store.enableGrad()` must have been called. */
  constructor(store: ParameterStore, transform: GradientTransform) {
    this.store = store;
    this.transform = transform;
    this.#state = transform.init(store);
  }

  /**
   * Updates some groups from the gradients in the store, which are used up; the others stay as they are.
   *
   * @param norms - Of each group's gradient, where they are known.
   */
  update(groups: readonly UpdateGroup[], norms: readonly number[] | null = null): void {
    const updates = new Updates(this.store, groups, norms);
    this.transform.update?.(updates, this.#state);
    updates.apply();
    this.transform.afterUpdate?.(updates, this.#state);
  }

  /** The learning rate of a group's next update; 1 where the transform has none. */
  learningRateOf(group: UpdateGroup): number {
    return settingOf(this.transform.learningRate ?? 1, group);
  }

  /** Forgets what it knows of some parameters, which start anew. */
  reset(runs: readonly StoreRun[]): void {
    this.transform.reset?.(this.store, this.#state, runs);
  }

  /** Lets averages take the place of the parameters, where there are some. */
  finish(): void {
    this.transform.finish?.(this.store, this.#state);
  }

  get #numbers() {
    return fieldsOf(flatten(this.#state).map(({ numbers = {} }) => numbers));
  }

  /** Tensors of the state by name. */
  get tensors(): Readonly<Record<string, Tensor>> {
    return valuesOf(fieldsOf(flatten(this.#state).map(({ tensors }) => ({ ...tensors }))));
  }

  /** Numbers of the state by name. */
  get numbers(): Readonly<Record<string, number>> {
    return valuesOf(this.#numbers);
  }

  /** Puts {@link numbers} back; the caller writes the {@link tensors}. */
  restore(numbers: Readonly<Record<string, number>>): void {
    for (const [name, { record, field }] of this.#numbers) record[field] = numbers[name]!;
  }

  [Symbol.dispose](): void {
    for (const tensor of Object.values(this.tensors)) tensor[Symbol.dispose]();
  }
}
