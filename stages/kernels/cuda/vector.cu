#include "kernels/cuda/operations.h"
#include "kernels/cuda/tools.cuh"

#include <cmath>

namespace mdl::engine
{

__global__ void add(float *x, const float *y, int64_t n)
{
    int64_t i = thread_of_all();
    if (i < n)
        x[i] += y[i];
}

__global__ void scale(float *x, float factor, int64_t n)
{
    int64_t i = thread_of_all();
    if (i < n)
        x[i] *= factor;
}

/* part: [gridDim.x], the sums of the blocks' shares. */
__global__ void square_parts(double *part, const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = thread_of_all(); i < n; i += (int64_t)gridDim.x * THREADS)
        sum += (double)x[i] * (double)x[i];
    sum = sum_of_block(sum);
    if (threadIdx.x == 0)
        part[blockIdx.x] = sum;
}

struct adam_factors {
    float step_size, inverse_root, keep1, keep2, add1, add2, small;
};

__global__ void adam(float *param, const float *grad, float *m, float *v, int64_t n, adam_factors f)
{
    int64_t i = thread_of_all();
    if (i >= n)
        return;
    float g = grad[i], mean = f.keep1 * m[i] + f.add1 * g, square = f.keep2 * v[i] + f.add2 * g * g;
    m[i] = mean;
    v[i] = square;
    param[i] -= f.step_size * mean / (sqrtf(square) * f.inverse_root + f.small);
}

void vector_add(float *x, const float *y, int64_t n)
{
    launch_each(__func__, n, add, x, y, n);
}

void vector_scale(float *x, float factor, int64_t n)
{
    launch_each(__func__, n, scale, x, factor, n);
}

int vector_square_sum(double *sum, const float *x, int64_t n, mdl_error_t *err)
{
    constexpr int N_PART = 256;
    double part[N_PART], *on_device = nullptr;
    int rc = alloc(&on_device, sizeof part, "a sum of squares", err);
    if (rc != MDL_OK)
        return rc;
    launch(__func__, dim3(N_PART), THREADS, 0, square_parts, on_device, x, n);
    rc = download(part, on_device, sizeof part, err);
    release(on_device);
    *sum = 0;
    for (double share : part)
        *sum += share;
    return rc;
}

void adam_step(float *param, const float *grad, float *m, float *v, int64_t n_param, int64_t step,
               double lr, double beta1, double beta2, double eps)
{
    adam_factors factors = {(float)(lr / (1.0 - std::pow(beta1, (double)step))),
                            (float)(1.0 / std::sqrt(1.0 - std::pow(beta2, (double)step))),
                            (float)beta1,
                            (float)beta2,
                            (float)(1.0 - beta1),
                            (float)(1.0 - beta2),
                            (float)eps};
    launch_each(__func__, n_param, adam, param, grad, m, v, n_param, factors);
}

} // namespace mdl::engine
