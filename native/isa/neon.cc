#define SELKIE_ISA neon
#include "../kernels/all.h"
