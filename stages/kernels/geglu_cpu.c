#include "kernels/geglu.h"

#include "kernels/clones.h"
#include "kernels/expf.h"

/* (1 + tanh(u)) / 2 is the logistic function of 2u = SLOPE (x + CUBIC x^3). */
#define SLOPE 1.59576912160573f /* 2 sqrt(2/pi) */
#define CUBIC 0.044715f

MDL_CLONES
void mdl_geglu_forward(float *out, const float *in, int64_t n_row, int64_t n_feat)
{
    for (int64_t row = 0; row < n_row; row++) {
        const float *gate = in + row * 2 * n_feat;
        const float *up = gate + n_feat;
        float *y = out + row * n_feat;
        for (int64_t i = 0; i < n_feat; i++) {
            float x = gate[i];
            y[i] = x / (1.0f + mdl_expf(-SLOPE * x * (1.0f + CUBIC * x * x))) * up[i];
        }
    }
}

MDL_CLONES
void mdl_geglu_backward(float *din, const float *dout, const float *in, int64_t n_row,
                        int64_t n_feat)
{
    for (int64_t row = 0; row < n_row; row++) {
        const float *gate = in + row * 2 * n_feat;
        const float *up = gate + n_feat;
        const float *dy = dout + row * n_feat;
        float *dgate = din + row * 2 * n_feat;
        float *dup = dgate + n_feat;
        for (int64_t i = 0; i < n_feat; i++) {
            float x = gate[i], square = CUBIC * x * x;
            float share = 1.0f / (1.0f + mdl_expf(-SLOPE * x * (1.0f + square)));
            float slope = SLOPE * (1.0f + 3.0f * square);
            dgate[i] = dy[i] * up[i] * (share + x * share * (1.0f - share) * slope);
            dup[i] = dy[i] * x * share;
        }
    }
}
