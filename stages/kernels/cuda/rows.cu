#include "kernels/cuda/operations.h"
#include "kernels/cuda/tools.cuh"

#include <cuda_bf16.h>

namespace mdl::engine
{

__global__ void set_rows(float *x, const float *bias, int64_t n_value, int64_t n_feat)
{
    int64_t at = thread_of_all();
    if (at < n_value)
        x[at] = bias[at % n_feat];
}

__global__ void add_scaled(float *x, const float *y, const float *scale, int64_t n_value,
                           int64_t n_feat)
{
    int64_t at = thread_of_all();
    if (at < n_value)
        x[at] += scale != nullptr ? y[at] * scale[at % n_feat] : y[at];
}

/* A thread a column. */
__global__ void sum_columns(float *sum, const float *x, int64_t n_row, int64_t n_feat)
{
    int64_t i = thread_of_all();
    if (i >= n_feat)
        return;
    float total = sum[i];
    for (int64_t row = 0; row < n_row; row++)
        total += x[row * n_feat + i];
    sum[i] = total;
}

__global__ void average_columns(float *out, const float *x, int64_t n_row, int64_t n_feat)
{
    int64_t i = thread_of_all();
    if (i >= n_feat)
        return;
    float total = 0;
    for (int64_t row = 0; row < n_row; row++)
        total += x[row * n_feat + i];
    out[i] = total / (float)n_row;
}

template <typename T>
__global__ void move(float *out, const int32_t *to, const T *in, const int32_t *from, int64_t n_row,
                     int64_t n_feat, float scale)
{
    int64_t at = thread_of_all(), row = at / n_feat, i = at % n_feat;
    if (row >= n_row)
        return;
    int64_t out_row = to != nullptr ? to[row] : row, in_row = from != nullptr ? from[row] : row;
    out[out_row * n_feat + i] = scale * (float)in[in_row * n_feat + i];
}

/* A block a row: each thread finds the best of its columns, then thread 0 the best of these. */
__global__ void find_largest(int32_t *at, const float *x, int64_t n_feat)
{
    __shared__ float value[THREADS];
    __shared__ int32_t place[THREADS];
    const float *row = x + blockIdx.x * n_feat;
    int64_t best = threadIdx.x < n_feat ? threadIdx.x : 0;
    for (int64_t i = threadIdx.x; i < n_feat; i += THREADS)
        best = row[i] > row[best] ? i : best;
    value[threadIdx.x] = row[best];
    place[threadIdx.x] = (int32_t)best;
    __syncthreads();
    if (threadIdx.x != 0)
        return;
    for (int k = 1; k < THREADS; k++)
        if (value[k] > row[best] || (value[k] == row[best] && place[k] < best))
            best = place[k];
    at[blockIdx.x] = (int32_t)best;
}

void rows_set(float *x, const float *bias, int64_t n_row, int64_t n_feat)
{
    launch_each(__func__, n_row * n_feat, set_rows, x, bias, n_row * n_feat, n_feat);
}

void rows_add_scaled(float *x, const float *y, const float *scale, int64_t n_row, int64_t n_feat)
{
    launch_each(__func__, n_row * n_feat, add_scaled, x, y, scale, n_row * n_feat, n_feat);
}

void rows_sum(float *sum, const float *x, int64_t n_row, int64_t n_feat)
{
    launch_each(__func__, n_feat, sum_columns, sum, x, n_row, n_feat);
}

void rows_mean(float *out, const float *x, int64_t n_row, int64_t n_feat)
{
    launch_each(__func__, n_feat, average_columns, out, x, n_row, n_feat);
}

void rows_move(float *out, const int32_t *to, const float *in, const int32_t *from, int64_t n_row,
               int64_t n_feat, float scale)
{
    launch_each(__func__, n_row * n_feat, move<float>, out, to, in, from, n_row, n_feat, scale);
}

void rows_embed(float *out, const int32_t *to, const void *table, const int32_t *from,
                int64_t n_row, int64_t n_feat, float scale)
{
    rows_move(out, to, static_cast<const float *>(table), from, n_row, n_feat, scale);
}

void rows_embed_bfloat16(float *out, const int32_t *to, const void *table, const int32_t *from,
                         int64_t n_row, int64_t n_feat, float scale)
{
    launch_each(__func__, n_row * n_feat, move<__nv_bfloat16>, out, to,
                static_cast<const __nv_bfloat16 *>(table), from, n_row, n_feat, scale);
}

void rows_largest(int32_t *at, const float *x, int64_t n_row, int64_t n_feat)
{
    launch(__func__, dim3((unsigned)n_row), THREADS, 0, find_largest, at, x, n_feat);
}

} // namespace mdl::engine
