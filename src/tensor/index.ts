/** @file Exports of `tensor`: dtypes, shapes, tensors, scopes with gradients, ops, backends. */
export type {
  AdamWArgs,
  AdamWSegment,
  AttentionLayout,
  Backend,
  Kernels,
  LikeliestTokens,
  LogitAdjustments,
  MemoryStats,
  Peaks,
  SampleRowsArgs,
  Truncations,
  VisibleKeys,
} from "./backend.ts";
export { createCpuBackend, nativeInstructionSets } from "./backends/cpu/index.ts";
export { type BackendOptions, openBackend } from "./backends/open.ts";
export { createReferenceBackend } from "./backends/reference/index.ts";
export { bytesPerElement, type ComputeType, type DType, fromBf16, type HostArray, toBf16 } from "./dtype.ts";
export * from "./ops/index.ts";
export { type KernelProfile, type Profiler, profileBackend, shareOfPeak } from "./profile.ts";
export { type QuantisedFormat, type QuantisedMatrix, quantisedFormats, quantiseRows } from "./quantise.ts";
export { type Backward, type Gradients, Scope, type ScopeOptions } from "./scope.ts";
export { checkShape, describeShape, isSameShape, numElements, type Shape } from "./shape.ts";
export { createQuantised, createTensor, type GradTarget, Tensor, tensorOf, zeros } from "./tensor.ts";
