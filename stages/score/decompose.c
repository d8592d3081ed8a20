#include "score/decompose.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void dgesdd_(const char *job, const int *m, const int *n, double *a, const int *lda, double *s,
             double *u, const int *ldu, double *vt, const int *ldvt, double *work, const int *lwork,
             int *iwork, int *info);

/* One call of LAPACK; its matrix is x transposed, so that its right vectors are our left ones. */
typedef struct {
    int m, n, k;
    double *x, *s, *u, *vt;
    int *iwork;
} call_t;

static int run(const call_t *call, double *work, int lwork)
{
    int info;
    dgesdd_("S", &call->m, &call->n, call->x, &call->m, call->s, call->u, &call->m, call->vt,
            &call->k, work, &lwork, call->iwork, &info);
    return info;
}

/* dgesdd wants 4 k^2 + 7 k and more numbers and counts them as int. */
static int is_too_large(int64_t n_row, int64_t n_column)
{
    int64_t k = n_row < n_column ? n_row : n_column;
    return n_row > INT_MAX / 2 || n_column > INT_MAX / 2 || k > 20000 ||
           k * (n_row > n_column ? n_row : n_column) > (int64_t)INT_MAX * 8;
}

static void keep_real(mdl_decomposition_t *d, int64_t n_row, int64_t n_column)
{
    double most = (double)(n_row > n_column ? n_row : n_column);
    double least = d->n_all > 0 ? d->value[0] * most * DBL_EPSILON : 0;
    while (d->n < d->n_all && d->value[d->n] > least)
        d->n++;
}

int mdl_decompose(double *x, int64_t n_row, int64_t n_column, mdl_decomposition_t *d,
                  mdl_error_t *err)
{
    int64_t k = n_row < n_column ? n_row : n_column;
    call_t call = {.m = (int)n_column, .n = (int)n_row, .k = (int)k, .x = x};
    double *work = NULL, size = 0;
    int rc;
    *d = (mdl_decomposition_t){.n_all = k};
    if (is_too_large(n_row, n_column))
        return mdl_fail(err, MDL_E_INPUT,
                        "%lld rows of %lld features: too large to decompose; take fewer rows",
                        (long long)n_row, (long long)n_column);
    MDL_TRY(mdl_alloc(&d->value, (size_t)k, sizeof(double), "singular values", err));
    MDL_TRY(mdl_alloc(&d->left, (size_t)(k * n_row), sizeof(double), "singular vectors", err));
    MDL_TRY(mdl_alloc(&call.u, (size_t)(k * n_column), sizeof(double), "singular vectors", err));
    MDL_TRY(mdl_alloc(&call.iwork, 8 * (size_t)k, sizeof(int), "a decomposition", err));
    call.s = d->value;
    call.vt = d->left;
    run(&call, &size, -1);
    MDL_TRY(mdl_alloc(&work, (size_t)size, sizeof(double), "a decomposition", err));
    if (run(&call, work, (int)size) != 0)
        MDL_TRY(mdl_fail(err, MDL_E_INPUT, "the singular values of the features can't be found"));
    keep_real(d, n_row, n_column);
done:
    free(call.u);
    free(call.iwork);
    free(work);
    if (rc != MDL_OK)
        mdl_decomposition_free(d);
    return rc;
}

void mdl_decomposition_free(mdl_decomposition_t *d)
{
    free(d->value);
    free(d->left);
    *d = (mdl_decomposition_t){0};
}

int mdl_centre_columns(double *x, int64_t n_row, int64_t n_column, mdl_error_t *err)
{
    double *mean;
    int rc = mdl_alloc(&mean, (size_t)n_column, sizeof *mean, "means", err);
    if (rc != MDL_OK)
        return rc;
    for (int64_t i = 0; i < n_row; i++)
        for (int64_t j = 0; j < n_column; j++)
            mean[j] += x[i * n_column + j] / (double)n_row;
    for (int64_t i = 0; i < n_row; i++)
        for (int64_t j = 0; j < n_column; j++) {
            double apart = x[i * n_column + j] - mean[j];
            double rounding = (double)n_row * DBL_EPSILON * fabs(mean[j]);
            x[i * n_column + j] = fabs(apart) > rounding ? apart : 0;
        }
    free(mean);
    return MDL_OK;
}
