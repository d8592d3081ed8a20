/* Gated linear unit with SiLU (Shazeer 2020, arXiv 2002.05202, equation 6). */
#ifndef MDL_KERNELS_SWIGLU_H
#define MDL_KERNELS_SWIGLU_H

#include <stdint.h>

/* out [n_row, n_feat] = silu(gate) * up, where in [n_row, 2 * n_feat] holds gate, then up. */
void mdl_swiglu_forward(float *out, const float *in, int64_t n_row, int64_t n_feat);

/* din [n_row, 2 * n_feat] is set to the gradient for in, given dout [n_row, n_feat]. */
void mdl_swiglu_backward(float *din, const float *dout, const float *in, int64_t n_row,
                         int64_t n_feat);

#endif
