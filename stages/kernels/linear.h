/* A frozen linear layer: y = x W' + b. */
#ifndef MDL_KERNELS_LINEAR_H
#define MDL_KERNELS_LINEAR_H

#include <stdint.h>

/* out [n_row, n_out] = before + in W' + bias, with in [n_row, n_in], weight W [n_out, n_in] of
 * float32, bias [n_out] and before [n_row, n_out], which isn't out. bias and before: NULL stands
 * for 0. */
void mdl_linear_forward(float *out, const float *before, const float *in, const void *weight,
                        const float *bias, int64_t n_row, int64_t n_out, int64_t n_in);

/* din [n_row, n_in] = dout [n_row, n_out] W. */
void mdl_linear_backward(float *din, const float *dout, const void *weight, int64_t n_row,
                         int64_t n_out, int64_t n_in);

/* The same with W of bfloat16 (kernels/bfloat16.h): in and dout are rounded to bfloat16, products
 * are summed in float32. */
void mdl_linear_forward_bfloat16(float *out, const float *before, const float *in,
                                 const void *weight, const float *bias, int64_t n_row,
                                 int64_t n_out, int64_t n_in);
void mdl_linear_backward_bfloat16(float *din, const float *dout, const void *weight, int64_t n_row,
                                  int64_t n_out, int64_t n_in);

#endif
