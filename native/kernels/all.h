// Every kernel family, compiled once per instruction set by isa/*.cc, and the table that such a unit exports.
#pragma once

#include "simd.h"
#include "parallel.h"
// Products.
#include "gemm.h"
#include "batched.h"
#include "quantised.h"
#include "lora.h"
#include "cross-entropy.h"
// Everything else (add the family's names to kernel-list.h too).
#include "norm.h"
#include "rope.h"
#include "activation.h"
#include "elementwise.h"
#include "rows.h"
#include "top-k.h"
#include "recurrence.h"
#include "convolution.h"
#include "reduce.h"
#include "adamw.h"
#include "random.h"
#include "attention.h"
#include "attention-backward.h"
#include "probe.h"
#include "sample.h"
// Primitives.
#include "map.h"
#include "zip.h"
#include "reduce-axis.h"
#include "softmax.h"
#include "strided-copy.h"
#include "dropout.h"

namespace selkie::SELKIE_ISA {

extern const KernelTable table;
#define SELKIE_ENTRY(name) &name,
const KernelTable table = {{SELKIE_KERNELS(SELKIE_ENTRY)}};
#undef SELKIE_ENTRY

}  // namespace selkie::SELKIE_ISA
