/**
 * @file Grouped-query attention over packed sequences; tiled, scores are never materialised (Dao 2023, arXiv 2307.08691).
 * Causal unless the layout says what each query sees; what is not visible is skipped. See `visibility.ts`.
 */
import { SelkieError, ShapeError } from "../../util/index.ts";
import type { AttentionLayout, VisibleKeys } from "../backend.ts";
import type { Scope } from "../scope.ts";
import { checkOffsets, checkShape } from "../shape.ts";
import type { GradTarget, Tensor } from "../tensor.ts";

/** Options of {@link attention}. */
export interface AttentionOptions {
  readonly layout: AttentionLayout;
  readonly numHeads: number;
  readonly numKvHeads: number;
  /** Factor on the scores, above 0. @defaultValue headDim^-½ */
  readonly scale?: number;
}

/** Each packed sequence attends to itself alone, causally, or as a {@link Visibility} makes of this layout; `offsets [B + 1]` are its row ranges. */
export function packedLayout(offsets: Int32Array): AttentionLayout {
  const kLengths = new Int32Array(offsets.length - 1);
  for (let b = 0; b < kLengths.length; b++) kLengths[b] = offsets[b + 1]! - offsets[b]!;
  return { qOffsets: offsets, kStarts: offsets.slice(0, -1), kLengths };
}

/** Kernels trust the layout; a wrong one would read foreign memory. */
function checkLayout(
  { qOffsets, kStarts, kLengths, visible }: AttentionLayout,
  numQueries: number,
  numKeys: number,
): void {
  checkOffsets("attention: layout.qOffsets", qOffsets, kLengths.length, numQueries);
  if (kStarts.length !== kLengths.length)
    throw new ShapeError("attention: layout", `${kLengths.length} kStarts`, `${kStarts.length}`, "one per sequence");
  for (let b = 0; b < kLengths.length; b++) {
    const length = kLengths[b]!;
    const queries = qOffsets[b + 1]! - qOffsets[b]!;
    if (length < queries || kStarts[b]! < 0 || kStarts[b]! + length > numKeys)
      throw new ShapeError(
        "attention: layout",
        `at least ${queries} keys within ${numKeys} rows in sequence ${b}`,
        `${length} from row ${kStarts[b]}`,
      );
  }
  if (visible) checkVisible(visible, qOffsets, kLengths);
}

/** Kernels skip by ranges and rely on their order. */
function checkVisible({ begin, end }: VisibleKeys, qOffsets: Int32Array, kLengths: Int32Array): void {
  const numQueries = qOffsets.at(-1)!;
  if (begin.length !== numQueries || end.length !== numQueries)
    throw new ShapeError(
      "attention: layout.visible",
      `${numQueries} begins and ends`,
      `${begin.length} and ${end.length}`,
      "one of each per query",
    );
  for (let b = 0; b < kLengths.length; b++)
    for (let row = qOffsets[b]!, i = 0; row < qOffsets[b + 1]!; row++, i++) {
      const [first, last] = [begin[row]!, end[row]!];
      const where = (): string => `attention: layout.visible of query ${i} of sequence ${b} (row ${row})`;
      if (first < 0 || first > last || last > kLengths[b]!)
        throw new ShapeError(where(), `0 ≤ begin ≤ end ≤ ${kLengths[b]}`, `${first} to ${last}`);
      if (i > 0 && (first < begin[row - 1]! || last < end[row - 1]!))
        throw new ShapeError(
          where(),
          `begin and end no lower than the ${begin[row - 1]} to ${end[row - 1]} of the query before`,
          `${first} to ${last}`,
          "order the queries of a sequence by what they see",
        );
    }
}

/**
 * `softmax(scale · q kᵀ + mask) v` per head, within each sequence of the layout.
 *
 * @param q - `[N, H·E]`.
 * @param k - `[S, K·E]`; query head `h` reads kv head `floor(h · K / H)`.
 * @param v - `[S, K·E]`.
 * @returns `[N, H·E]`.
 */
export function attention(
  scope: Scope,
  q: Tensor<"N HE">,
  k: Tensor<"S KE">,
  v: Tensor<"S KE">,
  options: AttentionOptions,
): Tensor<"N HE"> {
  const { layout, numHeads, numKvHeads } = options;
  if (numHeads % numKvHeads !== 0)
    throw new ShapeError(
      "attention",
      "numHeads divisible by numKvHeads",
      `${numHeads} and ${numKvHeads}`,
      "check num_key_value_heads in config.json",
    );
  const headDim = q.shape[1]! / numHeads;
  const scale = options.scale ?? headDim ** -0.5;
  if (!(scale > 0)) throw new SelkieError("bad-option", `attention: expected a scale above 0, got ${scale}`); // kernels rank raw scores
  checkShape("attention: k", k.shape, [null, numKvHeads * headDim]);
  checkShape("attention: v", v.shape, [k.shape[0]!, numKvHeads * headDim]);
  checkShape("attention: q", q.shape, [layout.qOffsets.at(-1)!, numHeads * headDim], "rows must match the layout");
  checkLayout(layout, q.shape[0]!, k.shape[0]!);
  const { kernels } = scope.backend;
  const o = scope.empty(q.shape, q.dtype);
  const logSumExp = scope.empty([q.shape[0]!, numHeads], q.dtype === "f64" ? "f64" : "f32");
  const common = { q, k, v, o, logSumExp, layout, numHeads, numKvHeads, scale };
  kernels.attention(common);
  scope.record(
    [q, k, v],
    [o],
    (gradients) => {
      const unwanted: Tensor[] = []; // the kernel writes all three gradients
      const target = (input: Tensor): GradTarget => {
        const wanted = gradients.into(input);
        if (wanted !== null) return wanted;
        const grad = scope.empty(input.shape, input.dtype);
        unwanted.push(grad);
        return { grad, accumulate: false };
      };
      kernels.attentionBackward({
        ...common,
        gradO: gradients.of(o)!,
        gradQ: target(q),
        gradK: target(k),
        gradV: target(v),
      });
      for (const grad of unwanted) scope.discard(grad);
    },
    [logSumExp],
  );
  return o;
}
