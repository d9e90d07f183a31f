/**
 * @file Losses of preference pairs and their derivatives by the margin
 * `(log π(chosen) - log π_ref(chosen)) - (log π(rejected) - log π_ref(rejected))`.
 */

/** A loss and its derivative by the margin. */
export interface MarginLoss {
  readonly loss: number;
  readonly gradient: number;
}

/**
 * DPO (Rafailov et al. 2023, arXiv 2305.18290, eq. 7): `-log σ(beta · margin)`.
 * IPO (Azar et al. 2023, arXiv 2310.12036, eq. 17): `(margin - 1 / (2 beta))²`.
 */
export function preferenceLoss(kind: "dpo" | "ipo", margin: number, beta: number): MarginLoss {
  if (kind === "ipo") {
    const distance = margin - 1 / (2 * beta);
    return { loss: distance ** 2, gradient: 2 * distance };
  }
  const z = beta * margin;
  const loss = z > 0 ? Math.log1p(Math.exp(-z)) : -z + Math.log1p(Math.exp(z)); // never overflows
  return { loss, gradient: -beta / (1 + Math.exp(z)) };
}
