/* Gated linear unit with GELU (Shazeer 2020, arXiv 2002.05202, equation 6) in its tanh form:
 * gelu(x) = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) (Hendrycks and Gimpel 2016, arXiv
 * 1606.08415, section 2). */
#ifndef MDL_KERNELS_GEGLU_H
#define MDL_KERNELS_GEGLU_H

#include <stdint.h>

/* out [n_row, n_feat] = gelu(gate) * up, where in [n_row, 2 * n_feat] holds gate, then up. */
void mdl_geglu_forward(float *out, const float *in, int64_t n_row, int64_t n_feat);

/* din [n_row, 2 * n_feat] is set to the gradient for in, given dout [n_row, n_feat]. */
void mdl_geglu_backward(float *din, const float *dout, const float *in, int64_t n_row,
                        int64_t n_feat);

#endif
