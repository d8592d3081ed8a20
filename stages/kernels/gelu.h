/* Exact Gaussian error linear unit, x * Phi(x) (Hendrycks and Gimpel 2016, arXiv 1606.08415). */
#ifndef MDL_KERNELS_GELU_H
#define MDL_KERNELS_GELU_H

#include <stdint.h>

/* out [n_value] = gelu(in [n_value]). */
void mdl_gelu_forward(float *out, const float *in, int64_t n_value);

/* din [n_value] is set to the gradient for in, given dout [n_value]. din may be dout. */
void mdl_gelu_backward(float *din, const float *dout, const float *in, int64_t n_value);

/* out [n_value] = the tanh approximation of gelu(in [n_value]) (section 2 of the paper), which some
 * models were trained with. out may be in. */
void mdl_gelu_tanh_forward(float *out, const float *in, int64_t n_value);

#endif
