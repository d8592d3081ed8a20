/* A model's rows as their left singular vectors, dealt over a grid. */
#ifndef MDL_SIMILARITY_DECOMPOSE_H
#define MDL_SIMILARITY_DECOMPOSE_H

#include "mpi/grid.h"
#include "similarity/measure.h"

typedef struct {
    int64_t n_kept;        /* singular vectors that the measure uses; 0: the rows don't vary */
    double *values;        /* [min(n_sample, n_feat)] singular values, falling */
    mdl_matrix_t vectors;  /* [n_sample, min(n_sample, n_feat)] left singular vectors */
    mdl_matrix_t features; /* [n_kept, n_feat] U' X; PWCCA only */
} mdl_decomposed_t;

/* Reads a model's rows, subtracts the column means, scales by a power of two and decomposes. Kept
 * are, for SVCCA, the fewest vectors with MDL_MEASURE_VARIANCE of the variance; else those whose
 * singular value is above max(n_sample, n_feat) * 2^-52 times the largest. Freed with
 * mdl_decomposed_free, also after a failure. Collective over grid->comm. Returns MDL_E_INPUT for
 * values that are not finite, and what rows->read and mdl_matrix_left return. */
int mdl_decompose(const mdl_grid_t *grid, mdl_measure_t measure, const mdl_rows_t *rows,
                  int64_t n_sample, mdl_decomposed_t *out, mdl_error_t *err);
void mdl_decomposed_free(mdl_decomposed_t *decomposed);

#endif
