/* Root mean square norm (kernels/rmsnorm.h) of each head of queries or keys, in place. */
#ifndef MDL_KERNELS_HEAD_NORM_H
#define MDL_KERNELS_HEAD_NORM_H

#include <stdint.h>

/* Norms each head of x [n_row, n_head, n_head_feat], whose rows are ld_x apart, by weight
 * [n_head_feat]. Keeps what x was in plain and the factors in inverse [n_row, n_head], whose rows
 * are ld_plain and ld_inverse apart. */
void mdl_head_norm_forward(float *x, float *plain, float *inverse, const float *weight,
                           int64_t n_row, int64_t n_head, int64_t n_head_feat, int64_t ld_x,
                           int64_t ld_plain, int64_t ld_inverse, float eps);

/* Turns dx, the gradient for the normed heads, into that for the plain ones, in place; the weight
 * is frozen. */
void mdl_head_norm_backward(float *dx, const float *plain, const float *inverse,
                            const float *weight, int64_t n_row, int64_t n_head, int64_t n_head_feat,
                            int64_t ld_dx, int64_t ld_plain, int64_t ld_inverse);

#endif
