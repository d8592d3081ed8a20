/* Kernels of batch_device_cuda.cu: T is the type of rows and products, sums are double, and every
 * sum has one fixed order. Matrices are row-major. */
#ifndef MDL_KERNELS_BATCH_DEVICE_KERNELS_CUH
#define MDL_KERNELS_BATCH_DEVICE_KERNELS_CUH

#include <cuda_bf16.h>
#include <stdint.h>

namespace mdl
{

constexpr int THREADS = 256;

/* What a batch leaves of one model. */
struct model_out {
    double power;  /* sum of squares off the diagonal, before centring */
    double spread; /* largest centred value */
    long long bad; /* index of a value that is not finite; LLONG_MAX: none */
    int exponent;
};

/* Sum over a block of THREADS threads, in all of them. */
__device__ inline double sum_of_block(double value)
{
    __shared__ double part[THREADS];
    part[threadIdx.x] = value;
    __syncthreads();
    for (int half = THREADS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half)
            part[threadIdx.x] += part[threadIdx.x + half];
        __syncthreads();
    }
    double sum = part[0];
    __syncthreads();
    return sum;
}

/* mean[j]: of column j less the first row. */
template <typename T>
__global__ void column_means(const T *x, int64_t n, int64_t n_feat, double *mean, model_out *out)
{
    int64_t j = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (j >= n_feat)
        return;
    double reference = (double)x[j], sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double value = (double)x[i * n_feat + j] - reference;
        if (!isfinite(value))
            atomicMin(&out->bad, (long long)(i * n_feat + j));
        sum += value;
    }
    mean[j] = sum / (double)n;
}

/* Positive doubles have the order of their bits. */
template <typename T>
__global__ void largest_centred(const T *x, int64_t n, int64_t n_feat, const double *mean,
                                model_out *out)
{
    double largest = 0;
    int64_t stride = (int64_t)gridDim.x * blockDim.x;
    for (int64_t k = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; k < n * n_feat; k += stride) {
        int64_t j = k % n_feat;
        largest = fmax(largest, fabs((double)x[k] - (double)x[j] - mean[j]));
    }
    atomicMax((unsigned long long *)&out->spread,
              (unsigned long long)__double_as_longlong(largest));
}

/* The power of two that brings the spread to [1, 2). */
__global__ inline void find_exponent(model_out *out, int limit)
{
    int exponent = out->spread > 0 ? -ilogb(out->spread) : 0;
    out->exponent = exponent > limit ? limit : exponent < -limit ? -limit : exponent;
}

template <typename T> __device__ inline T rounded(double value)
{
    return (T)value;
}
template <> __device__ inline __nv_bfloat16 rounded<__nv_bfloat16>(double value)
{
    return __float2bfloat16_rn((float)value);
}

template <typename T, typename C>
__global__ void centre(const T *x, int64_t n, int64_t n_feat, const double *mean,
                       const model_out *out, C *centred)
{
    double scale = ldexp(1.0, out->exponent);
    int64_t stride = (int64_t)gridDim.x * blockDim.x;
    for (int64_t k = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; k < n * n_feat; k += stride) {
        int64_t j = k % n_feat;
        centred[k] = rounded<C>(((double)x[k] - (double)x[j] - mean[j]) * scale);
    }
}

/* gamma in the units of x times two to gamma_exponent. The diagonal stays, for the norms of the
 * others. */
template <typename T>
__global__ void to_rbf(T *gram, int64_t n, double gamma, int gamma_exponent, double rounding,
                       const model_out *out)
{
    int64_t i = blockIdx.x;
    double scaled = ldexp(gamma, 2 * (gamma_exponent - out->exponent)),
           norm_i = (double)gram[i * n + i];
    for (int64_t j = threadIdx.x; j < n; j += blockDim.x) {
        double both = norm_i + (double)gram[j * n + j];
        double squared = both - 2 * (double)gram[i * n + j];
        if (j != i)
            gram[i * n + j] = (T)expm1(-scaled * (squared > rounding * both ? squared : 0));
    }
}

/* A block a row: sums[i] of row i and squares[i], both without the diagonal. */
template <typename T>
__global__ void row_sums(const T *gram, int64_t n, double *sums, double *squares)
{
    int64_t i = blockIdx.x;
    double sum = 0, square = 0;
    for (int64_t j = threadIdx.x; j < n; j += blockDim.x) {
        double value = j == i ? 0 : (double)gram[i * n + j];
        sum += value;
        square += value * value;
    }
    sum = sum_of_block(sum);
    square = sum_of_block(square);
    if (threadIdx.x == 0) {
        sums[i] = sum;
        squares[i] = square;
    }
}

/* One block: sums become what U-centring subtracts, for the pair i, j sums[i] + sums[j] - sums[n].
 */
__global__ inline void finish_sums(double *sums, const double *squares, int64_t n, model_out *out)
{
    double total = 0, power = 0;
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
        total += sums[i];
        power += squares[i];
    }
    total = sum_of_block(total);
    power = sum_of_block(power);
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
        sums[i] /= (double)(n - 2);
    if (threadIdx.x == 0) {
        sums[n] = total / ((double)(n - 1) * (double)(n - 2));
        out->power = power;
    }
}

/* The U-centred lower triangle, packed; a block a row, and the last one writes the zeros behind. */
template <typename T>
__global__ void pack(const T *gram, int64_t n, const double *sums, T *packed, int64_t stride)
{
    int64_t i = blockIdx.x, first = i * (i - 1) / 2;
    if (i == n) {
        for (int64_t k = first + threadIdx.x; k < stride; k += blockDim.x)
            packed[k] = (T)0;
        return;
    }
    double here = sums[i] - sums[n];
    for (int64_t j = threadIdx.x; j < i; j += blockDim.x)
        packed[first + j] = (T)((double)gram[i * n + j] - sums[j] - here);
}

/* One thread a pair: the products of all chunks, products: [n_chunk, n_model, n_model]. */
template <typename T>
__global__ void add_chunks(const T *products, int64_t n_chunk, int n_model, double *hsic)
{
    int64_t k = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (k >= (int64_t)n_model * n_model)
        return;
    int64_t a = k / n_model, b = k % n_model;
    if (b > a)
        return;
    double sum = 0;
    for (int64_t c = 0; c < n_chunk; c++)
        sum += (double)products[c * n_model * n_model + k];
    hsic[a * (a + 1) / 2 + b] = sum;
}

} // namespace mdl

#endif
