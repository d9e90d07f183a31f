// Compiled for the baseline processor. The macros SELKIE_HAVE_* come from binding.gyp: one per unit that was compiled.
#include "dispatch.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace selkie {

#define SELKIE_DECLARE(isa)       \
  namespace isa {                 \
  extern const KernelTable table; \
  }
#if defined(SELKIE_HAVE_AMX)
SELKIE_DECLARE(amx)
#endif
#if defined(SELKIE_HAVE_AVX512BF16)
SELKIE_DECLARE(avx512bf16)
#endif
#if defined(SELKIE_HAVE_AVX512)
SELKIE_DECLARE(avx512)
#endif
#if defined(SELKIE_HAVE_AVX2)
SELKIE_DECLARE(avx2)
#endif
#if defined(__aarch64__)
SELKIE_DECLARE(neon)
#else
SELKIE_DECLARE(baseline)
#endif

namespace {

#if defined(__x86_64__)
bool hasAvx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

bool hasAvx512() {
  return hasAvx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

bool hasAvx512Bf16() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return hasAvx512() && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax >> 5 & 1) != 0;
}

// The state of the tile registers is so large that Linux gives it only to processes that ask.
bool requestTiles() {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

bool hasAmx() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (!hasAvx512Bf16() || __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  const bool hasInstructions = (edx >> 22 & 1) != 0 && (edx >> 24 & 1) != 0;  // AMX-BF16, AMX-TILE
  if (!hasInstructions) return false;
  unsigned low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low >> 17 & 3) == 3 && requestTiles();
}
#endif

[[maybe_unused]] bool always() { return true; }

const InstructionSet kInstructionSets[] = {
#if defined(SELKIE_HAVE_AMX)
    {"amx", &amx::table, hasAmx},
#endif
#if defined(SELKIE_HAVE_AVX512BF16)
    {"avx512bf16", &avx512bf16::table, hasAvx512Bf16},
#endif
#if defined(SELKIE_HAVE_AVX512)
    {"avx512", &avx512::table, hasAvx512},
#endif
#if defined(SELKIE_HAVE_AVX2)
    {"avx2", &avx2::table, hasAvx2},
#endif
#if defined(__aarch64__)
    {"neon", &neon::table, always},
#else
    {"baseline", &baseline::table, always},
#endif
};

}  // namespace

int findInstructionSets(const InstructionSet** found) {
  int count = 0;
  for (const InstructionSet& set : kInstructionSets)
    if (set.isSupported()) found[count++] = &set;
  return count;
}

}  // namespace selkie
