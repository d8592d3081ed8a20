/* Singular values and vectors of the features, by LAPACK on one thread, so that the same file gives
 * the same numbers on any number of ranks. */
#ifndef MDL_SCORE_DECOMPOSE_H
#define MDL_SCORE_DECOMPOSE_H

#include "core/error.h"

#include <stdint.h>

typedef struct {
    int64_t n;     /* singular values that aren't rounding noise: 0 for a matrix of zeros */
    double *value; /* [n] descending, > 0 */
    double *left;  /* left singular vectors: entry [i * n_all + k] is that of row i, number k */
    int64_t n_all; /* min(n_row, n_column) */
} mdl_decomposition_t;

/* Decomposes x: [n_row, n_column], row-major, finite; it is overwritten. Singular values of at most
 * max(n_row, n_column) epsilon times the largest count as 0. Freed with mdl_decomposition_free. Not
 * collective. Returns MDL_E_INPUT for a matrix too large for LAPACK or one that didn't converge, or
 * MDL_E_MEMORY. */
int mdl_decompose(double *x, int64_t n_row, int64_t n_column, mdl_decomposition_t *decomposition,
                  mdl_error_t *err);
void mdl_decomposition_free(mdl_decomposition_t *decomposition);

/* Subtracts each column's mean from x: [n_row, n_column]; what is left of a constant column by
 * rounding becomes 0. Not collective. Returns MDL_E_MEMORY. */
int mdl_centre_columns(double *x, int64_t n_row, int64_t n_column, mdl_error_t *err);

#endif
