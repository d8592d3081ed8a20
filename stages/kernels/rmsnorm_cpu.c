#include "kernels/rmsnorm.h"

#include "kernels/clones.h"

#include <math.h> /* sqrtf */

MDL_CLONES
void mdl_rmsnorm_forward(float *out, float *inverse, const float *in, const float *weight,
                         int64_t n_row, int64_t n_feat, float eps)
{
    for (int64_t row = 0; row < n_row; row++) {
        const float *x = in + row * n_feat;
        float *y = out + row * n_feat;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < n_feat; i++)
            sum += x[i] * x[i];
        float scale = 1.0f / sqrtf(sum / (float)n_feat + eps);
        inverse[row] = scale;
        for (int64_t i = 0; i < n_feat; i++)
            y[i] = x[i] * scale * weight[i];
    }
}

MDL_CLONES
void mdl_rmsnorm_backward(float *din, const float *dout, const float *in, const float *inverse,
                          const float *weight, int64_t n_row, int64_t n_feat)
{
    for (int64_t row = 0; row < n_row; row++) {
        const float *x = in + row * n_feat;
        const float *dy = dout + row * n_feat;
        float *dx = din + row * n_feat;
        float scale = inverse[row];
        float dot = 0;
#pragma omp simd reduction(+ : dot)
        for (int64_t i = 0; i < n_feat; i++)
            dot += dy[i] * weight[i] * x[i];
        float along = dot * scale * scale * scale / (float)n_feat;
        for (int64_t i = 0; i < n_feat; i++)
            dx[i] += dy[i] * weight[i] * scale - x[i] * along;
    }
}
