/* The device that this process works on: what opening it makes, for the files of this folder. */
#ifndef MDL_KERNELS_CUDA_DEVICE_H
#define MDL_KERNELS_CUDA_DEVICE_H

#include <cublasLt.h>
#include <cuda_runtime.h>

extern "C" {
#include "core/error.h"
}

namespace mdl::engine
{

/* What cuBLASLt may use of the device for one product; a constant, so that the same product is
 * always computed in the same way. */
constexpr size_t PRODUCT_WORKSPACE = (size_t)32 << 20;

/* What factors that are rounded to bfloat16 may take at once; longer ones come in parts. */
constexpr size_t NARROW_ROOM = (size_t)128 << 20;

struct device {
    int number = -1; /* none is open */
    cudaStream_t stream = nullptr;
    size_t n_shared = 0; /* bytes of shared memory that a block can ask for */
    cublasLtHandle_t products = nullptr;
    void *workspace = nullptr; /* [PRODUCT_WORKSPACE] bytes */
    void *narrow = nullptr;    /* [NARROW_ROOM] bytes */
    bool failed = false;       /* an operation did, since it was last asked */
    char failure[256] = "";
};

extern device current;

/* Opens device number as current, once. Returns MDL_E_USAGE when another one is open, MDL_E_MEMORY
 * or MDL_E_INTERNAL. */
int open_device(int number, mdl_error_t *err);

} // namespace mdl::engine

#endif
