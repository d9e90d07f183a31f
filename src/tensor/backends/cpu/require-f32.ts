/** @file What kernels that sum up in memory insist on. */
import { SelkieError } from "../../../util/index.ts";
import type { Tensor } from "../../tensor.ts";

/** Throws unless `tensor` is f32, where that is all a kernel takes. */
export function requireF32(who: string, tensor: Tensor): void {
  if (tensor.dtype === "f32") return;
  throw new SelkieError(
    "unsupported-dtype",
    `${who}: expected f32, got ${tensor.dtype}; keep what is summed up in f32`,
  );
}
