/* Evenly spaced rows that the standard error of the feature route comes from: what each adds to
 * the HSICs, by the covariances. docs/numerics.md derives it. */
#ifndef MDL_SIMILARITY_ROW_SAMPLE_H
#define MDL_SIMILARITY_ROW_SAMPLE_H

#include "similarity/means.h"

typedef struct {
    const mdl_means_t *means;
    int64_t n;        /* rows */
    void *x, *y;      /* [n, max n_feat] rows of two models, less their means and scaled; on a
                         device, which has its own, NULL, as what follows */
    void *transposed; /* [max strip, n] columns of x */
    void *product;    /* [n, max n_feat] */
} mdl_row_sample_t;

/* Rows that are taken of n_sample: one of 32, at least 256 and at most 1024, fewer for many models.
 */
int64_t mdl_row_sample_size(int n_model, int64_t n_sample);

/* max_strip: columns of a block of covariances. means are borrowed; freed with mdl_row_sample_free,
 * also after a failure. Not collective, as all of this. Returns MDL_E_MEMORY. */
int mdl_row_sample_init(mdl_row_sample_t *sample, const mdl_means_t *means, int64_t max_strip,
                        mdl_error_t *err);
void mdl_row_sample_free(mdl_row_sample_t *sample);

/* Takes those of n_row centred rows, x: [n_row, n_feat], number first on, that are in the sample;
 * side 0: of model a below, 1: of b. */
void mdl_row_sample_take(mdl_row_sample_t *sample, int model, int side, int64_t first,
                         int64_t n_row, const void *x);

/* Columns [first, first + n_col) of model a against the first d_y of b. */
typedef struct {
    int a, b;
    int64_t first, n_col, d_y;
} mdl_covariance_t;

/* sums: [n] x' C y of every row of the sample, which has been taken, C: [n_col, d_y] being the
 * covariances; for a == b those left of the block count twice. own: [n] x' x, when it is a's first
 * block with itself. */
void mdl_row_sample_sums(mdl_row_sample_t *sample, const mdl_covariance_t *block, const void *c,
                         double *sums, double *own);

/* The sample's rows become the units of the task's sums, as mdl_row_units_finish. sums: [n_pair,
 * n], own: [n_model, n]; trace: [n_model] sums of k_ii over all rows. Returns MDL_E_MEMORY. */
int mdl_row_sample_finish(const mdl_row_sample_t *sample, const double *sums, const double *own,
                          const double *trace, mdl_error_t *err);

#endif
