#define SELKIE_ISA avx512
#include "../kernels/all.h"
