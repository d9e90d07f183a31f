#define SELKIE_ISA avx2
#include "../kernels/all.h"
