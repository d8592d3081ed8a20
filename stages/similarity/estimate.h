/* The routes to the HSICs of all pairs, behind mdl_cka_hsic. */
#ifndef MDL_SIMILARITY_ESTIMATE_H
#define MDL_SIMILARITY_ESTIMATE_H

#include "similarity/real.h"
#include "similarity/similarity.h"

typedef struct {
    const mdl_cka_settings_t *settings;
    const mdl_real_t *real;
    const mdl_rows_t *models;
    int n_model;
    int64_t n_sample, n_pair;
    double *gamma; /* RBF: [n_model] 1 / (2 s^2) in scaled units, 0 where the median distance is 0;
                    * NULL for the linear kernel */
    int *exponent; /* [n_model] power of two that the RBF kernel's units are scaled by */
    mdl_cka_sums_t *sums; /* out; hsic and power hold zeros before */
} mdl_cka_task_t;

/* Fills gamma and exponent of every model: s is sigma times the median distance between pairs of
 * at most 1000 rows, evenly spaced. Collective over comm. Returns MDL_E_INPUT for a value that is
 * not finite. */
int mdl_cka_bandwidths(MPI_Comm comm, mdl_cka_task_t *task, mdl_error_t *err);

/* Sums HSIC_1 over the batches. Collective over comm. */
int mdl_cka_minibatch(MPI_Comm comm, mdl_cka_task_t *task, mdl_error_t *err);

/* The same in the random order of settings->stopping until the clusters are settled. Collective
 * over comm. */
int mdl_cka_sequence(MPI_Comm comm, mdl_cka_task_t *task, mdl_error_t *err);

/* Biased or unbiased HSIC of all rows, by tiles of the Gram matrices. Collective over comm. */
int mdl_cka_gram(MPI_Comm comm, mdl_cka_task_t *task, mdl_error_t *err);

/* The same of the linear kernel, by blocks of the covariances. Collective over comm. */
int mdl_cka_feature(MPI_Comm comm, mdl_cka_task_t *task, mdl_error_t *err);

/* Memory that a rank may fill with rows of a full estimator, in bytes. */
#define MDL_CKA_HELD_BYTES ((int64_t)256 << 20)

/* Rows of a block that the full estimators read, and of a side of a Gram tile: fewer when all rows
 * (n_byte, as reals) stay in memory, so that no block is read twice, and for many models. */
static inline int64_t mdl_cka_tile(int n_model, double n_byte)
{
    return n_model > 32 || n_byte <= (double)MDL_CKA_HELD_BYTES ? 512 : 1024;
}

/* Sets sums->status from the HSICs and powers. Not collective. */
void mdl_cka_judge(const mdl_cka_task_t *task);

/* Widest row of all models. */
int64_t mdl_cka_max_feat(const mdl_cka_task_t *task);

/* The error for the value at index of n_feat-wide rows from first on. */
int mdl_cka_refuse_value(const mdl_rows_t *rows, int64_t first, int64_t index, mdl_error_t *err);

#endif
