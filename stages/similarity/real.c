#include "similarity/real.h"

#include "similarity/real_tables.h"

#include <cblas.h>

#ifdef __x86_64__
static int has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif

const mdl_real_t *mdl_real(mdl_encoding_t precision)
{
    openblas_set_num_threads(1);
#ifdef __x86_64__
    if (has_avx2())
        return precision == MDL_FLOAT32 ? &mdl_real_float_avx2 : &mdl_real_double_avx2;
#endif
    return precision == MDL_FLOAT32 ? &mdl_real_float : &mdl_real_double;
}
