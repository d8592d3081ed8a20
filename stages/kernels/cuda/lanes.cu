#include "kernels/cuda/operations.h"
#include "kernels/cuda/tools.cuh"

#include <cstring>

namespace mdl::engine
{

/* Copies that run beside operations, on a stream of their own. */
static struct {
    cudaStream_t stream;
    cudaEvent_t called;           /* the operations before lane_open */
    cudaEvent_t done[MDL_N_LANE]; /* each lane's copy */
} lanes;

static void check(const char *operation, cudaError_t status)
{
    if (status != cudaSuccess)
        keep_failure(operation, cudaGetErrorString(status));
}

static cudaError_t open_lanes()
{
    if (lanes.stream != nullptr)
        return cudaSuccess;
    cudaError_t status = cudaEventCreateWithFlags(&lanes.called, cudaEventDisableTiming);
    for (int i = 0; status == cudaSuccess && i < MDL_N_LANE; i++)
        status = cudaEventCreateWithFlags(&lanes.done[i], cudaEventDisableTiming);
    return status == cudaSuccess ? cudaStreamCreateWithFlags(&lanes.stream, cudaStreamNonBlocking)
                                 : status;
}

int host_alloc(void *pointer_to_pointer, size_t n_byte, const char *what, mdl_error_t *err)
{
    void *memory = nullptr;
    cudaError_t status = open_lanes();
    if (status == cudaSuccess)
        status = cudaMallocHost(&memory, n_byte > 0 ? n_byte : 1);
    std::memcpy(pointer_to_pointer, &memory, sizeof memory);
    if (status == cudaSuccess)
        return MDL_OK;
    cudaGetLastError();
    return mdl_fail(
        err, status == cudaErrorMemoryAllocation ? MDL_E_MEMORY : MDL_E_INTERNAL,
        "no page-locked memory of the host for %s (%zu bytes): %s; shard over more ranks "
        "or nodes",
        what, n_byte, cudaGetErrorString(status));
}

void host_release(void *memory)
{
    check(__func__, cudaFreeHost(memory));
}

void lane_open(int)
{
    check(__func__, cudaEventRecord(lanes.called, stream()));
    check(__func__, cudaStreamWaitEvent(lanes.stream, lanes.called, 0));
}

void lane_send(int lane, void *to, const void *from_host, size_t n_byte)
{
    check(__func__, cudaMemcpyAsync(to, from_host, n_byte, cudaMemcpyHostToDevice, lanes.stream));
    check(__func__, cudaEventRecord(lanes.done[lane], lanes.stream));
}

void lane_join(int lane)
{
    check(__func__, cudaStreamWaitEvent(stream(), lanes.done[lane], 0));
}

void lane_wait(int lane)
{
    check(__func__, cudaEventSynchronize(lanes.done[lane]));
}

} // namespace mdl::engine
