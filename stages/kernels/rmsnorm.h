/* Root mean square norm (Zhang and Sennrich 2019, arXiv 1910.07467, equation 4). */
#ifndef MDL_KERNELS_RMSNORM_H
#define MDL_KERNELS_RMSNORM_H

#include <stdint.h>

/* out [n_row, n_feat] = in * inverse * weight, inverse [n_row] = 1 / sqrt(mean(in^2) + eps),
 * with in [n_row, n_feat], weight [n_feat]. */
void mdl_rmsnorm_forward(float *out, float *inverse, const float *in, const float *weight,
                         int64_t n_row, int64_t n_feat, float eps);

/* Adds the gradient for in to din [n_row, n_feat], given dout [n_row, n_feat]; the weight is
 * frozen. */
void mdl_rmsnorm_backward(float *din, const float *dout, const float *in, const float *inverse,
                          const float *weight, int64_t n_row, int64_t n_feat);

#endif
