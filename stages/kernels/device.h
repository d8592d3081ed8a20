/* The CUDA devices of this node. Built without MORDAL_ENABLE_CUDA there are none. Not collective,
 * all of it. */
#ifndef MDL_KERNELS_DEVICE_H
#define MDL_KERNELS_DEVICE_H

#include "core/error.h"

#include <stdint.h>

typedef struct {
    char name[64];          /* "NVIDIA H100 80GB HBM3" */
    unsigned char uuid[16]; /* two ranks that see the same one share a device */
    double memory;          /* bytes */
} mdl_device_t;

/* Number of devices; when it is 0, *why says it in a sentence. */
int mdl_device_count(const char **why);

/* Describes a device, from 0, after trying that it can run what was built. Returns MDL_E_USAGE when
 * it can't. */
int mdl_device_describe(int device, mdl_device_t *found, mdl_error_t *err);

/* Operations a second of cuBLAS's product of n x n matrices, the best of some: in float64, of
 * bfloat16 with float32 sums, or in float32. Returns MDL_E_MEMORY, MDL_E_INTERNAL. */
int mdl_device_rate(int device, int is_double, int bfloat16, int64_t n, double *rate,
                    mdl_error_t *err);

#endif
