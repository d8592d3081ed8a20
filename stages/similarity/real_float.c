/* float32 for any processor. */
#define REAL      float
#define REAL_BITS 32
#define LANES     4
#define TABLE     mdl_real_float
#include "similarity/real_tables.h"

#include "similarity/real_impl.h"
