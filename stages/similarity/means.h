/* Column means of all rows, for the full estimators. */
#ifndef MDL_SIMILARITY_MEANS_H
#define MDL_SIMILARITY_MEANS_H

#include "similarity/estimate.h"

typedef struct {
    const mdl_cka_task_t *task;
    int64_t tile, n_tile, n_feat_all; /* rows of a block, blocks, n_feat of all models */
    int64_t *offset;                  /* [n_model] where a model starts in reference and mean */
    double *reference;                /* [n_feat_all] first row of each model */
    double *mean;                     /* [n_feat_all] of the rows less the reference */
    double *spread;                   /* [n_model] largest distance from the reference */
    int *exponent;                    /* [n_model] power of two that brings the spread near 1 */
} mdl_means_t;

/* Reads all rows once. Freed with mdl_means_free, also after a failure. Collective over comm.
 * Returns MDL_E_INPUT for a value that is not finite, or what mdl_chunks_run returns. */
int mdl_means_find(MPI_Comm comm, mdl_means_t *means, const mdl_cka_task_t *task, mdl_error_t *err);
void mdl_means_free(mdl_means_t *means);

/* Rows of block number tile. */
int64_t mdl_means_rows(const mdl_means_t *means, int64_t tile);

/* Rows of a model, x: [n_row, n_feat], become less its means and scaled. */
void mdl_means_centre(const mdl_means_t *means, int model, int64_t n_row, void *x);

/* The same into packed, for real->gram. */
void mdl_means_pack(const mdl_means_t *means, int model, int64_t n_row, const void *x,
                    void *packed);

/* A sum of k_ij l_ij of models a and b as a part of their HSIC, in the models' own units as far as
 * double reaches. */
double mdl_means_scaled(const mdl_means_t *means, double sum, int a, int b);

/* Turns sums over pairs of rows into task->sums->hsic and power, as mdl_means_scaled. product:
 * [n_pair] sum of K L, without its diagonal for the unbiased estimator; squares: [n_pair] sum of
 * k_ii l_ii; trace: [n_model] sum of k_ii. Every row of K sums to 0, as the rows are centred, so
 * without its diagonal to -k_ii, which is all that HSIC_1 needs. */
void mdl_means_finish(const mdl_means_t *means, const double *product, const double *squares,
                      const double *trace);

#endif
