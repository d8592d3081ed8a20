#include "kernels/cross_entropy.h"

#include "kernels/clones.h"
#include "kernels/expf.h"

#include <math.h> /* logf */

MDL_CLONES
void mdl_cross_entropy_forward(double *loss_sum, float *log_sum, const float *logit,
                               const int32_t *target, int64_t n_row, int64_t n_class)
{
    double loss = 0;
    for (int64_t row = 0; row < n_row; row++) {
        const float *x = logit + row * n_class;
        float max = x[0];
        for (int64_t i = 1; i < n_class; i++)
            max = x[i] > max ? x[i] : max;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < n_class; i++)
            sum += mdl_expf(x[i] - max);
        log_sum[row] = max + logf(sum);
        loss += (double)log_sum[row] - (double)x[target[row]];
    }
    *loss_sum += loss;
}

MDL_CLONES
void mdl_cross_entropy_backward(float *dlogit, const float *logit, const float *log_sum,
                                const int32_t *target, int64_t n_row, int64_t n_class, float scale)
{
    for (int64_t row = 0; row < n_row; row++) {
        const float *x = logit + row * n_class;
        float *dx = dlogit + row * n_class;
        for (int64_t i = 0; i < n_class; i++)
            dx[i] = scale * mdl_expf(x[i] - log_sum[row]);
        dx[target[row]] -= scale;
    }
}
