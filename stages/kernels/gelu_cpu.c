#include "kernels/gelu.h"

#include "kernels/clones.h"
#include "kernels/erff.h"

#define SQRT_HALF        0.70710678118654752f
#define INVERSE_SQRT_2PI 0.39894228040143268f
#define SQRT_2_OVER_PI   0.79788456080286536f

MDL_CLONES
void mdl_gelu_forward(float *out, const float *in, int64_t n_value)
{
    for (int64_t i = 0; i < n_value; i++)
        out[i] = 0.5f * in[i] * (1.0f + mdl_erff(in[i] * SQRT_HALF));
}

MDL_CLONES
void mdl_gelu_backward(float *din, const float *dout, const float *in, int64_t n_value)
{
    for (int64_t i = 0; i < n_value; i++) {
        float phi = 0.5f * (1.0f + mdl_erff(in[i] * SQRT_HALF));
        float density = INVERSE_SQRT_2PI * mdl_expf(-0.5f * in[i] * in[i]);
        din[i] = dout[i] * (phi + in[i] * density);
    }
}

/* (1 + tanh(y)) / 2 = 1 / (1 + exp(-2 y)). */
MDL_CLONES
void mdl_gelu_tanh_forward(float *out, const float *in, int64_t n_value)
{
    for (int64_t i = 0; i < n_value; i++) {
        float y = SQRT_2_OVER_PI * (in[i] + 0.044715f * in[i] * in[i] * in[i]);
        out[i] = in[i] / (1.0f + mdl_expf(-2.0f * y));
    }
}
