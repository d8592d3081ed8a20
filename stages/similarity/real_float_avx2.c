/* float32 for processors with AVX2 and FMA; CMakeLists.txt has the options. */
#define REAL      float
#define REAL_BITS 32
#define LANES     8
#define TABLE     mdl_real_float_avx2
#include "similarity/real_tables.h"

#include "similarity/real_impl.h"
