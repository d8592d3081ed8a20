/* What the bodies of the engine's operations need of the host beside the runtime: the dynamic
 * shared memory that they name, and copies from and to memory that isn't pinned. */
#include "cuda_runtime.h"

namespace mdl::engine
{

extern __shared__ float tiles[];
alignas(128) thread_local float tiles[HOST_CUDA_SHARED / sizeof(float)];

namespace tensor
{

extern __shared__ unsigned char parts_of_block[];
alignas(128) thread_local unsigned char parts_of_block[HOST_CUDA_SHARED];

} // namespace tensor
} // namespace mdl::engine

static const bool pageable = host_cuda_pageable = true;
