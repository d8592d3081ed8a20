/* What all CUDA code shares: errors, launches, sums over threads, in which every sum has one fixed
 * order. */
#ifndef MDL_KERNELS_CUDA_TOOLS_CUH
#define MDL_KERNELS_CUDA_TOOLS_CUH

extern "C" {
#include "core/error.h"
#include "core/text.h"
}

#include <cuda_runtime.h>
#include <stdint.h>

/* These leave a function that has err by returning what failed. */
#define MDL_CUDA(call)                                                                             \
    do {                                                                                           \
        cudaError_t status_ = (call);                                                              \
        if (status_ != cudaSuccess)                                                                \
            return mdl::cuda_failed(status_, #call, err);                                          \
    } while (0)

#define MDL_DO(call)                                                                               \
    do {                                                                                           \
        int rc_ = (call);                                                                          \
        if (rc_ != MDL_OK)                                                                         \
            return rc_;                                                                            \
    } while (0)

namespace mdl
{

constexpr int WARP = 32;
constexpr int THREADS = 256;
constexpr int WARPS = THREADS / WARP;

/* The error stays with CUDA until it is asked for, and would come up again after the next launch.
 */
inline int cuda_failed(cudaError_t status, const char *what, mdl_error_t *err)
{
    cudaGetLastError();
    return mdl_fail(err, MDL_E_INTERNAL, "CUDA: %s: %s", what, cudaGetErrorString(status));
}

/* n_byte bytes of the device at work for what. Returns MDL_E_MEMORY, with the advice what to lower,
 * MDL_E_INTERNAL. */
inline int allocate_bytes(void **memory, size_t n_byte, const char *what, const char *advice,
                          mdl_error_t *err)
{
    cudaError_t status = cudaMalloc(memory, n_byte > 0 ? n_byte : 1);
    if (status != cudaErrorMemoryAllocation)
        return status == cudaSuccess ? MDL_OK : cuda_failed(status, what, err);
    size_t left = 0, all = 0;
    char wanted[32], free_text[32], all_text[32];
    cudaGetLastError();
    cudaMemGetInfo(&left, &all);
    return mdl_fail(err, MDL_E_MEMORY, "the GPU has no %s for %s: %s of its %s are free; %s",
                    mdl_text_bytes((double)n_byte, wanted), what,
                    mdl_text_bytes((double)left, free_text), mdl_text_bytes((double)all, all_text),
                    advice);
}

/* Bytes of dynamic shared memory that a kernel has without asking. */
constexpr size_t FREE_SHARED = 48 * 1024;

template <typename... P, typename... A>
cudaError_t start_kernel(cudaStream_t stream, dim3 grid, int n_thread, size_t n_shared,
                         void (*kernel)(P...), A... arguments)
{
    cudaError_t status = cudaSuccess;
    if (n_shared > FREE_SHARED)
        status = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      (int)n_shared);
    if (status != cudaSuccess)
        return status;
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = dim3((unsigned)n_thread);
    config.dynamicSmemBytes = n_shared;
    config.stream = stream;
    return cudaLaunchKernelEx(&config, kernel, static_cast<P>(arguments)...);
}

/* This thread's number of all of a launch. */
__device__ inline int64_t thread_of_all()
{
    return (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
}

/* Sum over a warp, in all of its lanes. */
template <typename T> __device__ inline T sum_of_warp(T value)
{
    for (int half = WARP / 2; half > 0; half /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, half);
    return value;
}

__device__ inline float largest_of_warp(float value)
{
    for (int half = WARP / 2; half > 0; half /= 2)
        value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, half));
    return value;
}

/* Sum over a block of THREADS threads, in all of them: of a square, by columns and then on. */
template <typename T> __device__ inline T sum_of_block(T value)
{
    constexpr int SIDE = 16;
    static_assert(SIDE * SIDE == THREADS, "a square of threads");
    __shared__ T part[THREADS], column[SIDE];
    part[threadIdx.x] = value;
    __syncthreads();
    if (threadIdx.x < SIDE) {
        T sum = 0;
        for (int k = 0; k < SIDE; k++)
            sum += part[k * SIDE + (int)threadIdx.x];
        column[threadIdx.x] = sum;
    }
    __syncthreads();
    T sum = 0;
    for (int k = 0; k < SIDE; k++)
        sum += column[k];
    __syncthreads();
    return sum;
}

} // namespace mdl

/* Of the engine's operations, which run one after the other on one stream and return nothing. */
namespace mdl::engine
{

/* The stream of the device that this process works on. */
cudaStream_t stream();

/* Keeps the first failure of an operation for the next call that can report it. */
void keep_failure(const char *operation, const char *why);

template <typename... P, typename... A>
void launch(const char *operation, dim3 grid, int n_thread, size_t n_shared, void (*kernel)(P...),
            A... arguments)
{
    if (grid.x == 0 || grid.y == 0)
        return;
    cudaError_t status = start_kernel(stream(), grid, n_thread, n_shared, kernel, arguments...);
    if (status != cudaSuccess)
        keep_failure(operation, cudaGetErrorString(status));
}

/* One thread for each of n values. */
template <typename... P, typename... A>
void launch_each(const char *operation, int64_t n, void (*kernel)(P...), A... arguments)
{
    launch(operation, dim3((unsigned)((n + THREADS - 1) / THREADS)), THREADS, 0, kernel,
           arguments...);
}

} // namespace mdl::engine

#endif
