/* Sums of squares of covariances of all rows, and what a sample of the rows has of them, on a CUDA
 * device: what similarity/feature.c and similarity/row_sample.c do on the CPU. Built without
 * MORDAL_ENABLE_CUDA nothing can be opened. Not collective, all of it. */
#ifndef MDL_KERNELS_FEATURE_DEVICE_H
#define MDL_KERNELS_FEATURE_DEVICE_H

#include "kernels/rows_device.h"

typedef struct mdl_feature_device mdl_feature_device_t;

typedef struct {
    mdl_rows_device_plan_t rows;
    int64_t max_col;             /* of any block of covariances */
    int64_t n_sample, n_sampled; /* rows of a model, and how many are sampled: numbers
                                    s n_sample / n_sampled, rounded down */
} mdl_feature_device_plan_t;

/* Columns [first, first + n_col) of model a against the first n_b of model b. */
typedef struct {
    int a, b;
    int64_t first, n_col, n_b;
} mdl_feature_block_t;

/* Memory on the device with n_block blocks of rows there, in bytes, beside CUDA's own. */
double mdl_feature_device_bytes(const mdl_feature_device_plan_t *plan, int64_t n_block);

/* plan's arrays are copied. *feature is NULL when it fails. Returns MDL_E_MEMORY, MDL_E_USAGE for
 * what is too large for cuBLAS, MDL_E_INTERNAL naming CUDA's error. */
int mdl_feature_device_open(const mdl_feature_device_plan_t *plan, mdl_feature_device_t **feature,
                            mdl_error_t *err);
void mdl_feature_device_close(mdl_feature_device_t *feature);

/* Its rows; feature's. */
mdl_rows_device_t *mdl_feature_device_rows(mdl_feature_device_t *feature);

/* Begins a block of covariances. */
int mdl_feature_device_start(mdl_feature_device_t *feature, const mdl_feature_block_t *block,
                             mdl_error_t *err);

/* Adds the n_row rows of block number rows, which are there for a (role 0) and b (role 1; 0 when it
 * is a). Doesn't wait. */
int mdl_feature_device_add(mdl_feature_device_t *feature, int64_t rows, int64_t n_row,
                           mdl_error_t *err);

/* Waits for all. values[0]: sum of the covariances' squares, where a is b those before column first
 * twice; values[1]: sum of the products of the squared lengths of a's and b's rows, values[2]: sum
 * of a's; both 0 unless first is 0. Then [n_sampled] x' C y of the sampled rows x of a and y of b,
 * C being the covariances, with the same ones twice, and [n_sampled] x' x where a is b and first 0,
 * else 0. */
int mdl_feature_device_finish(mdl_feature_device_t *feature, double *values, mdl_error_t *err);

#endif
