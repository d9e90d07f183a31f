/** @file Rotary position embedding, half layout: feature `i` of a head is paired with feature `i + E/2`. */
import type { Kernels } from "../../backend.ts";
import { store, widen } from "./values.ts";

/** `[x1 c - x2 s, x2 c + x1 s]`; `inverse` turns the sign of `s`. */
export function rope(args: Parameters<Kernels["rope"]>[0]): void {
  const { positions, numHeads, accumulate = false } = args;
  const half = args.cos.shape[1]!;
  const [x, cos, sin] = [widen(args.x), widen(args.cos), widen(args.sin)] as const;
  const sign = args.inverse ? -1 : 1;
  const y = new Float64Array(x.length);
  for (let row = 0; row < positions.length; row++)
    for (let head = 0; head < numHeads; head++) {
      const first = (row * numHeads + head) * 2 * half;
      for (let i = 0; i < half; i++) {
        const c = cos[positions[row]! * half + i]!;
        const s = sign * sin[positions[row]! * half + i]!;
        y[first + i] = x[first + i]! * c - x[first + half + i]! * s;
        y[first + half + i] = x[first + half + i]! * c + x[first + i]! * s;
      }
    }
  store(args.y, y, accumulate);
}
