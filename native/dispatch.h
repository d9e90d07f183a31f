// Which instruction sets were compiled in, and which of them this processor and operating system can run.
#pragma once

#include "kernels/table.h"

namespace selkie {

struct InstructionSet {
  const char* name;
  const KernelTable* table;
  bool (*isSupported)();
};

// Usable instruction sets, best first; returns how many were written to `found` (at most kMaxInstructionSets).
constexpr int kMaxInstructionSets = 8;
int findInstructionSets(const InstructionSet** found);

}  // namespace selkie
