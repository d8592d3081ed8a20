/* HSIC_1 of all pairs of models over a batch of rows, on a CUDA device: what similarity/batch.h
 * does on the CPU. Rows are copied by one stream while another computes on those before. Built
 * without MORDAL_ENABLE_CUDA nothing can be opened. Not collective, all of it. */
#ifndef MDL_KERNELS_BATCH_DEVICE_H
#define MDL_KERNELS_BATCH_DEVICE_H

#include "core/error.h"

#include <stdint.h>

typedef struct mdl_batch_device mdl_batch_device_t;

typedef struct {
    int device; /* from 0, below mdl_device_count */
    int n_model;
    int64_t max_row, max_feat; /* of a batch and of all models */
    int is_double;             /* rows and products are float64, else float32 */
    int bfloat16; /* centred float32 rows are rounded to bfloat16, and summed in float32 */
} mdl_batch_device_plan_t;

/* Memory that it takes on the device, in bytes, beside CUDA's own. */
double mdl_batch_device_bytes(const mdl_batch_device_plan_t *plan);

/* Memory and streams on a device. *batch is NULL when it fails. Returns MDL_E_MEMORY,
 * MDL_E_USAGE for batches that are too large for cuBLAS, MDL_E_INTERNAL naming CUDA's error. */
int mdl_batch_device_open(const mdl_batch_device_plan_t *plan, mdl_batch_device_t **batch,
                          mdl_error_t *err);
void mdl_batch_device_close(mdl_batch_device_t *batch);

/* Starts on the rows of one model, x: [n_row, n_feat], which may be changed after the call. gamma:
 * of the RBF kernel in the units of x times two to gamma_exponent, 0 for the linear kernel. */
int mdl_batch_device_take(mdl_batch_device_t *batch, int model, int64_t n_row, int64_t n_feat,
                          const void *x, double gamma, int gamma_exponent, mdl_error_t *err);

/* Waits for all models of the batch. hsic: [n_model (n_model + 1) / 2] packed, power: [n_model] and
 * exponent: [n_model] as similarity/batch.h has them for the linear kernel; bad: [n_model] index in
 * x of a value that is not finite, else -1. */
int mdl_batch_device_finish(mdl_batch_device_t *batch, int64_t n_row, double *hsic, double *power,
                            double *exponent, int64_t *bad, mdl_error_t *err);

#endif
