/** @file The matrix product on doubles, and the copy that brings a factor into its layout. */

/** `c[i, j] = alpha · Σ_k a[i, k] · b[j, k]`: `a [M, K]`, `b [N, K]`, result `[M, N]`, summed in ascending `k`. */
export function multiply(
  a: Float64Array,
  b: Float64Array,
  m: number,
  n: number,
  k: number,
  alpha: number,
): Float64Array {
  const c = new Float64Array(m * n);
  for (let i = 0; i < m; i++) {
    const rowA = i * k;
    let j = 0;
    for (; j + 4 <= n; j += 4) {
      // four columns at a time keep four independent sums in flight
      const b0 = j * k;
      const b1 = b0 + k;
      const b2 = b1 + k;
      const b3 = b2 + k;
      let sum0 = 0;
      let sum1 = 0;
      let sum2 = 0;
      let sum3 = 0;
      for (let p = 0; p < k; p++) {
        const factor = a[rowA + p]!;
        sum0 += factor * b[b0 + p]!;
        sum1 += factor * b[b1 + p]!;
        sum2 += factor * b[b2 + p]!;
        sum3 += factor * b[b3 + p]!;
      }
      c[i * n + j] = alpha * sum0;
      c[i * n + j + 1] = alpha * sum1;
      c[i * n + j + 2] = alpha * sum2;
      c[i * n + j + 3] = alpha * sum3;
    }
    for (; j < n; j++) c[i * n + j] = alpha * dot(a, rowA, b, j * k, k);
  }
  return c;
}

/** `Σ_k a[offsetA + k] · b[offsetB + k]`. */
export function dot(a: Float64Array, offsetA: number, b: Float64Array, offsetB: number, length: number): number {
  let sum = 0;
  for (let p = 0; p < length; p++) sum += a[offsetA + p]! * b[offsetB + p]!;
  return sum;
}

/** `y[offsetY + k] += alpha · x[offsetX + k]`. */
export function addScaled(
  y: Float64Array,
  offsetY: number,
  x: Float64Array,
  offsetX: number,
  length: number,
  alpha: number,
): void {
  for (let p = 0; p < length; p++) y[offsetY + p] = y[offsetY + p]! + alpha * x[offsetX + p]!;
}

/** `[rows, columns]` to `[columns, rows]`. */
export function transpose(values: Float64Array, rows: number, columns: number): Float64Array {
  const result = new Float64Array(values.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) result[j * rows + i] = values[i * columns + j]!;
  return result;
}
