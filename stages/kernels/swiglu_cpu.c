#include "kernels/swiglu.h"

#include "kernels/clones.h"
#include "kernels/expf.h"

MDL_CLONES
void mdl_swiglu_forward(float *out, const float *in, int64_t n_row, int64_t n_feat)
{
    for (int64_t row = 0; row < n_row; row++) {
        const float *gate = in + row * 2 * n_feat;
        const float *up = gate + n_feat;
        float *y = out + row * n_feat;
        for (int64_t i = 0; i < n_feat; i++)
            y[i] = gate[i] / (1.0f + mdl_expf(-gate[i])) * up[i];
    }
}

MDL_CLONES
void mdl_swiglu_backward(float *din, const float *dout, const float *in, int64_t n_row,
                         int64_t n_feat)
{
    for (int64_t row = 0; row < n_row; row++) {
        const float *gate = in + row * 2 * n_feat;
        const float *up = gate + n_feat;
        const float *dy = dout + row * n_feat;
        float *dgate = din + row * 2 * n_feat;
        float *dup = dgate + n_feat;
        for (int64_t i = 0; i < n_feat; i++) {
            float sigmoid = 1.0f / (1.0f + mdl_expf(-gate[i]));
            float silu = gate[i] * sigmoid;
            dgate[i] = dy[i] * up[i] * (sigmoid + silu * (1.0f - sigmoid));
            dup[i] = dy[i] * silu;
        }
    }
}
