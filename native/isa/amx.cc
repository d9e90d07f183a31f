#define SELKIE_ISA amx
#include "../kernels/all.h"
