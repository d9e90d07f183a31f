#define SELKIE_ISA avx512bf16
#include "../kernels/all.h"
