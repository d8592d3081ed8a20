/* The backends that tests run on: the processor, the strict one, and a GPU where there is one. */
#ifndef MDL_TESTS_BACKENDS_H
#define MDL_TESTS_BACKENDS_H

#include "kernels/backend.h"
#include "kernels/device.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_BACKEND = 3 };

/* Appends the GPU to the n backends and returns how many there are then. */
static inline int append_gpu(const mdl_backend_t *backend[MAX_BACKEND], int n, int bfloat16)
{
    const char *why;
    mdl_error_t err;
    if (mdl_device_count(&why) == 0) {
        printf("no GPU: %s\n", why);
        return n;
    }
    if (mdl_backend_cuda(0, bfloat16, &backend[n], &err) != MDL_OK) {
        fprintf(stderr, "%s\n", err.text);
        exit(EXIT_FAILURE);
    }
    return n + 1;
}

/* Fill backend, the processor first, and return how many there are. */
static inline int find_backends(const mdl_backend_t *backend[MAX_BACKEND])
{
    backend[0] = mdl_backend_cpu();
    backend[1] = mdl_backend_strict();
    return append_gpu(backend, 2, 0);
}

static inline int find_bfloat16_backends(const mdl_backend_t *backend[MAX_BACKEND])
{
    backend[0] = mdl_backend_cpu_bfloat16();
    return append_gpu(backend, 1, 1);
}

#endif
