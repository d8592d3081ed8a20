#include "kernels/head_norm.h"

#include "kernels/rmsnorm.h"

#include <string.h> /* memcpy */

void mdl_head_norm_forward(float *x, float *plain, float *inverse, const float *weight,
                           int64_t n_row, int64_t n_head, int64_t n_head_feat, int64_t ld_x,
                           int64_t ld_plain, int64_t ld_inverse, float eps)
{
    for (int64_t row = 0; row < n_row; row++) {
        float *before = plain + row * ld_plain;
        memcpy(before, x + row * ld_x, (size_t)(n_head * n_head_feat) * sizeof *x);
        mdl_rmsnorm_forward(x + row * ld_x, inverse + row * ld_inverse, before, weight, n_head,
                            n_head_feat, eps);
    }
}

static void norm_backward(float *dx, const float *x, float scale, const float *weight,
                          int64_t n_feat)
{
    float dot = 0;
#pragma omp simd reduction(+ : dot)
    for (int64_t i = 0; i < n_feat; i++)
        dot += dx[i] * weight[i] * x[i];
    float along = dot * scale * scale * scale / (float)n_feat;
    for (int64_t i = 0; i < n_feat; i++)
        dx[i] = dx[i] * weight[i] * scale - x[i] * along;
}

void mdl_head_norm_backward(float *dx, const float *plain, const float *inverse,
                            const float *weight, int64_t n_row, int64_t n_head, int64_t n_head_feat,
                            int64_t ld_dx, int64_t ld_plain, int64_t ld_inverse)
{
    for (int64_t row = 0; row < n_row; row++)
        for (int64_t head = 0; head < n_head; head++)
            norm_backward(dx + row * ld_dx + head * n_head_feat,
                          plain + row * ld_plain + head * n_head_feat,
                          inverse[row * ld_inverse + head], weight, n_head_feat);
}
