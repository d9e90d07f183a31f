/** @file Feed-forward activations: SwiGLU (Shazeer 2020, arXiv 2002.05202) and GELU (Hendrycks & Gimpel 2016, arXiv 1606.08415). */
import type { Scope } from "../scope.ts";
import { checkShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

/** `silu(gate) ⊙ up`, `silu(g) = g · σ(g)`; both `[N, F]`. The backward pass recomputes the sigmoid. */
export function swiglu(scope: Scope, gate: Tensor<"N F">, up: Tensor<"N F">): Tensor<"N F"> {
  checkShape("swiglu: up", up.shape, gate.shape, "gate and up have one shape");
  const { kernels } = scope.backend;
  const y = scope.empty(gate.shape, gate.dtype);
  kernels.swiglu({ gate, up, y });
  scope.record([gate, up], [y], (gradients) =>
    kernels.swigluBackward({
      gate,
      up,
      gradY: gradients.of(y)!,
      gradGate: gradients.into(gate),
      gradUp: gradients.into(up),
    }),
  );
  return y;
}

/** `x · Φ(x)`; `approximate: "tanh"` is the approximation of GPT-2. */
export function gelu(scope: Scope, x: Tensor, approximate: "none" | "tanh" = "none"): Tensor {
  const { kernels } = scope.backend;
  const y = scope.empty(x.shape, x.dtype);
  kernels.gelu({ x, y, approximate });
  scope.record([x], [y], (gradients) =>
    kernels.geluBackward({ x, gradY: gradients.of(y)!, gradX: gradients.into(x)!, approximate }),
  );
  return y;
}
