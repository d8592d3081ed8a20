/* CUDA's runtime on the host, as far as stages/kernels uses it, so that the CUDA bodies are tested
 * on machines without a GPU. Kernels run thread by thread. What is asked of a stream runs as late
 * as it may, in an order among the streams that is drawn at random, so that a missing wait shows.
 * Memory of the device can't be touched by the host, holds NaN before it is written, and is checked
 * for writes beyond its end. */
#ifndef HOST_CUDA_RUNTIME_H
#define HOST_CUDA_RUNTIME_H

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

#define __global__
#define __device__
#define __shared__   thread_local /* of a block: all run in one thread */
#define __align__(n) __attribute__((aligned(n)))

enum cudaError_t {
    cudaSuccess,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorNoDevice = 100
};
enum cudaMemcpyKind {
    cudaMemcpyHostToDevice = 1,
    cudaMemcpyDeviceToHost = 2,
    cudaMemcpyDeviceToDevice = 3
};
enum cudaDeviceAttr { cudaDevAttrMaxSharedMemoryPerBlockOptin = 97 };
enum { cudaEventDisableTiming = 2, cudaStreamNonBlocking = 1 };

typedef struct host_stream *cudaStream_t;
typedef struct host_event *cudaEvent_t;

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned width = 1, unsigned height = 1) : x(width), y(height), z(1)
    {
    }
};

struct cudaLaunchConfig_t {
    dim3 gridDim, blockDim;
    size_t dynamicSmemBytes;
    cudaStream_t stream;
};

struct cudaDeviceProp {
    char name[256];
    unsigned char uuid[16];
    size_t totalGlobalMem;
    int major, minor;
};

constexpr size_t HOST_CUDA_SHARED = 227 * 1024; /* bytes of a block's dynamic shared memory */

enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };

struct cudaFuncAttributes {
    int binaryVersion;
};

/* Of the thread that runs. */
extern dim3 threadIdx, blockIdx, gridDim, blockDim;

void __syncthreads();
void __syncwarp();

/* The number that thread other of the same warp gives; all of its threads give theirs. */
uint64_t host_cuda_swap(uint64_t bits, unsigned other);

template <typename T> T __shfl_sync(unsigned, T value, int lane)
{
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = host_cuda_swap(bits, threadIdx.x / 32 * 32 + (unsigned)lane);
    memcpy(&value, &bits, sizeof value);
    return value;
}

template <typename T> T __shfl_xor_sync(unsigned all, T value, int apart)
{
    return __shfl_sync(all, value, (int)(threadIdx.x % 32) ^ apart);
}

template <typename T> T atomicMax(T *at, T value)
{
    T before = *at;
    *at = value > before ? value : before;
    return before;
}

inline long long __double_as_longlong(double value)
{
    long long bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

inline double __longlong_as_double(long long bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

using std::isfinite;

cudaError_t cudaDriverGetVersion(int *version);
cudaError_t cudaGetDeviceCount(int *n);
cudaError_t cudaGetDevice(int *device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device);
cudaError_t cudaDeviceSynchronize();
cudaError_t cudaGetLastError();
const char *cudaGetErrorString(cudaError_t status);

cudaError_t cudaMemGetInfo(size_t *left, size_t *all);
cudaError_t cudaMalloc(void **block, size_t n_byte);
cudaError_t cudaFree(void *block);
cudaError_t cudaMallocHost(void **block, size_t n_byte);
cudaError_t cudaFreeHost(void *block);
cudaError_t cudaMemcpy(void *to, const void *from, size_t n_byte, cudaMemcpyKind kind);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t n_byte, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaMemsetAsync(void *to, int value, size_t n_byte, cudaStream_t stream);
cudaError_t cudaMemset2DAsync(void *to, size_t pitch, int value, size_t width, size_t height,
                              cudaStream_t stream);

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);

/* 1 for code that copies from and to memory that isn't pinned, where CUDA takes the bytes at once
 * or waits; else that is an error. */
extern bool host_cuda_pageable;

/* Asks for work in a stream. */
void host_cuda_ask(cudaStream_t stream, std::function<void()> work);
cudaError_t host_cuda_launch(const cudaLaunchConfig_t *config, std::function<void()> thread);

template <typename... P>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t *config, void (*kernel)(P...),
                               P... arguments)
{
    return host_cuda_launch(config, [=] { kernel(arguments...); });
}

template <typename K> cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *, K)
{
    return cudaSuccess;
}

template <typename K> cudaError_t cudaFuncSetAttribute(K, cudaFuncAttribute, int)
{
    return cudaSuccess;
}

#endif
