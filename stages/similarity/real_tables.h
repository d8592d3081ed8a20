/* The tables that mdl_real chooses from. */
#ifndef MDL_SIMILARITY_REAL_TABLES_H
#define MDL_SIMILARITY_REAL_TABLES_H

#include "similarity/real.h"

extern const mdl_real_t mdl_real_float, mdl_real_double;
extern const mdl_real_t mdl_real_float_avx2, mdl_real_double_avx2; /* x86-64 only */

#endif
