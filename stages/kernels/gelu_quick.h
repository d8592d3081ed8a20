/* The quick Gaussian error linear unit of CLIP, x * sigmoid(1.702 x) (Hendrycks and Gimpel 2016,
 * arXiv 1606.08415, section 2). */
#ifndef MDL_KERNELS_GELU_QUICK_H
#define MDL_KERNELS_GELU_QUICK_H

#include <stdint.h>

/* out [n_value] = in * sigmoid(1.702 in), with in [n_value]. out may be in. */
void mdl_gelu_quick_forward(float *out, const float *in, int64_t n_value);

#endif
