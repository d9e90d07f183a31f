/** @file Choice and order within rows. Gradients flow to the chosen values alone; the choice itself is a constant. */
import { SelkieError, ShapeError } from "../../util/index.ts";
import type { Scope } from "../scope.ts";
import { checkIndices, checkShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

/** Values of each row in an order, and the columns in which they stood. */
export interface Chosen {
  /** `[N, k]`, differentiable. */
  readonly values: Tensor<"N k">;
  /** `N · k`, row after row. */
  readonly indices: Int32Array;
}

/** Runs the kernel and records that gradients go back to where the values came from. */
function choose(scope: Scope, x: Tensor, k: number, descending: boolean): Chosen {
  const { kernels } = scope.backend;
  const values = scope.empty([x.shape[0]!, k], x.dtype);
  const indices = new Int32Array(x.shape[0]! * k);
  kernels.topK({ x, k, descending, values, indices });
  recordLookup(scope, x, indices, values);
  return { values, indices };
}

function recordLookup(scope: Scope, x: Tensor, indices: Int32Array, y: Tensor): void {
  scope.record([x], [y], (gradients) => {
    const { grad, accumulate } = gradients.into(x)!;
    scope.backend.kernels.scatterLast({ x: gradients.of(y)!, indices, y: grad, accumulate });
  });
}

/**
 * The `k` largest values of each row of `x [N, D]`, largest first; among equals the lower index comes first. NaN counts as
 * the largest number, so that a broken score shows instead of being passed over.
 *
 * @param k - 0 to D. Quick where it is small beside D: experts of a router, tokens of a vocabulary.
 * @throws {@link SelkieError} `"bad-option"` when a row has fewer than `k` values.
 */
export function topK(scope: Scope, x: Tensor<"N D">, k: number): Chosen {
  checkShape("topK: x", x.shape, [null, null], "rows to choose from");
  const width = x.shape[1]!;
  if (!Number.isInteger(k) || k < 0 || k > width)
    throw new SelkieError("bad-option", `topK: expected k from 0 to ${width}, got ${k}; a row has ${width} values`);
  return choose(scope, x, k, true);
}

/** Options of {@link sort}. */
export interface SortOptions {
  /** Largest first. @defaultValue false */
  readonly descending?: boolean;
}

/**
 * Every row of `x [N, D]` in order, with the column each value came from (argsort). Equals keep their order, either way;
 * NaN counts as the largest number.
 */
export function sort(scope: Scope, x: Tensor<"N D">, options: SortOptions = {}): Chosen {
  checkShape("sort: x", x.shape, [null, null], "rows to sort");
  return choose(scope, x, x.shape[1]!, options.descending ?? false);
}

/**
 * `y[i] = x[i, indices[i]]`: one element per row, such as the log-probability of a token. With `perRow`,
 * `y[i, j] = x[i, indices[i · perRow + j]]`, such as the weights of a router's experts.
 *
 * @param x - `[N, D]`.
 * @param indices - `N · perRow` columns below D, row after row.
 * @returns `[N]`, or `[N, perRow]` when `perRow` is given; stored as `x` is.
 * @throws {@link ShapeError} for an index outside the row or a wrong number of them.
 */
export function gatherLast(scope: Scope, x: Tensor<"N D">, indices: Int32Array, perRow?: number): Tensor {
  checkShape("gatherLast: x", x.shape, [null, null], "rows to pick from");
  const [numRows, width] = x.shape as [number, number];
  const wanted = numRows * (perRow ?? 1);
  if (indices.length !== wanted)
    throw new ShapeError("gatherLast: indices", `${wanted} for ${numRows} rows`, `${indices.length}`);
  checkIndices("gatherLast: indices", indices, width);
  const y = scope.empty(perRow === undefined ? [numRows] : [numRows, perRow], x.dtype);
  scope.backend.kernels.gatherLast({ x, indices, y });
  recordLookup(scope, x, indices, y);
  return y;
}
