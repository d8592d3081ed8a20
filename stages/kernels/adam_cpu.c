#include "kernels/adam.h"

#include <math.h>

void mdl_adam_step(float *param, const float *grad, float *m, float *v, int64_t n_param,
                   int64_t step, double lr, double beta1, double beta2, double eps)
{
    float step_size = (float)(lr / (1.0 - pow(beta1, (double)step)));
    float inverse_root = (float)(1.0 / sqrt(1.0 - pow(beta2, (double)step)));
    float keep1 = (float)beta1, keep2 = (float)beta2, small = (float)eps;
    float add1 = (float)(1.0 - beta1), add2 = (float)(1.0 - beta2);
    for (int64_t i = 0; i < n_param; i++) {
        m[i] = keep1 * m[i] + add1 * grad[i];
        v[i] = keep2 * v[i] + add2 * grad[i] * grad[i];
        param[i] -= step_size * m[i] / (sqrtf(v[i]) * inverse_root + small);
    }
}
