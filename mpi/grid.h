/* Dense matrices of doubles, dealt block-cyclically over a grid of ranks, and what ScaLAPACK does
 * with them: for matrices too large for a rank. Built with MORDAL_ENABLE_SCALAPACK. */
#ifndef MDL_MPI_GRID_H
#define MDL_MPI_GRID_H

#include "core/error.h"

#include <mpi.h>
#include <stdint.h>

typedef struct {
    MPI_Comm comm;               /* the grid's ranks, row by row; MPI_COMM_NULL on a rank outside */
    MPI_Comm row_comm, col_comm; /* of the grid row and the grid column that this rank is in */
    int handle, context;         /* of BLACS */
    int n_row, n_col, row, col;  /* ranks down and across; this rank's place */
} mdl_grid_t;

enum { MDL_GRID_BLOCK = 64 }; /* rows and columns of the blocks that matrices are dealt in */

/* Ranks down and across when all n_rank are taken: as square as their number allows. */
static inline void mdl_grid_square(int n_rank, int *n_row, int *n_col)
{
    for (int p = 1; p * p <= n_rank; p++)
        *n_row = n_rank % p == 0 ? p : *n_row;
    *n_col = n_rank / *n_row;
}

/* Takes the first n_row n_col ranks of comm; 0 x 0 takes all of them, as square as their number
 * allows. Freed with mdl_grid_close. Collective over comm. Returns MDL_E_USAGE for more ranks than
 * there are. */
int mdl_grid_open(MPI_Comm comm, int n_row, int n_col, mdl_grid_t *grid, mdl_error_t *err);
void mdl_grid_close(mdl_grid_t *grid);

typedef struct {
    const mdl_grid_t *grid;
    int64_t n_row, n_col; /* of the whole matrix */
    int own_rows, own_cols;
    int block;
    int descriptor[9];
    double *values; /* [own_cols, ld] column by column; ld = max(1, own_rows) = descriptor[8] */
} mdl_matrix_t;

/* A matrix of zeros in square blocks. Freed with mdl_matrix_free, also after a failure. Collective
 * over grid->comm. Returns MDL_E_MEMORY, MDL_E_INPUT when a rank's part or an extent is beyond what
 * ScaLAPACK's integers count. */
int mdl_matrix_new(const mdl_grid_t *grid, int64_t n_row, int64_t n_col, mdl_matrix_t *matrix,
                   mdl_error_t *err);
void mdl_matrix_free(mdl_matrix_t *matrix);

/* Rows or columns of the whole for this rank's own number i. Not collective. */
int64_t mdl_matrix_row(const mdl_matrix_t *matrix, int64_t i);
int64_t mdl_matrix_col(const mdl_matrix_t *matrix, int64_t j);

/* Puts rows [first, first + n_row), which this rank has, where they belong: rows: [n_row, n_col]
 * row-major; n_row may be 0. Collective over grid->comm. Returns MDL_E_MEMORY. */
int mdl_matrix_put_rows(mdl_matrix_t *matrix, int64_t first, int64_t n_row, const double *rows,
                        mdl_error_t *err);

/* Sum of n doubles over the ranks of a grid row or column, in place. */
void mdl_grid_sum(MPI_Comm comm, double *values, int64_t n);

/* c = op(a) op(b) for the leading parts, op(a): [m, k], op(b): [k, n]; trans 'N' or 'T'. Collective
 * over the grid. */
void mdl_matrix_multiply(char trans_a, char trans_b, int64_t m, int64_t n, int64_t k,
                         const mdl_matrix_t *a, const mdl_matrix_t *b, mdl_matrix_t *c);

/* Singular values of a: [r, r], which is destroyed, into s: [r], falling, the same on all ranks;
 * with u and vt not NULL the singular vectors too. Collective over the grid. Returns MDL_E_MEMORY,
 * MDL_E_INTERNAL when the iteration doesn't converge. */
int mdl_matrix_svd(mdl_matrix_t *a, double *s, mdl_matrix_t *u, mdl_matrix_t *vt, mdl_error_t *err);

/* Left singular vectors u: [n, r] and values s: [r] of x: [n, d], r = min(n, d). x is destroyed,
 * u is made new. By QR or LQ first, so that the singular value problem is r x r. Collective over
 * the grid. Returns as mdl_matrix_svd. */
int mdl_matrix_left(mdl_matrix_t *x, double *s, mdl_matrix_t *u, mdl_error_t *err);

#endif
