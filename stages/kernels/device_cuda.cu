extern "C" {
#include "kernels/device.h"
}

#include "kernels/device_kernels.cuh"

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
