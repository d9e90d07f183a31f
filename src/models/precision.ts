/** @file Number formats by name, or by what the processor is good at. */
import type { Backend } from "../tensor/index.ts";
import { SelkieError } from "../util/index.ts";
import { bf16TrainPrecision, f32Precision, type Precision } from "./causal-lm.ts";

const bf16Sets = new Set(["amx", "avx512bf16"]);

/** bf16 products where the processor multiplies bf16, else f32. */
export function choosePrecision(backend: Backend, wish: string | undefined): Precision {
  if (wish === "f32") return f32Precision;
  if (wish === "bf16") return bf16TrainPrecision;
  if (wish === undefined) return bf16Sets.has(backend.instructionSet) ? bf16TrainPrecision : f32Precision;
  throw new SelkieError("bad-option", `--precision: expected f32 or bf16, got "${wish}"`);
}
