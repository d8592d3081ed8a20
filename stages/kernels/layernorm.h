/* Layer normalisation (Ba et al. 2016, arXiv 1607.06450, equation 4). */
#ifndef MDL_KERNELS_LAYERNORM_H
#define MDL_KERNELS_LAYERNORM_H

#include <stdint.h>

/* out [n_row, n_feat] = (in - mean) / sqrt(variance + eps) * weight + bias, with in
 * [n_row, n_feat], weight and bias [n_feat]. out may be in. */
void mdl_layernorm_forward(float *out, const float *in, const float *weight, const float *bias,
                           int64_t n_row, int64_t n_feat, float eps);

#endif
