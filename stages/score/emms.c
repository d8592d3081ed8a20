#include "score/emms.h"

#include "score/decompose.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

/* Centres the embedding and scales it to a mean square of 1. */
static int standardise(double *label, int64_t n_sample, int64_t n_dim, int64_t number,
                       mdl_error_t *err)
{
    const int64_t n = n_sample * n_dim;
    double square = 0, before = 0;
    for (int64_t i = 0; i < n; i++)
        before += label[i] * label[i] / (double)n;
    int rc = mdl_centre_columns(label, n_sample, n_dim, err);
    if (rc != MDL_OK)
        return rc;
    for (int64_t i = 0; i < n; i++)
        square += label[i] * label[i] / (double)n;
    if (!(square > 1e-24 * before))
        return mdl_fail(err, MDL_E_INPUT, "label embedding %lld is the same in all rows",
                        (long long)number + 1);
    for (int64_t i = 0; i < n; i++)
        label[i] /= sqrt(square);
    return MDL_OK;
}

/* Takes away what the features explain: label - U U^T label. along: [n_all, n_dim]. */
static void leave_residual(const mdl_decomposition_t *d, double *label, int64_t n_sample,
                           int64_t n_dim, double *along)
{
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)d->n, (int)n_dim, (int)n_sample, 1,
                d->left, (int)d->n_all, label, (int)n_dim, 0, along, (int)n_dim);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)n_sample, (int)n_dim, (int)d->n, -1,
                d->left, (int)d->n_all, along, (int)n_dim, 1, label, (int)n_dim);
}

/* Minimises t^T Q t over t >= 0, sum t = 1: weight moves from the entry where it costs most to the
 * one where it costs least, by as much as is best, until no move gains. quadratic: Q, [n, n],
 * positive semi-definite. Returns the minimum. */
static double minimise_on_simplex(const double *quadratic, int64_t n, double *gradient, double *t)
{
    double trace = 0, minimum = 0;
    for (int64_t k = 0; k < n; k++) {
        trace += quadratic[k * n + k];
        t[k] = 1 / (double)n;
    }
    for (int round = 0; round < 100000; round++) {
        int64_t to = 0, from = -1;
        for (int64_t k = 0; k < n; k++) {
            gradient[k] = cblas_ddot((int)n, quadratic + k * n, 1, t, 1);
            to = gradient[k] < gradient[to] ? k : to;
            if (t[k] > 0 && (from < 0 || gradient[k] > gradient[from]))
                from = k;
        }
        double gain = gradient[from] - gradient[to];
        if (!(gain > 1e-14 * trace))
            break;
        double bend =
            quadratic[to * n + to] + quadratic[from * n + from] - 2 * quadratic[to * n + from];
        double move = gain < bend * t[from] ? gain / bend : t[from];
        t[to] += move;
        t[from] = move == t[from] ? 0 : t[from] - move;
    }
    for (int64_t k = 0; k < n; k++)
        minimum += t[k] * cblas_ddot((int)n, quadratic + k * n, 1, t, 1);
    return minimum;
}

int mdl_emms(double *features, int64_t n_sample, int64_t n_feat, double *const *labels,
             int64_t n_label, int64_t n_dim, double *weight, double *score, mdl_error_t *err)
{
    const int64_t n_value = n_sample * n_dim;
    mdl_decomposition_t d = {0};
    double *along = NULL, *quadratic = NULL;
    int rc;
    MDL_TRY(mdl_centre_columns(features, n_sample, n_feat, err));
    MDL_TRY(mdl_decompose(features, n_sample, n_feat, &d, err));
    if (d.n >= n_sample - 1)
        MDL_TRY(mdl_fail(err, MDL_E_INPUT,
                         "%lld independent features of %lld rows meet any label: EMMS needs more "
                         "rows than features",
                         (long long)d.n, (long long)n_sample));
    MDL_TRY(mdl_alloc(&along, (size_t)(d.n_all * n_dim), sizeof *along, "a regression", err));
    MDL_TRY(mdl_alloc(&quadratic, (size_t)((n_label + 1) * n_label), sizeof *quadratic,
                      "a regression", err));
    for (int64_t k = 0; k < n_label; k++) {
        MDL_TRY(standardise(labels[k], n_sample, n_dim, k, err));
        leave_residual(&d, labels[k], n_sample, n_dim, along);
        for (int64_t l = 0; l <= k; l++) {
            double product = 0;
            for (int64_t i = 0; i < n_value; i++)
                product += labels[k][i] * labels[l][i];
            quadratic[k * n_label + l] = quadratic[l * n_label + k] = product / (double)n_value;
        }
    }
    *score = -minimise_on_simplex(quadratic, n_label, quadratic + n_label * n_label, weight);
done:
    mdl_decomposition_free(&d);
    free(along);
    free(quadratic);
    return rc;
}
