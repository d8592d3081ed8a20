/* Kernels that several bodies of comparisons launch, by mdl::launch. T is the type of rows and
 * products, sums are double, and every sum has one fixed order. Matrices are row-major. */
#ifndef MDL_KERNELS_CUDA_COMPARISON_KERNELS_CUH
#define MDL_KERNELS_CUDA_COMPARISON_KERNELS_CUH

#include "kernels/cuda/pipeline.cuh"

#include <cuda_bf16.h>

namespace mdl
{

template <typename T> __device__ inline T rounded(double value)
{
    return (T)value;
}
template <> __device__ inline __nv_bfloat16 rounded<__nv_bfloat16>(double value)
{
    return __float2bfloat16_rn((float)value);
}

template <typename T> __device__ inline double widened(T value)
{
    return (double)value;
}
template <> __device__ inline double widened(__nv_bfloat16 value)
{
    return (double)__bfloat162float(value);
}

/* The RBF kernel less 1 for a pair's inner product and the squared lengths of both. Distances
 * within rounding of the lengths are 0. */
template <typename T>
__device__ inline T rbf_less_one(T product, double square_i, double square_j, double gamma)
{
    double both = square_i + square_j, squared = both - 2 * (double)product;
    double rounding = sizeof(T) == sizeof(double) ? 1e-13 : 3e-6;
    return squared > rounding * both ? (T)expm1(-gamma * squared) : (T)0;
}

/* A block a pair: the sum of its products of all chunks, products: [n_chunk, n_model, n_model],
 * into the packed lower triangle. */
template <typename T>
__global__ void add_chunks(const T *products, int64_t n_chunk, int n_model, double *sums)
{
    int64_t a = blockIdx.x / n_model, b = blockIdx.x % n_model;
    if (b > a)
        return;
    double sum = 0;
    for (int64_t c = threadIdx.x; c < n_chunk; c += THREADS)
        sum += (double)products[(c * n_model + a) * n_model + b];
    sum = sum_of_block(sum);
    if (threadIdx.x == 0)
        sums[a * (a + 1) / 2 + b] = sum;
}

} // namespace mdl

#endif
