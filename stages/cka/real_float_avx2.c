/* float32 for processors with AVX2 and FMA; CMakeLists.txt has the options. */
#define REAL      float
#define REAL_BITS 32
#define LANES     8
#define TABLE     mdl_real_float_avx2
#include "cka/real_tables.h"

#include "cka/real_impl.h"
