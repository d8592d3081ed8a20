/* Measures of similarity beside CKA, for those who compare: exact, over all rows, with every
 * model's matrix dealt over a grid of ranks.
 *
 * SVCCA (Raghu et al. 2017), PWCCA (Morcos et al. 2018) and the orthogonal Procrustes distance
 * (Ding et al. 2021) as a similarity. docs/numerics.md has the formulas. */
#ifndef MDL_SIMILARITY_MEASURE_H
#define MDL_SIMILARITY_MEASURE_H

#include "similarity/rows.h"

#include <mpi.h>

typedef enum {
    MDL_MEASURE_CKA, /* similarity.h computes it */
    MDL_MEASURE_SVCCA,
    MDL_MEASURE_PROCRUSTES,
    MDL_MEASURE_PWCCA,
    MDL_MEASURE_N
} mdl_measure_t;

/* "cka", "svcca", "procrustes", "pwcca". */
const char *mdl_measure_name(mdl_measure_t measure);

/* 1 and *measure when name is one of them. */
int mdl_measure_find(const char *name, mdl_measure_t *measure);

/* Share of a model's variance that SVCCA keeps. */
#define MDL_MEASURE_VARIANCE 0.99

enum { MDL_MEASURE_PIECE = 1 << 19 }; /* numbers that a rank reads and deals at a time */

typedef struct {
    mdl_measure_t measure;
    int grid_rows, grid_cols; /* 0 x 0: all ranks, as square as their number allows */
} mdl_measure_settings_t;

/* Reads "PxQ" into grid_rows and grid_cols; NULL leaves 0 x 0. Returns MDL_E_USAGE. */
int mdl_measure_read_grid(const char *text, mdl_measure_settings_t *settings, mdl_error_t *err);

/* The measure of every pair of models: similarity: [n_model, n_model], symmetric, diagonal 1, the
 * same bits on all ranks of a run; other grids differ by rounding. status: [n_model, n_model]
 * (io/similarity_file.h): a model that doesn't vary is MDL_SIMILARITY_CONSTANT and its similarities
 * are NaN. Collective over comm. Returns MDL_E_USAGE (a grid of more ranks than there are, a build
 * without ScaLAPACK), MDL_E_INPUT (fewer than 2 rows, non-finite values), MDL_E_AGAIN,
 * MDL_E_MEMORY, MDL_E_INTERNAL, or what rows->read returns. */
int mdl_measure_similarity(MPI_Comm comm, const mdl_measure_settings_t *settings,
                           const mdl_rows_t *models, int n_model, int64_t n_sample,
                           double *similarity, uint8_t *status, mdl_error_t *err);

/* Bytes of matrices and rows that the rank with the most needs on the grid of n_rank ranks, about.
 * Not collective. */
double mdl_measure_memory(const mdl_measure_settings_t *settings, const mdl_rows_t *models,
                          int n_model, int64_t n_sample, int n_rank);

#endif
