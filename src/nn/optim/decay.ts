/** @file Decoupled weight decay, and which parameters of a store are matrices. */
import type { ParameterStore, StoreRun } from "../parameters.ts";
import { type GradientTransform, noState, type Setting, settingOf } from "./transform.ts";

const known = new WeakMap<ParameterStore, readonly StoreRun[]>();

/** Where the matrices of a store lie; neighbours are one run. */
export function matrixRuns(store: ParameterStore): readonly StoreRun[] {
  const runs = known.get(store) ?? findMatrices(store);
  known.set(store, runs);
  return runs;
}

function findMatrices(store: ParameterStore): readonly StoreRun[] {
  const runs: { offset: number; length: number }[] = [];
  store.specs.forEach(({ name, shape }, index) => {
    if (shape.length < 2) return;
    const offset = store.offsetOf(name);
    const next = store.specs[index + 1];
    const length = (next === undefined ? store.flat.size : store.offsetOf(next.name)) - offset;
    const last = runs.at(-1);
    if (last !== undefined && last.offset + last.length === offset) last.length += length;
    else runs.push({ offset, length });
  });
  return runs;
}

/** A piece of a run that lies in matrices, or between them. */
export interface RunPiece extends StoreRun {
  readonly isMatrix: boolean;
}

/** `run` cut where matrices begin and end. */
export function cutAtMatrices({ offset, length }: StoreRun, matrices: readonly StoreRun[]): RunPiece[] {
  const pieces: RunPiece[] = [];
  const end = offset + length;
  let at = offset;
  for (const matrix of matrices) {
    const [from, to] = [Math.max(at, matrix.offset), Math.min(end, matrix.offset + matrix.length)];
    if (to <= from) continue;
    if (from > at) pieces.push({ offset: at, length: from - at, isMatrix: false });
    pieces.push({ offset: from, length: to - from, isMatrix: true });
    at = to;
  }
  if (at < end) pieces.push({ offset: at, length: end - at, isMatrix: false });
  return pieces;
}

/** `updates += weightDecay · parameters` on matrices; norms and biases have no decay. */
export function addDecayedWeights(weightDecay: Setting): GradientTransform {
  return {
    name: "addDecayedWeights",
    init: noState,
    update(updates) {
      const { store } = updates;
      const [values, matrices] = [updates.values(), matrixRuns(store)];
      for (const { index, ...run } of updates.runsInOrder()) {
        const alpha = settingOf(weightDecay, updates.groups[index]!);
        if (alpha === 0) continue;
        for (const { offset, length, isMatrix } of cutAtMatrices(run, matrices))
          if (isMatrix)
            values.backend.kernels.axpby({
              x: store.flat.view(offset, [length]),
              alpha,
              y: values.view(offset, [length]),
              beta: 1,
            });
      }
    },
  };
}
