/* Kernels of batch_device.cu. */
#ifndef MDL_KERNELS_CUDA_BATCH_DEVICE_KERNELS_CUH
#define MDL_KERNELS_CUDA_BATCH_DEVICE_KERNELS_CUH

#include "kernels/cuda/comparison_kernels.cuh"

namespace mdl
{

/* What a batch leaves of one model; zeros before. */
struct model_out {
    double power;              /* sum of squares off the diagonal, before centring */
    unsigned long long spread; /* bits of the largest centred value */
    unsigned long long bad; /* a value isn't finite: number of values from the first such one on */
    int exponent;
};

/* mean[j]: of column j less the first row. */
template <typename T>
__global__ void column_means(const T *x, int64_t n, int64_t n_feat, double *mean, model_out *out)
{
    int64_t j = thread_of_all();
    if (j >= n_feat)
        return;
    double reference = (double)x[j], sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double value = (double)x[i * n_feat + j] - reference;
        if (!isfinite(value))
            atomicMax(&out->bad, (unsigned long long)(n * n_feat - (i * n_feat + j)));
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
    int64_t stride = (int64_t)gridDim.x * THREADS;
    for (int64_t k = thread_of_all(); k < n * n_feat; k += stride) {
        int64_t j = k % n_feat;
        largest = fmax(largest, fabs((double)x[k] - (double)x[j] - mean[j]));
    }
    atomicMax(&out->spread, (unsigned long long)__double_as_longlong(largest));
}

/* The power of two that brings the spread to [1, 2). */
__global__ void find_exponent(model_out *out, int limit)
{
    double spread = __longlong_as_double((long long)out->spread);
    int exponent = spread > 0 && isfinite(spread) ? -ilogb(spread) : 0;
    if (blockIdx.x == 0 && threadIdx.x == 0)
        out->exponent = exponent > limit ? limit : exponent < -limit ? -limit : exponent;
}

template <typename T, typename C>
__global__ void centre(const T *x, int64_t n, int64_t n_feat, const double *mean,
                       const model_out *out, C *centred)
{
    double scale = ldexp(1.0, out->exponent);
    int64_t stride = (int64_t)gridDim.x * THREADS;
    for (int64_t k = thread_of_all(); k < n * n_feat; k += stride) {
        int64_t j = k % n_feat;
        centred[k] = rounded<C>(((double)x[k] - (double)x[j] - mean[j]) * scale);
    }
}

/* A block a row; gamma in the units of x times two to gamma_exponent. The diagonal stays, for the
 * lengths of the others. */
template <typename T>
__global__ void to_rbf(T *gram, int64_t n, double gamma, int gamma_exponent, const model_out *out)
{
    int64_t i = blockIdx.x;
    double scaled = ldexp(gamma, 2 * (gamma_exponent - out->exponent));
    double square_i = (double)gram[i * n + i];
    for (int64_t j = threadIdx.x; j < n; j += THREADS)
        if (j != i)
            gram[i * n + j] =
                rbf_less_one(gram[i * n + j], square_i, (double)gram[j * n + j], scaled);
}

/* A block a row: sums[i] of row i and squares[i], both without the diagonal. */
template <typename T>
__global__ void row_sums(const T *gram, int64_t n, double *sums, double *squares)
{
    int64_t i = blockIdx.x;
    double sum = 0, square = 0;
    for (int64_t j = threadIdx.x; j < n; j += THREADS) {
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
__global__ void finish_sums(double *sums, const double *squares, int64_t n, model_out *out)
{
    double total = 0, power = 0;
    for (int64_t i = threadIdx.x; i < n; i += THREADS) {
        total += sums[i];
        power += squares[i];
    }
    total = sum_of_block(total);
    power = sum_of_block(power);
    for (int64_t i = threadIdx.x; i < n; i += THREADS)
        sums[i] /= (double)(n - 2);
    if (threadIdx.x == 0) {
        sums[n] = total / ((double)(n - 1) * (double)(n - 2));
        out->power = power;
    }
}

/* The U-centred lower triangle, packed; a block a row, and the last one writes the zeros up to
 * end. */
template <typename T>
__global__ void pack(const T *gram, int64_t n, const double *sums, T *packed, int64_t end)
{
    int64_t i = blockIdx.x, first = i * (i - 1) / 2;
    if (i == n) {
        for (int64_t k = first + threadIdx.x; k < end; k += THREADS)
            packed[k] = (T)0;
        return;
    }
    double here = sums[i] - sums[n];
    for (int64_t j = threadIdx.x; j < i; j += THREADS)
        packed[first + j] = (T)((double)gram[i * n + j] - sums[j] - here);
}

} // namespace mdl

#endif
