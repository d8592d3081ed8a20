#include "similarity/decompose.h"

#include "mpi/agree.h"
#include "mpi/block.h"
#include "similarity/estimate.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* The rank's rows from first on, less the model's first row. */
static int read_piece(const mdl_rows_t *rows, int64_t first, int64_t n_row, const double *reference,
                      double *piece, mdl_error_t *err)
{
    if (n_row == 0)
        return MDL_OK;
    int rc = rows->read(rows, first, n_row, MDL_FLOAT64, piece, err);
    for (int64_t i = 0; rc == MDL_OK && i < n_row * rows->n_feat; i++) {
        piece[i] -= reference[i % rows->n_feat];
        if (!isfinite(piece[i]))
            return mdl_cka_refuse_value(rows, first, i, err);
    }
    return rc;
}

/* All rows into x: each rank of the grid reads its own contiguous ones, piece by piece. */
static int read_matrix(const mdl_rows_t *rows, mdl_matrix_t *x, mdl_error_t *err)
{
    MPI_Comm comm = x->grid->comm;
    int rank, n_rank;
    int64_t first, end, n_feat = rows->n_feat,
                        n_piece = n_feat < MDL_MEASURE_PIECE ? MDL_MEASURE_PIECE / n_feat : 1;
    double *piece = NULL, *reference = NULL;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &n_rank);
    mdl_block_range(x->n_row, n_rank, rank, &first, &end);
    int64_t most = (x->n_row + n_rank - 1) / n_rank;
    int rc = mdl_alloc(&piece, (size_t)(n_piece * n_feat), sizeof *piece, "rows", err);
    if (rc == MDL_OK)
        rc = mdl_alloc(&reference, (size_t)n_feat, sizeof *reference, "a row", err);
    if (rc == MDL_OK)
        rc = rows->read(rows, 0, 1, MDL_FLOAT64, reference, err);
    MDL_TRY(mdl_agree(comm, rc, err));
    for (int64_t done = 0; done < most; done += n_piece, first += n_piece) {
        int64_t left = end - first, n_row = left < 0 ? 0 : left < n_piece ? left : n_piece;
        rc = read_piece(rows, first, n_row, reference, piece, err);
        MDL_TRY(mdl_agree(comm, rc, err));
        MDL_TRY(mdl_matrix_put_rows(x, n_row > 0 ? first : 0, n_row, piece, err));
    }
done:
    free(piece);
    free(reference);
    return rc;
}

static void subtract_means(mdl_matrix_t *x, double *mean)
{
    int64_t ld = x->descriptor[8];
    for (int64_t j = 0; j < x->own_cols; j++) {
        mean[j] = 0;
        for (int64_t i = 0; i < x->own_rows; i++)
            mean[j] += x->values[j * ld + i];
    }
    mdl_grid_sum(x->grid->col_comm, mean, x->own_cols);
    for (int64_t j = 0; j < x->own_cols; j++)
        for (int64_t i = 0; i < x->own_rows; i++)
            x->values[j * ld + i] -= mean[j] / (double)x->n_row;
}

/* Columns less their means, the second time for what rounding left; then a power of two that
 * brings the largest value near 1. *varies: whether any value isn't 0 then. */
static int centre(mdl_matrix_t *x, int *varies, mdl_error_t *err)
{
    double *mean = NULL, largest = 0;
    int64_t ld = x->descriptor[8];
    int rc = mdl_alloc(&mean, (size_t)x->own_cols + 1, sizeof *mean, "column means", err);
    MDL_TRY(mdl_agree(x->grid->comm, rc, err));
    subtract_means(x, mean);
    subtract_means(x, mean);
    for (int64_t j = 0; j < x->own_cols; j++)
        for (int64_t i = 0; i < x->own_rows; i++)
            largest = fmax(largest, fabs(x->values[j * ld + i]));
    MPI_Allreduce(MPI_IN_PLACE, &largest, 1, MPI_DOUBLE, MPI_MAX, x->grid->comm);
    *varies = largest > 0;
    if (!*varies)
        goto done;
    int shift = -ilogb(largest);
    for (int64_t j = 0; j < x->own_cols; j++)
        for (int64_t i = 0; i < x->own_rows; i++)
            x->values[j * ld + i] = ldexp(x->values[j * ld + i], shift);
done:
    free(mean);
    return rc;
}

static int64_t count_kept(mdl_measure_t measure, const double *values, int64_t r, double longest)
{
    double total = 0, sum = 0;
    int64_t kept = 0;
    if (measure != MDL_MEASURE_SVCCA) {
        while (kept < r && values[kept] > longest * DBL_EPSILON * values[0])
            kept++;
        return kept;
    }
    for (int64_t i = 0; i < r; i++)
        total += values[i] * values[i];
    while (kept < r && sum < MDL_MEASURE_VARIANCE * total) {
        sum += values[kept] * values[kept];
        kept++;
    }
    return kept;
}

static int copy_of(const mdl_matrix_t *x, mdl_matrix_t *copy, mdl_error_t *err)
{
    int rc = mdl_matrix_new(x->grid, x->n_row, x->n_col, copy, err);
    for (int64_t k = 0; rc == MDL_OK && k < (int64_t)x->descriptor[8] * x->own_cols; k++)
        copy->values[k] = x->values[k];
    return rc;
}

int mdl_decompose(const mdl_grid_t *grid, mdl_measure_t measure, const mdl_rows_t *rows,
                  int64_t n_sample, mdl_decomposed_t *out, mdl_error_t *err)
{
    *out = (mdl_decomposed_t){0};
    int64_t d = rows->n_feat, r = n_sample < d ? n_sample : d;
    mdl_matrix_t x = {0}, copy = {0};
    int varies = 0;
    int rc = mdl_alloc(&out->values, (size_t)r, sizeof(double), "singular values", err);
    MDL_TRY(mdl_agree(grid->comm, rc, err));
    MDL_TRY(mdl_matrix_new(grid, n_sample, d, &x, err));
    MDL_TRY(read_matrix(rows, &x, err));
    MDL_TRY(centre(&x, &varies, err));
    if (!varies)
        goto done;
    if (measure == MDL_MEASURE_PWCCA)
        MDL_TRY(copy_of(&x, &copy, err));
    MDL_TRY(mdl_matrix_left(&x, out->values, &out->vectors, err));
    out->n_kept = count_kept(measure, out->values, r, (double)(n_sample > d ? n_sample : d));
    if (measure == MDL_MEASURE_PWCCA) {
        MDL_TRY(mdl_matrix_new(grid, out->n_kept, d, &out->features, err));
        mdl_matrix_multiply('T', 'N', out->n_kept, d, n_sample, &out->vectors, &copy,
                            &out->features);
    }
done:
    mdl_matrix_free(&x);
    mdl_matrix_free(&copy);
    return rc;
}

void mdl_decomposed_free(mdl_decomposed_t *decomposed)
{
    free(decomposed->values);
    mdl_matrix_free(&decomposed->vectors);
    mdl_matrix_free(&decomposed->features);
    *decomposed = (mdl_decomposed_t){0};
}
