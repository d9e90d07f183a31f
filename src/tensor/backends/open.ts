/** @file Chooses a backend: native kernels where they were built, else plain TypeScript with one warning. */
import { availableParallelism } from "node:os";
import type { Backend } from "../backend.ts";
import { createCpuBackend, nativeInstructionSets, nativeProblem } from "./cpu/index.ts";
import { createReferenceBackend } from "./reference/index.ts";

/** Options of {@link openBackend}. */
export interface BackendOptions {
  /** `"auto"` takes native kernels where they exist. @defaultValue "auto" */
  readonly backend?: "auto" | "cpu" | "reference";
  /** Worker threads of native kernels, this one included; at least 1. @defaultValue the number of cores */
  readonly threads?: number;
  /** Forces one instruction set of {@link nativeInstructionSets}. @defaultValue the best the processor has */
  readonly instructionSet?: string;
  /** Receives the one warning about missing native kernels. */
  readonly warn?: (message: string) => void;
}

/** The fastest backend this machine can run; see {@link BackendOptions} to choose another. */
export function openBackend(options: BackendOptions = {}): Backend {
  const { backend = "auto" } = options;
  if (backend === "reference") return createReferenceBackend();
  if (backend === "auto" && nativeInstructionSets().length === 0) {
    options.warn?.(
      `native kernels are not available (${nativeProblem()}); running the plain TypeScript backend, which is slow. Install a C++20 compiler and run: npm run build:native`,
    );
    return createReferenceBackend();
  }
  const threads = options.threads ?? availableParallelism();
  return createCpuBackend(
    options.instructionSet === undefined ? { threads } : { threads, instructionSet: options.instructionSet },
  );
}
