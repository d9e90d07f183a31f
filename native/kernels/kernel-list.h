// Names of all kernels, in the order of their ids. Each is a function `void name(const View*, const double*, ThreadPool&)`
// in the namespace of its instruction set; JavaScript looks ids up by these names.
#pragma once

// Products (gemm.h, batched.h, quantised.h, lora.h, cross-entropy.h).
#define SELKIE_PRODUCT_KERNELS(X) \
  X(gemm)                         \
  X(batchedGemm)                  \
  X(groupedGemm)                  \
  X(groupedOuter)                 \
  X(packFactor)                   \
  X(quantisedGemm)                \
  X(quantisedRows)                \
  X(lora)                         \
  X(loraBackward)                 \
  X(linearCrossEntropy)

// Primitives (map.h, zip.h, reduce-axis.h, softmax.h, strided-copy.h, dropout.h).
#define SELKIE_PRIMITIVE_KERNELS(X) \
  X(map)                            \
  X(mapBackward)                    \
  X(zip)                            \
  X(zipBackward)                    \
  X(select)                         \
  X(reduce)                         \
  X(reduceBackward)                 \
  X(argmax)                         \
  X(softmax)                        \
  X(softmaxBackward)                \
  X(stridedCopy)                    \
  X(dropout)

// Everything else: one line per kernel of norm.h, rope.h, activation.h, elementwise.h, rows.h, top-k.h,
// recurrence.h, convolution.h, reduce.h, attention.h, adamw.h, random.h, probe.h, sample.h.
#define SELKIE_OTHER_KERNELS(X) \
  X(rmsNorm)                    \
  X(rmsNormBackward)            \
  X(layerNorm)                  \
  X(layerNormBackward)          \
  X(rope)                       \
  X(swiglu)                     \
  X(swigluBackward)             \
  X(gelu)                       \
  X(geluBackward)               \
  X(add)                        \
  X(axpby)                      \
  X(gatherRows)                 \
  X(scatterAddRows)             \
  X(setRows)                    \
  X(gatherLast)                 \
  X(scatterLast)                \
  X(topK)                       \
  X(cumulativeSum)              \
  X(linearRecurrence)           \
  X(linearRecurrenceBackward)   \
  X(depthwiseConvolution)       \
  X(depthwiseConvolutionBackward) \
  X(sum)                        \
  X(sumSquares)                 \
  X(adamW)                      \
  X(uniform)                    \
  X(attention)                  \
  X(attentionBackward)          \
  X(probe)                      \
  SELKIE_PRIMITIVE_KERNELS(X)   \
  X(sampleRows)

#define SELKIE_KERNELS(X)   \
  SELKIE_PRODUCT_KERNELS(X) \
  SELKIE_OTHER_KERNELS(X)
