/* The backends that tests run on: the processor, the strict one, and a GPU where there is one. */
#ifndef MDL_TESTS_BACKENDS_H
#define MDL_TESTS_BACKENDS_H

#include "kernels/backend.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_BACKEND = 3 };

/* Fills backend and returns how many there are. */
static inline int find_backends(const mdl_backend_t *backend[MAX_BACKEND])
{
    const char *why;
    mdl_error_t err;
    int n = 0;
    backend[n++] = mdl_backend_cpu();
    backend[n++] = mdl_backend_strict();
    if (mdl_backend_cuda_count(&why) == 0)
        printf("no GPU: %s\n", why);
    else if (mdl_backend_cuda(0, &backend[n], &err) == MDL_OK)
        n++;
    else {
        fprintf(stderr, "%s\n", err.text);
        exit(EXIT_FAILURE);
    }
    return n;
}

#endif
