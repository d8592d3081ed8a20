#include "kernels/cuda/device.h"
#include "kernels/cuda/operations.h"
#include "kernels/cuda/tools.cuh"

#include <cstring>

namespace mdl::engine
{

/* Reports what went wrong since the last report, in operations or in this call. */
static int report(cudaError_t status, const char *what, mdl_error_t *err)
{
    if (status != cudaSuccess) {
        cudaGetLastError();
        keep_failure(what, cudaGetErrorString(status));
    }
    if (!current.failed)
        return MDL_OK;
    current.failed = false;
    return mdl_fail(err, MDL_E_INTERNAL, "GPU %d: %s", current.number, current.failure);
}

int alloc(void *pointer_to_pointer, size_t n_byte, const char *what, mdl_error_t *err)
{
    void *memory = nullptr;
    int rc =
        allocate_bytes(&memory, n_byte, what,
                       "set trainer.activation_checkpointing, lower the lengths of the corpus, "
                       "the visual tokens of an image, trainer.batch or trainer.lora.rank, or "
                       "compute with --backend cpu",
                       err);
    std::memcpy(pointer_to_pointer, &memory, sizeof memory);
    if (rc != MDL_OK)
        return rc;
    return report(cudaMemsetAsync(memory, 0, n_byte, stream()), what, err);
}

void release(void *memory)
{
    cudaError_t status = cudaFree(memory);
    if (status != cudaSuccess)
        keep_failure(__func__, cudaGetErrorString(status));
}

int upload(void *to, const void *from_host, size_t n_byte, mdl_error_t *err)
{
    return report(cudaMemcpyAsync(to, from_host, n_byte, cudaMemcpyHostToDevice, stream()),
                  __func__, err);
}

int download(void *to_host, const void *from, size_t n_byte, mdl_error_t *err)
{
    cudaError_t status = cudaMemcpyAsync(to_host, from, n_byte, cudaMemcpyDeviceToHost, stream());
    if (status == cudaSuccess)
        status = cudaStreamSynchronize(stream());
    return report(status, __func__, err);
}

void copy(void *to, const void *from, size_t n_byte)
{
    cudaError_t status = cudaMemcpyAsync(to, from, n_byte, cudaMemcpyDeviceToDevice, stream());
    if (status != cudaSuccess)
        keep_failure(__func__, cudaGetErrorString(status));
}

void zero(void *memory, size_t n_byte)
{
    cudaError_t status = cudaMemsetAsync(memory, 0, n_byte, stream());
    if (status != cudaSuccess)
        keep_failure(__func__, cudaGetErrorString(status));
}

} // namespace mdl::engine
