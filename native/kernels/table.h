// The interface between the glue and the kernels: plain data, no inline functions, so that every translation unit may
// include it whatever its compiler flags.
#pragma once

#include <cstdint>

#include "../thread_pool.h"
#include "kernel-list.h"

namespace selkie {

enum DataType : int { kF32 = 0, kBf16 = 1, kI32 = 2, kF64 = 3 };

// A typed array of JavaScript; `data` is null where JavaScript passed null (an optional argument left out).
struct View {
  void* data;
  int dtype;
  int64_t length;
};

// `views` and `numbers` in the order that the kernel's comment gives. Arguments were checked in TypeScript.
using Kernel = void (*)(const View* views, const double* numbers, ThreadPool& pool);

#define SELKIE_KERNEL_ID(name) k_##name,
enum KernelId : int { SELKIE_KERNELS(SELKIE_KERNEL_ID) kKernelCount };
#undef SELKIE_KERNEL_ID

struct KernelTable {
  Kernel entries[kKernelCount];
};

}  // namespace selkie
