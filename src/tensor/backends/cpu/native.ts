/**
 * @file Finds and loads the native addon and gives its kernels a typed face. The addon may be missing (no compiler at
 * install): then everything here says why instead of throwing on import.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

/** Memory that kernels take: f32, bf16, i32 and f64 numbers. */
export type NativeArray = Float32Array | Uint16Array | Int32Array | Float64Array;

/** What `native/addon.cc` exports. */
interface NativeAddon {
  call(context: object, kernel: number, numbers: Float64Array, ...arrays: readonly (NativeArray | null)[]): void;
  createContext(instructionSet: string, numThreads: number): object;
  instructionSets(): string[];
  allocate(numBytes: number): ArrayBuffer;
  readonly kernels: { readonly [name: string]: number };
}

/** One instruction set with its threads and scratch memory. */
export interface NativeContext {
  /**
   * Runs a kernel and returns when it is done. `numbers` and `arrays` are in the order that the kernel's comment in
   * `native/kernels` gives; `null` stands for an optional array left out.
   */
  run(kernel: string, numbers: readonly number[], ...arrays: readonly (NativeArray | null)[]): void;
  /** 64-byte aligned memory, contents unspecified, freed by the garbage collector. */
  allocateBytes(numBytes: number): ArrayBuffer;
}

interface Loaded {
  readonly addon: NativeAddon | null;
  /** Why there is no addon; empty when there is one. */
  readonly problem: string;
}

/** Most numbers any kernel takes; `native/addon.cc` has the same limit. */
const maxNumbers = 64;

function loadAddon(): Loaded {
  // This file lies four folders below the package root, in src as in dist.
  const path = fileURLToPath(new URL("../../../../native/build/Release/selkie.node", import.meta.url));
  if (!existsSync(path)) return { addon: null, problem: "the native kernels are not built" };
  try {
    return { addon: createRequire(import.meta.url)(path) as NativeAddon, problem: "" };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { addon: null, problem: `the native kernels do not load (${reason})` };
  }
}

let loaded: Loaded | null = null;

function load(): Loaded {
  loaded ??= loadAddon();
  return loaded;
}

/** Instruction sets that this machine can run, best first; empty when the addon is missing. */
export function nativeInstructionSets(): readonly string[] {
  return load().addon?.instructionSets() ?? [];
}

/** Why there are no native kernels, with the cure; empty when there are. */
export function nativeProblem(): string {
  return load().problem;
}

/** A context of its own; the caller has checked the instruction set and the number of threads. */
export function createNativeContext(addonInstructionSet: string, numThreads: number): NativeContext {
  const { addon, problem } = load();
  if (addon === null) throw new Error(problem);
  const handle = addon.createContext(addonInstructionSet, numThreads);
  const numberBuffer = new Float64Array(maxNumbers);
  return {
    run(kernel, numbers, ...arrays) {
      for (let i = 0; i < numbers.length; i++) numberBuffer[i] = numbers[i]!;
      addon.call(handle, addon.kernels[kernel] ?? -1, numberBuffer, ...arrays);
    },
    allocateBytes: (numBytes) => addon.allocate(numBytes),
  };
}
