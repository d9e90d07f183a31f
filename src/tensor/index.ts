/** @file Exports of `tensor`: dtypes, shapes, tensors, scopes with gradients, ops, backends. */
export type {
  AdamWArgs,
  AdamWSegment,
  AttentionLayout,
  Backend,
  ComputeType,
  Kernels,
  MemoryStats,
  Peaks,
  SampleRowsArgs,
} from "./backend.ts";
export { createCpuBackend, nativeInstructionSets } from "./backends/cpu/index.ts";
export { type BackendOptions, openBackend } from "./backends/open.ts";
export { createReferenceBackend } from "./backends/reference/index.ts";
export { bytesPerElement, type DType, fromBf16, type HostArray, toBf16 } from "./dtype.ts";
export * from "./ops/index.ts";
export { type KernelProfile, type Profiler, profileBackend, shareOfPeak } from "./profile.ts";
export { type QuantisedFormat, type QuantisedMatrix, quantisedFormats, quantiseRows } from "./quantise.ts";
export { type Backward, type Gradients, type GradTarget, Scope, type ScopeOptions } from "./scope.ts";
export { checkShape, describeShape, isSameShape, numElements, type Shape } from "./shape.ts";
export { createQuantised, createTensor, Tensor, tensorOf, zeros } from "./tensor.ts";
