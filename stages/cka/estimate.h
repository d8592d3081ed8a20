/* The two routes to the HSICs of all pairs, behind mdl_cka_hsic. */
#ifndef MDL_CKA_ESTIMATE_H
#define MDL_CKA_ESTIMATE_H

#include "cka/similarity.h"

enum { MDL_CKA_TILE = 256 }; /* rows of a Gram tile of the full estimators */

typedef struct {
    const mdl_cka_settings_t *settings;
    const mdl_rows_t *models;
    int n_model;
    int64_t n_sample;
    double *gamma; /* RBF: [n_model] 1 / (2 s^2) in scaled units, NULL for the linear kernel */
    int *exponent; /* [n_model] power of two that the RBF kernel scales the model by */
    double *hsic;  /* [n_model (n_model + 1) / 2] out, zeros before */
    double *power; /* [n_model] out, zeros before */
} mdl_cka_task_t;

/* Fills gamma and exponent of every model: s is sigma times the median distance between pairs of
 * at most 1000 rows, evenly spaced. Collective over comm. Returns MDL_E_INPUT when the median is 0.
 */
int mdl_cka_bandwidths(MPI_Comm comm, mdl_cka_task_t *task, mdl_error_t *err);

/* Sums HSIC_1 over the batches. Collective over comm. */
int mdl_cka_minibatch(MPI_Comm comm, mdl_cka_task_t *task, mdl_error_t *err);

/* Biased or unbiased HSIC of all rows, by tiles of the Gram matrices. Collective over comm. */
int mdl_cka_full(MPI_Comm comm, mdl_cka_task_t *task, mdl_error_t *err);

/* Widest row of all models. */
int64_t mdl_cka_max_feat(const mdl_cka_task_t *task);

#endif
