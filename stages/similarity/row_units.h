/* The parts of the rows that the standard error of the full estimators comes from: runs of rows
 * and what each adds to the HSICs. docs/numerics.md derives it. */
#ifndef MDL_SIMILARITY_ROW_UNITS_H
#define MDL_SIMILARITY_ROW_UNITS_H

#include "similarity/means.h"

typedef struct {
    const mdl_means_t *means;
    int64_t n_row, n_unit; /* rows of a unit, a power of two; units, 0: no standard error */
    int is_sample;         /* the units are single rows that stand for all rows */
    double *sums;          /* [n_pair] scratch */
} mdl_row_units_t;

/* Where a tile of the Gram matrices is: n_i rows from i on, n_j columns from j on. */
typedef struct {
    int64_t i, n_i, j, n_j;
} mdl_tile_t;

/* Rows of a unit: there are at most 128 units, fewer for many models. */
int64_t mdl_row_units_rows(int n_model, int64_t n_sample);

/* Units of consecutive rows. means are borrowed; freed with mdl_row_units_free, also
 * after a failure. Not collective, as all of this. Returns MDL_E_MEMORY. */
int mdl_row_units_init(mdl_row_units_t *units, const mdl_means_t *means, mdl_error_t *err);
/* The same for n single rows, evenly spaced. */
int mdl_row_units_init_sample(mdl_row_units_t *units, const mdl_means_t *means, int64_t n,
                              mdl_error_t *err);
void mdl_row_units_free(mdl_row_units_t *units);

/* Numbers of all units: of each [n_pair] sums of k_ij l_ij over its rows i and all other rows j,
 * [n_pair] sums of k_ii l_ii, [n_model] sums of k_ii. */
int64_t mdl_row_units_n_value(const mdl_row_units_t *units);

/* Adds the products of all pairs over a tile to total: [n_pair], and to the units of its rows and
 * of its columns. stack: [n_model, stride] tiles of n_i rows, each padded; a tile on the diagonal
 * has its lower triangle alone, zeros above. */
void mdl_row_units_add_tile(const mdl_row_units_t *units, const mdl_tile_t *tile, const void *stack,
                            int64_t stride, double *total, double *values);

/* Adds k_ii of rows [i, i + n): own: [n_model, tile]. For the biased estimator their products are
 * taken out of what the tile added: it had the diagonal. */
void mdl_row_units_add_own(const mdl_row_units_t *units, int64_t i, int64_t n, const double *own,
                           double *values);

/* The units' values summed over all tiles become the units of the task's sums, in the units of its
 * HSICs and less their mean: those of a ratio's change that error_of in similarity.c takes. trace:
 * [n_model] sums of k_ii over all rows. Returns MDL_E_MEMORY. */
int mdl_row_units_finish(const mdl_row_units_t *units, const double *values, const double *trace,
                         mdl_error_t *err);

#endif
