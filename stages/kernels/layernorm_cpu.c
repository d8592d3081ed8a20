#include "kernels/layernorm.h"

#include "kernels/clones.h"

#include <math.h> /* sqrtf */

MDL_CLONES
void mdl_layernorm_forward(float *out, const float *in, const float *weight, const float *bias,
                           int64_t n_row, int64_t n_feat, float eps)
{
    for (int64_t row = 0; row < n_row; row++) {
        const float *x = in + row * n_feat;
        float *y = out + row * n_feat;
        float sum = 0, square = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < n_feat; i++)
            sum += x[i];
        float mean = sum / (float)n_feat;
#pragma omp simd reduction(+ : square)
        for (int64_t i = 0; i < n_feat; i++)
            square += (x[i] - mean) * (x[i] - mean);
        float scale = 1.0f / sqrtf(square / (float)n_feat + eps);
        for (int64_t i = 0; i < n_feat; i++)
            y[i] = (x[i] - mean) * scale * weight[i] + bias[i];
    }
}
