#include "kernels/cuda/operations.h"
#include "kernels/cuda/tools.cuh"

namespace mdl::engine
{

/* A block a row. */
__global__ void norm_rows(float *out, float *inverse, const float *in, const float *weight,
                          int64_t n_feat, float eps)
{
    const float *x = in + blockIdx.x * n_feat;
    float *y = out + blockIdx.x * n_feat;
    float sum = 0;
    for (int64_t i = threadIdx.x; i < n_feat; i += THREADS)
        sum += x[i] * x[i];
    float scale = 1.0f / sqrtf(sum_of_block(sum) / (float)n_feat + eps);
    if (threadIdx.x == 0)
        inverse[blockIdx.x] = scale;
    for (int64_t i = threadIdx.x; i < n_feat; i += THREADS)
        y[i] = x[i] * scale * weight[i];
}

__global__ void norm_rows_backward(float *din, const float *dout, const float *in,
                                   const float *inverse, const float *weight, int64_t n_feat)
{
    const float *x = in + blockIdx.x * n_feat;
    const float *dy = dout + blockIdx.x * n_feat;
    float *dx = din + blockIdx.x * n_feat;
    float scale = inverse[blockIdx.x], dot = 0;
    for (int64_t i = threadIdx.x; i < n_feat; i += THREADS)
        dot += dy[i] * weight[i] * x[i];
    float along = sum_of_block(dot) * scale * scale * scale / (float)n_feat;
    for (int64_t i = threadIdx.x; i < n_feat; i += THREADS)
        dx[i] += dy[i] * weight[i] * scale - x[i] * along;
}

/* The same with the mean taken off; out may be in. */
__global__ void norm_layers(float *out, const float *in, const float *weight, const float *bias,
                            int64_t n_feat, float eps)
{
    const float *x = in + blockIdx.x * n_feat;
    float *y = out + blockIdx.x * n_feat;
    float sum = 0, square = 0;
    for (int64_t i = threadIdx.x; i < n_feat; i += THREADS)
        sum += x[i];
    float mean = sum_of_block(sum) / (float)n_feat;
    for (int64_t i = threadIdx.x; i < n_feat; i += THREADS)
        square += (x[i] - mean) * (x[i] - mean);
    float scale = 1.0f / sqrtf(sum_of_block(square) / (float)n_feat + eps);
    for (int64_t i = threadIdx.x; i < n_feat; i += THREADS)
        y[i] = (x[i] - mean) * scale * weight[i] + bias[i];
}

/* A warp a head; a block has WARPS of them. Where heads of rows are. */
struct heads {
    int64_t n_row, n_head, n_head_feat, ld_x, ld_plain, ld_inverse;
};

__device__ inline bool find_head(const heads &shape, int64_t *row, int64_t *head)
{
    int64_t number = (int64_t)blockIdx.x * WARPS + threadIdx.x / WARP;
    *row = number / shape.n_head;
    *head = number % shape.n_head;
    return *row < shape.n_row;
}

__global__ void norm_heads(float *x, float *plain, float *inverse, const float *weight, heads shape,
                           float eps)
{
    int64_t row, head, lane = threadIdx.x % WARP, n_feat = shape.n_head_feat;
    if (!find_head(shape, &row, &head))
        return;
    float *y = x + row * shape.ld_x + head * n_feat;
    float *kept = plain + row * shape.ld_plain + head * n_feat, sum = 0;
    for (int64_t i = lane; i < n_feat; i += WARP)
        sum += y[i] * y[i];
    float scale = 1.0f / sqrtf(sum_of_warp(sum) / (float)n_feat + eps);
    if (lane == 0)
        inverse[row * shape.ld_inverse + head] = scale;
    for (int64_t i = lane; i < n_feat; i += WARP) {
        kept[i] = y[i];
        y[i] = y[i] * scale * weight[i];
    }
}

__global__ void norm_heads_backward(float *dx, const float *plain, const float *inverse,
                                    const float *weight, heads shape)
{
    int64_t row, head, lane = threadIdx.x % WARP, n_feat = shape.n_head_feat;
    if (!find_head(shape, &row, &head))
        return;
    float *dy = dx + row * shape.ld_x + head * n_feat;
    const float *x = plain + row * shape.ld_plain + head * n_feat;
    float scale = inverse[row * shape.ld_inverse + head], dot = 0;
    for (int64_t i = lane; i < n_feat; i += WARP)
        dot += dy[i] * weight[i] * x[i];
    float along = sum_of_warp(dot) * scale * scale * scale / (float)n_feat;
    for (int64_t i = lane; i < n_feat; i += WARP)
        dy[i] = dy[i] * weight[i] * scale - x[i] * along;
}

void rmsnorm_forward(float *out, float *inverse, const float *in, const float *weight,
                     int64_t n_row, int64_t n_feat, float eps)
{
    launch(__func__, dim3((unsigned)n_row), THREADS, 0, norm_rows, out, inverse, in, weight, n_feat,
           eps);
}

void rmsnorm_backward(float *din, const float *dout, const float *in, const float *inverse,
                      const float *weight, int64_t n_row, int64_t n_feat)
{
    launch(__func__, dim3((unsigned)n_row), THREADS, 0, norm_rows_backward, din, dout, in, inverse,
           weight, n_feat);
}

void layernorm_forward(float *out, const float *in, const float *weight, const float *bias,
                       int64_t n_row, int64_t n_feat, float eps)
{
    launch(__func__, dim3((unsigned)n_row), THREADS, 0, norm_layers, out, in, weight, bias, n_feat,
           eps);
}

static dim3 blocks_for_heads(int64_t n_row, int64_t n_head)
{
    return dim3((unsigned)((n_row * n_head + WARPS - 1) / WARPS));
}

void head_norm_forward(float *x, float *plain, float *inverse, const float *weight, int64_t n_row,
                       int64_t n_head, int64_t n_head_feat, int64_t ld_x, int64_t ld_plain,
                       int64_t ld_inverse, float eps)
{
    heads shape = {n_row, n_head, n_head_feat, ld_x, ld_plain, ld_inverse};
    launch(__func__, blocks_for_heads(n_row, n_head), THREADS, 0, norm_heads, x, plain, inverse,
           weight, shape, eps);
}

void head_norm_backward(float *dx, const float *plain, const float *inverse, const float *weight,
                        int64_t n_row, int64_t n_head, int64_t n_head_feat, int64_t ld_dx,
                        int64_t ld_plain, int64_t ld_inverse)
{
    heads shape = {n_row, n_head, n_head_feat, ld_dx, ld_plain, ld_inverse};
    launch(__func__, blocks_for_heads(n_row, n_head), THREADS, 0, norm_heads_backward, dx, plain,
           inverse, weight, shape);
}

} // namespace mdl::engine
