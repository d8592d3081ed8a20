/* float64 for processors with AVX2 and FMA; CMakeLists.txt has the options. */
#define REAL      double
#define REAL_BITS 64
#define LANES     4
#define TABLE     mdl_real_double_avx2
#include "similarity/real_tables.h"

#include "similarity/real_impl.h"
