#include "kernels/cuda/device.h"

#include "kernels/cuda/tools.cuh"

#include <cstdio>

namespace mdl::engine
{

device current;

cudaStream_t stream()
{
    return current.stream;
}

void keep_failure(const char *operation, const char *why)
{
    if (!current.failed)
        snprintf(current.failure, sizeof current.failure, "%s: %s", operation, why);
    current.failed = true;
}

static int failed(const char *what, const char *why, mdl_error_t *err)
{
    return mdl_fail(err, MDL_E_INTERNAL, "CUDA: %s: %s", what, why);
}

int open_device(int number, mdl_error_t *err)
{
    if (current.number == number)
        return MDL_OK;
    if (current.number >= 0)
        return mdl_fail(err, MDL_E_USAGE, "GPU %d is open; a process works on one GPU alone",
                        current.number);
    int n_shared = 0;
    cudaError_t status = cudaSetDevice(number);
    if (status == cudaSuccess)
        status = cudaDeviceGetAttribute(&n_shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, number);
    if (status == cudaSuccess)
        status = cudaStreamCreateWithFlags(&current.stream, cudaStreamNonBlocking);
    if (status == cudaSuccess)
        status = cudaMalloc(&current.workspace, PRODUCT_WORKSPACE);
    if (status == cudaSuccess)
        status = cudaMalloc(&current.narrow, NARROW_ROOM);
    if (status != cudaSuccess)
        return failed("opening a GPU", cudaGetErrorString(status), err);
    cublasStatus_t made = cublasLtCreate(&current.products);
    if (made != CUBLAS_STATUS_SUCCESS)
        return failed("opening cuBLASLt", cublasLtGetStatusString(made), err);
    current.n_shared = (size_t)n_shared;
    current.number = number;
    return MDL_OK;
}

} // namespace mdl::engine
