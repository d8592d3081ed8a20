#include "kernels/gelu.h"

#include <math.h> /* erff, expf */

#define SQRT_HALF        0.70710678118654752f
#define INVERSE_SQRT_2PI 0.39894228040143268f

void mdl_gelu_forward(float *out, const float *in, int64_t n_value)
{
    for (int64_t i = 0; i < n_value; i++)
        out[i] = 0.5f * in[i] * (1.0f + erff(in[i] * SQRT_HALF));
}

void mdl_gelu_backward(float *din, const float *dout, const float *in, int64_t n_value)
{
    for (int64_t i = 0; i < n_value; i++) {
        float phi = 0.5f * (1.0f + erff(in[i] * SQRT_HALF));
        float density = INVERSE_SQRT_2PI * expf(-0.5f * in[i] * in[i]);
        din[i] = dout[i] * (phi + in[i] * density);
    }
}
