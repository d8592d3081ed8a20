#include "kernels/cuda/operations.h"
#include "kernels/cuda/tools.cuh"

namespace mdl::engine
{

/* A block a row. Each thread keeps the largest of its logits and the sum of exponentials less that
 * one as it goes, so that the logits are read once. */
__global__ void log_sums(float *log_sum, const float *logit, int64_t n_class)
{
    __shared__ float largest_of[WARPS];
    const float *x = logit + blockIdx.x * n_class;
    float largest = -INFINITY, sum = 0;
    for (int64_t i = threadIdx.x; i < n_class; i += THREADS) {
        float before = largest;
        largest = fmaxf(largest, x[i]);
        sum = sum * expf(before - largest) + expf(x[i] - largest);
    }
    float own = largest;
    largest = largest_of_warp(largest);
    if (threadIdx.x % WARP == 0)
        largest_of[threadIdx.x / WARP] = largest;
    __syncthreads();
    for (int i = 0; i < WARPS; i++)
        largest = fmaxf(largest, largest_of[i]);
    sum = sum_of_block(threadIdx.x < n_class ? sum * expf(own - largest) : 0.0f);
    if (threadIdx.x == 0)
        log_sum[blockIdx.x] = largest + logf(sum);
}

/* One block. */
__global__ void add_losses(double *loss_sum, const float *log_sum, const float *logit,
                           const int32_t *target, int64_t n_row, int64_t n_class)
{
    double loss = 0;
    for (int64_t row = threadIdx.x; row < n_row; row += THREADS)
        loss += (double)log_sum[row] - (double)logit[row * n_class + target[row]];
    loss = sum_of_block(loss);
    if (threadIdx.x == 0)
        *loss_sum += loss;
}

__global__ void softmax_slope(float *dlogit, const float *logit, const float *log_sum,
                              const int32_t *target, int64_t n_row, int64_t n_class, float scale)
{
    int64_t at = thread_of_all(), row = at / n_class;
    if (row >= n_row)
        return;
    float slope = scale * expf(logit[at] - log_sum[row]);
    dlogit[at] = at - row * n_class == target[row] ? slope - scale : slope;
}

void cross_entropy_forward(double *loss_sum, float *log_sum, const float *logit,
                           const int32_t *target, int64_t n_row, int64_t n_class)
{
    launch(__func__, dim3((unsigned)n_row), THREADS, 0, log_sums, log_sum, logit, n_class);
    launch(__func__, dim3(1), THREADS, 0, add_losses, loss_sum, log_sum, logit, target, n_row,
           n_class);
}

void cross_entropy_backward(float *dlogit, const float *logit, const float *log_sum,
                            const int32_t *target, int64_t n_row, int64_t n_class, float scale)
{
    launch_each(__func__, n_row * n_class, softmax_slope, dlogit, logit, log_sum, target, n_row,
                n_class, scale);
}

} // namespace mdl::engine
