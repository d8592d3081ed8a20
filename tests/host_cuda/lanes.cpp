extern "C" {
#include "lanes.h"
}
#include "kernels/cuda/operations.h"
#include "kernels/cuda/tools.cuh"

#include <cstdio>
#include <cstdlib>

namespace mdl::engine
{

static cudaStream_t operations;

cudaStream_t stream()
{
    return operations;
}

void keep_failure(const char *operation, const char *why)
{
    fprintf(stderr, "%s: %s\n", operation, why);
    abort();
}

} // namespace mdl::engine

static int device_alloc(void *pointer_to_pointer, size_t n_byte, const char *, mdl_error_t *)
{
    void *memory = nullptr;
    int rc = cudaMalloc(&memory, n_byte) == cudaSuccess ? MDL_OK : MDL_E_MEMORY;
    memcpy(pointer_to_pointer, &memory, sizeof memory);
    return rc;
}

static void device_release(void *memory)
{
    cudaFree(memory);
}

extern "C" mdl_backend_t host_cuda_lanes(void)
{
    mdl_backend_t backend = {};
    cudaStreamCreateWithFlags(&mdl::engine::operations, cudaStreamNonBlocking);
    backend.alloc = device_alloc;
    backend.release = device_release;
    backend.host_alloc = mdl::engine::host_alloc;
    backend.host_release = mdl::engine::host_release;
    backend.lane_open = mdl::engine::lane_open;
    backend.lane_send = mdl::engine::lane_send;
    backend.lane_join = mdl::engine::lane_join;
    backend.lane_wait = mdl::engine::lane_wait;
    return backend;
}

extern "C" void host_cuda_operation(void (*work)(int64_t number), int64_t number)
{
    host_cuda_ask(mdl::engine::operations, [=] { work(number); });
}

extern "C" void host_cuda_finish(void)
{
    cudaStreamSynchronize(mdl::engine::operations);
}
