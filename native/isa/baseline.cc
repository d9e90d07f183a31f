#define SELKIE_ISA baseline
#include "../kernels/all.h"
