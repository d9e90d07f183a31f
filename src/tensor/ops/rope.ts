/** @file Rotary position embedding (Su et al. 2021, arXiv 2104.09864), half layout as in Hugging Face Llama checkpoints. */
import type { Scope } from "../scope.ts";
import { checkIndices, checkShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

/** Cosines and sines of every position, `[maxSeqLen, E/2]`. */
export interface RopeTable {
  readonly cos: Tensor<"T E/2">;
  readonly sin: Tensor<"T E/2">;
}

/** Rotates each head of `x [N, heads·E]` by its row's position: `[x1 c - x2 s, x2 c + x1 s]`. */
export function rope(
  scope: Scope,
  x: Tensor<"N HE">,
  positions: Int32Array,
  table: RopeTable,
  numHeads: number,
): Tensor<"N HE"> {
  checkShape(
    "rope: x",
    x.shape,
    [positions.length, numHeads * 2 * table.cos.shape[1]!],
    "one position per row, and heads of even width",
  );
  checkIndices("rope: positions", positions, table.cos.shape[0]!);
  const { kernels } = scope.backend;
  const { cos, sin } = table;
  const y = scope.empty(x.shape, x.dtype);
  kernels.rope({ x, positions, cos, sin, numHeads, inverse: false, y });
  scope.record([x], [y], (gradients) => {
    const into = gradients.into(x)!;
    kernels.rope({
      x: gradients.of(y)!,
      positions,
      cos,
      sin,
      numHeads,
      inverse: true,
      y: into.grad,
      accumulate: into.accumulate,
    });
  });
  return y;
}
