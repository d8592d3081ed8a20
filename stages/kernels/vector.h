/* Operations on the flat arrays of what is trained. */
#ifndef MDL_KERNELS_VECTOR_H
#define MDL_KERNELS_VECTOR_H

#include <stdint.h>

/* x [n] += y [n]. */
void mdl_vector_add(float *x, const float *y, int64_t n);

/* x [n] *= factor. */
void mdl_vector_scale(float *x, float factor, int64_t n);

/* The sum of the squares of x [n], in double. */
double mdl_vector_square_sum(const float *x, int64_t n);

#endif
