/* What the CUDA bodies of the backend's operations share: the device at work, launches, sums over
 * threads. Operations run one after the other on one stream; every sum has one fixed order. */
#ifndef MDL_KERNELS_CUDA_TOOLS_CUH
#define MDL_KERNELS_CUDA_TOOLS_CUH

#include <cuda_runtime.h>
#include <stdint.h>

namespace mdl::engine
{

constexpr int WARP = 32;
constexpr int THREADS = 256;
constexpr int WARPS = THREADS / WARP;

/* The stream of the device that this process works on. */
cudaStream_t stream();

/* Keeps the first failure of an operation for the next call that can report it. */
void keep_failure(const char *operation, const char *why);

/* Bytes of dynamic shared memory that a kernel has without asking. */
constexpr size_t FREE_SHARED = 48 * 1024;

template <typename... P, typename... A>
void launch(const char *operation, dim3 grid, int n_thread, size_t n_shared, void (*kernel)(P...),
            A... arguments)
{
    cudaError_t status = cudaSuccess;
    if (grid.x == 0 || grid.y == 0)
        return;
    if (n_shared > FREE_SHARED)
        status = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      (int)n_shared);
    if (status == cudaSuccess) {
        cudaLaunchConfig_t config = {};
        config.gridDim = grid;
        config.blockDim = dim3((unsigned)n_thread);
        config.dynamicSmemBytes = n_shared;
        config.stream = stream();
        status = cudaLaunchKernelEx(&config, kernel, static_cast<P>(arguments)...);
    }
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

/* This thread's number of all of launch_each. */
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

/* Sum over a block of THREADS threads, in all of them. */
template <typename T> __device__ inline T sum_of_block(T value)
{
    __shared__ T part[WARPS];
    value = sum_of_warp(value);
    if (threadIdx.x % WARP == 0)
        part[threadIdx.x / WARP] = value;
    __syncthreads();
    T sum = 0;
    for (int i = 0; i < WARPS; i++)
        sum += part[i];
    __syncthreads();
    return sum;
}

} // namespace mdl::engine

#endif
