#include "kernels/linear.h"

#include "kernels/matmul.h"
#include "kernels/rows.h"

#include <string.h> /* memcpy */

void mdl_linear_forward(float *out, const float *before, const float *in, const void *weight,
                        const float *bias, int64_t n_row, int64_t n_out, int64_t n_in)
{
    if (before != NULL)
        memcpy(out, before, (size_t)(n_row * n_out) * sizeof *out);
    mdl_matmul_nt(out, n_out, in, n_in, weight, n_in, n_row, n_out, n_in, 1.0f,
                  before != NULL ? 1.0f : 0.0f);
    if (bias != NULL)
        mdl_rows_add(out, bias, n_row, n_out);
}

void mdl_linear_backward(float *din, const float *dout, const void *weight, int64_t n_row,
                         int64_t n_out, int64_t n_in)
{
    mdl_matmul_nn(din, n_in, dout, n_out, weight, n_in, n_row, n_in, n_out, 1.0f, 0.0f);
}
