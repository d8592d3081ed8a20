/* Rows of all models that stay on a CUDA device for the full estimators, centred and scaled, in
 * blocks: all of them when they fit, else as many as do and two places for the others. Not
 * collective, all of it. */
#ifndef MDL_KERNELS_ROWS_DEVICE_H
#define MDL_KERNELS_ROWS_DEVICE_H

#include "core/error.h"

#include <stdint.h>

typedef struct mdl_rows_device mdl_rows_device_t; /* a part of the objects that compute on it */

typedef struct {
    int device, n_sharer; /* from 0; how many ranks share it */
    int n_model;
    const int64_t *n_feat; /* [n_model] */
    int64_t tile, n_block; /* rows of a block at most, and blocks of a model */
    int64_t n_apart;       /* rows that are kept beside them as block number n_block; up to tile */
    int is_double;         /* rows and products are float64, else float32 */
    int bfloat16;          /* centred float32 rows are rounded to bfloat16, and summed in float32 */
    const double *reference, *mean; /* [sum of n_feat] what is subtracted, one after the other */
    const int *exponent;            /* [n_model] of the power of two that is multiplied with then */
} mdl_rows_device_plan_t;

/* Where the rows of a block are to be read to, [n_row, n_feat], or *x is NULL as they are on the
 * device already. role: 0 or 1, of the two blocks that one computation needs the place that this
 * one may take. */
int mdl_rows_device_want(mdl_rows_device_t *rows, int model, int64_t block, int role, void **x,
                         mdl_error_t *err);

/* Takes the rows that were read after mdl_rows_device_want, whose arguments it repeats. */
int mdl_rows_device_put(mdl_rows_device_t *rows, int model, int64_t block, int role, int64_t n_row,
                        mdl_error_t *err);

#endif
