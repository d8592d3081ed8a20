/* float64 for any processor. */
#define REAL      double
#define REAL_BITS 64
#define LANES     2
#define TABLE     mdl_real_double
#include "similarity/real_tables.h"

#include "similarity/real_impl.h"
