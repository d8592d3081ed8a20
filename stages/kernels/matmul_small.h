/* Products in which one side is short, where BLAS spends its time on repacking the long one.
 *
 * Both functions return 1 when they did it. They return 0 and do nothing where BLAS is the faster
 * way: that depends on the processor and the sizes alone, so the same product always takes the
 * same way. */
#ifndef MDL_KERNELS_MATMUL_SMALL_H
#define MDL_KERNELS_MATMUL_SMALL_H

#include <stdint.h>

/* As mdl_matmul_nt, for few rows. */
int mdl_matmul_nt_small(float *out, int64_t ld_out, const float *a, int64_t ld_a, const float *b,
                        int64_t ld_b, int64_t n_row, int64_t n_col, int64_t n_inner, float scale,
                        float keep);

/* As mdl_matmul_nn and mdl_matmul_tn, for few rows or a short inner side: the value of a for a row
 * and an inner index is at a[row * row_step + inner * inner_step]. */
int mdl_matmul_xn_small(float *out, int64_t ld_out, const float *a, int64_t row_step,
                        int64_t inner_step, const float *b, int64_t ld_b, int64_t n_row,
                        int64_t n_col, int64_t n_inner, float scale, float keep);

#endif
