extern "C" {
#include "kernels/device.h"
}

#include "kernels/cuda/comparison_kernels.cuh"

#include <chrono>
#include <cstdio>
#include <cstring>

extern "C" int mdl_device_count(const char **why)
{
    int n = 0, driver = 0;
    cudaError_t status = cudaGetDeviceCount(&n);
    cudaDriverGetVersion(&driver);
    if (status != cudaSuccess)
        cudaGetLastError();
    if (driver == 0)
        *why = "no CUDA device: this node has no NVIDIA driver";
    else if (status == cudaSuccess || status == cudaErrorNoDevice)
        *why = "no CUDA device: CUDA finds no GPU on this node";
    else
        *why = cudaGetErrorString(status);
    return status == cudaSuccess ? n : 0;
}

extern "C" int mdl_device_describe(int device, mdl_device_t *found, mdl_error_t *err)
{
    cudaDeviceProp properties;
    cudaFuncAttributes attributes;
    int before = 0;
    MDL_CUDA(cudaGetDevice(&before));
    MDL_CUDA(cudaGetDeviceProperties(&properties, device));
    MDL_CUDA(cudaSetDevice(device));
    cudaError_t status = cudaFuncGetAttributes(&attributes, mdl::add_chunks<float>);
    MDL_CUDA(cudaSetDevice(before));
    if (status != cudaSuccess) {
        cudaGetLastError();
        return mdl_fail(err, MDL_E_USAGE,
                        "GPU %d, %s of compute capability %d.%d, can't run this build (%s): "
                        "configure with CMAKE_CUDA_ARCHITECTURES=%d%d",
                        device, properties.name, properties.major, properties.minor,
                        cudaGetErrorString(status), properties.major, properties.minor);
    }
    snprintf(found->name, sizeof found->name, "%.63s", properties.name);
    memcpy(found->uuid, &properties.uuid, sizeof found->uuid);
    found->memory = (double)properties.totalGlobalMem;
    return MDL_OK;
}

namespace
{

double seconds_now()
{
    auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration<double>(now).count();
}

/* As cuBLAS computes without being asked for anything else than no TF32. */
int measure_rate(mdl::pipeline &d, const mdl::reals &type, int n, double *rate, mdl_error_t *err)
{
    constexpr int ROUNDS = 6, PRODUCTS = 4, SMALL = 0x3d;
    const float one = 1, zero = 0;
    const double double_one = 1, double_zero = 0;
    bool wide = type.output == CUDA_R_64F;
    char *factor = nullptr, *out = nullptr;
    size_t n_value = (size_t)n * (size_t)n;
    MDL_DO(allocate(d, &factor, n_value, type.input_size, "a matrix", err));
    MDL_DO(allocate(d, &out, n_value, type.size, "a matrix", err));
    MDL_CUDA(cudaMemsetAsync(factor, SMALL, n_value * type.input_size, d.compute));
    *rate = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double start = seconds_now();
        for (int k = 0; k < PRODUCTS; k++)
            MDL_CUBLAS(cublasGemmEx(
                d.blas, CUBLAS_OP_T, CUBLAS_OP_N, n, n, n, wide ? (const void *)&double_one : &one,
                factor, type.input, n, factor, type.input, n,
                wide ? (const void *)&double_zero : &zero, out, type.output, n,
                wide ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
        MDL_CUDA(cudaStreamSynchronize(d.compute));
        double found = 2.0 * PRODUCTS * (double)n * (double)n_value / (seconds_now() - start);
        *rate = found > *rate ? found : *rate;
    }
    return MDL_OK;
}

} // namespace

extern "C" int mdl_device_rate(int device, int is_double, int bfloat16, int64_t n, double *rate,
                               mdl_error_t *err)
{
    mdl::pipeline d;
    d.advice = "end what else runs on it";
    if (n > 32768)
        return mdl_fail(err, MDL_E_USAGE, "matrices of %lld rows are too large to measure with",
                        (long long)n);
    int rc = mdl::open_pipeline(d, device, err);
    if (rc == MDL_OK)
        rc = measure_rate(d, mdl::reals_of(is_double, bfloat16), (int)n, rate, err);
    mdl::close_pipeline(d);
    return rc;
}
