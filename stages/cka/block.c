#include "cka/block.h"

#include <cblas.h>
#include <float.h>
#include <math.h>
#include <string.h>

void mdl_block_setup(void)
{
    openblas_set_num_threads(1);
}

static int refuse(const mdl_rows_t *rows, int64_t row, int64_t column, mdl_error_t *err)
{
    return mdl_fail(err, MDL_E_INPUT,
                    "model %s: the value in row %lld, column %lld (from 0) is NaN, infinite or too "
                    "large to subtract from; make its activations again",
                    rows->model, (long long)row, (long long)column);
}

int mdl_block_read(const mdl_rows_t *rows, int64_t first, int64_t n_row, const double *reference,
                   double *x, double *spread, mdl_error_t *err)
{
    int64_t n_feat = rows->n_feat;
    int rc = rows->read(rows, first, n_row, x, err);
    if (rc != MDL_OK)
        return rc;
    if (reference == NULL)
        reference = x;
    double largest = 0;
    /* Backwards, so that a reference that is the first row stays until the end. */
    for (int64_t i = n_row - 1; i >= 0; i--) {
        for (int64_t j = 0; j < n_feat; j++) {
            double value = x[i * n_feat + j] - reference[j];
            if (!(fabs(value) <= DBL_MAX))
                return refuse(rows, isfinite(reference[j]) ? first + i : first, j, err);
            largest = fabs(value) > largest ? fabs(value) : largest;
            x[i * n_feat + j] = value;
        }
    }
    *spread = largest;
    return MDL_OK;
}

int mdl_block_exponent(double spread)
{
    return spread > 0 && (spread > 1e15 || spread < 1e-15) ? -ilogb(spread) : 0;
}

void mdl_block_scale(double *x, int64_t n, int exponent)
{
    if (exponent == 0)
        return;
    for (int64_t i = 0; i < n; i++)
        x[i] = ldexp(x[i], exponent);
}

void mdl_block_mean(const double *x, int64_t n_row, int64_t n_feat, double *mean)
{
    memset(mean, 0, (size_t)n_feat * sizeof *mean);
    for (int64_t i = 0; i < n_row; i++)
        for (int64_t j = 0; j < n_feat; j++)
            mean[j] += x[i * n_feat + j];
    for (int64_t j = 0; j < n_feat; j++)
        mean[j] /= (double)n_row;
}

void mdl_block_centre(double *x, int64_t n_row, int64_t n_feat, const double *mean)
{
    for (int64_t i = 0; i < n_row; i++)
        for (int64_t j = 0; j < n_feat; j++)
            x[i * n_feat + j] -= mean[j];
}

void mdl_block_gram(const double *x, int64_t n_x, const double *y, int64_t n_y, int64_t n_feat,
                    double *gram)
{
    if (x == y)
        cblas_dsyrk(CblasRowMajor, CblasLower, CblasNoTrans, (blasint)n_x, (blasint)n_feat, 1, x,
                    (blasint)n_feat, 0, gram, (blasint)n_x);
    else
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)n_x, (blasint)n_y,
                    (blasint)n_feat, 1, x, (blasint)n_feat, y, (blasint)n_feat, 0, gram,
                    (blasint)n_y);
}

double mdl_block_squared_distance(double norm_x, double norm_y, double product)
{
    double squared = norm_x + norm_y - 2 * product;
    return squared > 1e-13 * (norm_x + norm_y) ? squared : 0;
}

void mdl_block_rbf(double *gram, int64_t n_x, int64_t n_y, const double *norm_x,
                   const double *norm_y, double gamma)
{
    int same = norm_x == norm_y;
    for (int64_t i = 0; i < n_x; i++) {
        double *row = gram + i * n_y;
        int64_t n = same ? i : n_y;
        for (int64_t j = 0; j < n; j++) {
            row[j] = expm1(-gamma * mdl_block_squared_distance(norm_x[i], norm_y[j], row[j]));
        }
        if (same)
            row[i] = 0;
    }
}

void mdl_block_norms(const double *x, int64_t n_row, int64_t n_feat, double *norm)
{
    for (int64_t i = 0; i < n_row; i++)
        norm[i] = mdl_block_dot(x + i * n_feat, x + i * n_feat, n_feat);
}

double mdl_block_dot(const double *a, const double *b, int64_t n)
{
    enum { CHUNK = 1 << 16 };
    double sum = 0;
    for (int64_t first = 0; first < n; first += CHUNK) {
        int64_t n_here = n - first < CHUNK ? n - first : CHUNK;
        sum += cblas_ddot((blasint)n_here, a + first, 1, b + first, 1);
    }
    return sum;
}
