/* A backend of memory and lanes alone (kernels/backend.h), by the CUDA bodies on the host. */
#ifndef HOST_CUDA_LANES_H
#define HOST_CUDA_LANES_H

#include "kernels/backend.h"

/* Once. */
mdl_backend_t host_cuda_lanes(void);

/* An operation of that backend: work, as late as it may run. */
void host_cuda_operation(void (*work)(int64_t number), int64_t number);

/* Waits for all of them. */
void host_cuda_finish(void);

#endif
