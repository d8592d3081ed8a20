/* Matrix products of row-major float32 matrices; n, t: not transposed, transposed.
 * ld_* is the distance between the starts of two rows, so that blocks of columns can be named. */
#ifndef MDL_KERNELS_MATMUL_H
#define MDL_KERNELS_MATMUL_H

#include <stdint.h>

/* out [n_row, n_col] = scale * a [n_row, n_inner] b' + keep * out, with b [n_col, n_inner]. */
void mdl_matmul_nt(float *out, int64_t ld_out, const float *a, int64_t ld_a, const float *b,
                   int64_t ld_b, int64_t n_row, int64_t n_col, int64_t n_inner, float scale,
                   float keep);

/* out [n_row, n_col] = scale * a [n_row, n_inner] b + keep * out, with b [n_inner, n_col]. */
void mdl_matmul_nn(float *out, int64_t ld_out, const float *a, int64_t ld_a, const float *b,
                   int64_t ld_b, int64_t n_row, int64_t n_col, int64_t n_inner, float scale,
                   float keep);

/* out [n_row, n_col] = scale * a' b + keep * out, with a [n_inner, n_row], b [n_inner, n_col]. */
void mdl_matmul_tn(float *out, int64_t ld_out, const float *a, int64_t ld_a, const float *b,
                   int64_t ld_b, int64_t n_row, int64_t n_col, int64_t n_inner, float scale,
                   float keep);

#endif
