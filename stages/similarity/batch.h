/* HSIC_1 of all pairs of models over one batch of rows. */
#ifndef MDL_SIMILARITY_BATCH_H
#define MDL_SIMILARITY_BATCH_H

#include "kernels/batch_device.h"
#include "mpi/chunks.h"
#include "similarity/estimate.h"

typedef struct {
    const mdl_cka_task_t *task;
    mdl_batch_device_t *device; /* that computes instead, or NULL: then the rest is used */
    int64_t max_row, stride;    /* rows of a batch; reals between the models' Gram matrices */
    void *work;                 /* scratch of real->batch_gram */
    void *gram;                 /* [padded batch, padded batch] */
    double *row;                /* [padded batch] */
    void *centred;              /* [n_model, stride] packed U-centred Gram matrices of the batch */
} mdl_batch_t;

/* Memory for batches of at most max_row rows. Freed with mdl_batch_free, also after a failure. Not
 * collective. */
int mdl_batch_init(mdl_batch_t *batch, const mdl_cka_task_t *task, int64_t max_row,
                   mdl_error_t *err);
void mdl_batch_free(mdl_batch_t *batch);

/* The numbers of a batch: [n_pair] HSIC_1 of the pairs, [n_model] what each model's own would be
 * without centring, [n_model] the powers of two that each model is scaled by. */
static inline int64_t mdl_batch_n_value(const mdl_cka_task_t *task)
{
    return task->n_pair + 2 * task->n_model;
}

/* Takes the rows of one model, x: [n_row, n_feat], number first on: its centred Gram matrix, power
 * and exponent. Not collective. Returns MDL_E_INPUT for a value that is not finite. */
int mdl_batch_take(mdl_batch_t *batch, int model, int64_t first, int64_t n_row, const void *x,
                   double *values, mdl_error_t *err);

/* The HSICs of all pairs, once every model's rows from first on are taken. Not collective. Returns
 * MDL_E_INPUT for a value that is not finite, which a device finds only now. */
int mdl_batch_finish(mdl_batch_t *batch, int64_t first, int64_t n_row, double *values,
                     mdl_error_t *err);

/* Adds a batch's numbers to those of others, whatever the powers of two. */
void mdl_batch_add(const mdl_cka_task_t *task, double *into, const double *values);

/* Takes the powers of two out of the HSICs of n sums of batches, as far as double reaches, and puts
 * all into those of the total: values: [n, n_value] become hsic. total: [n_value] of all. */
void mdl_batch_unscale(const mdl_cka_task_t *task, const double *total, double *values, int64_t n);

/* Rows of batch number. */
int64_t mdl_batch_rows(const mdl_cka_task_t *task, int64_t number);

/* The sums of n_batch batches, chunk by chunk: those numbered order[0] to order[n_batch - 1], in
 * that order, or with order NULL the first n_batch. chunks->values are freed by the caller.
 * Collective over comm. Returns what mdl_cka_hsic returns. */
int mdl_batches_run(MPI_Comm comm, mdl_cka_task_t *task, const int64_t *order, int64_t n_batch,
                    mdl_chunk_sums_t *chunks, mdl_error_t *err);

/* n sums of batches, values: [n, n_value], become the task's sums and the units of the standard
 * error. Not collective. */
int mdl_batch_collect(mdl_cka_task_t *task, const double *values, int64_t n, mdl_error_t *err);

#endif
