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

int open_device(int number, mdl_error_t *err)
{
    if (current.number == number)
        return MDL_OK;
    if (current.number >= 0)
        return mdl_fail(err, MDL_E_USAGE, "GPU %d is open; a process works on one GPU alone",
                        current.number);
    int n_shared = 0;
    MDL_CUDA(cudaSetDevice(number));
    MDL_CUDA(cudaDeviceGetAttribute(&n_shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, number));
    MDL_CUDA(cudaStreamCreateWithFlags(&current.stream, cudaStreamNonBlocking));
    MDL_CUDA(cudaMalloc(&current.workspace, PRODUCT_WORKSPACE));
    MDL_CUDA(cudaMalloc(&current.narrow, NARROW_ROOM));
    cublasStatus_t made = cublasLtCreate(&current.products);
    if (made != CUBLAS_STATUS_SUCCESS)
        return mdl_fail(err, MDL_E_INTERNAL, "opening cuBLASLt: %s", cublasLtGetStatusString(made));
    current.n_shared = (size_t)n_shared;
    current.number = number;
    return MDL_OK;
}

} // namespace mdl::engine
