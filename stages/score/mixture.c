#include "score/mixture.h"

#include <cblas.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double log_two_pi = 1.8378770664093453;

void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info);

typedef struct {
    const double *x; /* [n_row, n_dim] */
    int64_t n_row, n_dim, n_part;
    double ridge;
    double *weight;     /* [n_part] */
    double *mean;       /* [n_part, n_dim] */
    double *factor;     /* [n_part, n_dim, n_dim] lower Cholesky factors, row-major */
    double *log_scale;  /* [n_part] log of the density at the mean */
    double *posterior;  /* [n_row, n_part] */
    double *difference; /* [n_row, n_dim] working space */
} mixture_t;

/* Weights, means and covariances of part v from the posterior; then the covariance's factor. */
static int maximise(mixture_t *m, int64_t v, mdl_error_t *err)
{
    const int64_t d = m->n_dim, stride = m->n_part;
    const double *r = m->posterior + v;
    double *mean = m->mean + v * d, *factor = m->factor + v * d * d, total = 10 * DBL_EPSILON;
    double log_det = 0;
    int64_t n = 0;
    int info, order = (int)d;
    memset(mean, 0, (size_t)d * sizeof *mean);
    for (int64_t i = 0; i < m->n_row; i++) {
        total += r[i * stride];
        if (r[i * stride] > 0)
            cblas_daxpy((int)d, r[i * stride], m->x + i * d, 1, mean, 1);
    }
    cblas_dscal((int)d, 1 / total, mean, 1);
    for (int64_t i = 0; i < m->n_row; i++) {
        double root = sqrt(r[i * stride]);
        for (int64_t j = 0; root > 0 && j < d; j++)
            m->difference[n * d + j] = root * (m->x[i * d + j] - mean[j]);
        n += root > 0;
    }
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, (int)d, (int)n, 1 / total, m->difference,
                (int)d, 0, factor, (int)d);
    for (int64_t j = 0; j < d; j++)
        factor[j * d + j] += m->ridge;
    /* the lower half in rows is LAPACK's upper half in columns */
    dpotrf_("U", &order, factor, &order, &info);
    for (int64_t j = 0; info == 0 && j < d; j++)
        log_det += 2 * log(factor[j * d + j]);
    if (info != 0 || !isfinite(log_det))
        return mdl_fail(err, MDL_E_INPUT, "a covariance of the mixture isn't positive");
    m->weight[v] = total;
    m->log_scale[v] = -0.5 * ((double)d * log_two_pi + log_det);
    return MDL_OK;
}

static int maximise_all(mixture_t *m, mdl_error_t *err)
{
    double total = 0;
    for (int64_t v = 0; v < m->n_part; v++) {
        int rc = maximise(m, v, err);
        if (rc != MDL_OK)
            return rc;
        total += m->weight[v];
    }
    for (int64_t v = 0; v < m->n_part; v++)
        m->weight[v] /= total;
    return MDL_OK;
}

/* Log of weight times density of every row under part v, into posterior. */
static void weigh(mixture_t *m, int64_t v)
{
    const int64_t d = m->n_dim;
    const double *mean = m->mean + v * d;
    for (int64_t i = 0; i < m->n_row; i++)
        for (int64_t j = 0; j < d; j++)
            m->difference[i * d + j] = m->x[i * d + j] - mean[j];
    cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, (int)m->n_row,
                (int)d, 1, m->factor + v * d * d, (int)d, m->difference, (int)d);
    for (int64_t i = 0; i < m->n_row; i++) {
        const double *z = m->difference + i * d;
        m->posterior[i * m->n_part + v] =
            log(m->weight[v]) + m->log_scale[v] - 0.5 * cblas_ddot((int)d, z, 1, z, 1);
    }
}

/* The posterior of every row; returns the mean log likelihood. */
static double expect(mixture_t *m)
{
    double likelihood = 0;
    for (int64_t v = 0; v < m->n_part; v++)
        weigh(m, v);
    for (int64_t i = 0; i < m->n_row; i++) {
        double *row = m->posterior + i * m->n_part, most = row[0], sum = 0;
        for (int64_t v = 1; v < m->n_part; v++)
            most = fmax(most, row[v]);
        for (int64_t v = 0; v < m->n_part; v++)
            sum += exp(row[v] - most);
        for (int64_t v = 0; v < m->n_part; v++)
            row[v] = exp(row[v] - most) / sum;
        likelihood += (most + log(sum)) / (double)m->n_row;
    }
    return likelihood;
}

static int make_room(mixture_t *m, mdl_error_t *err)
{
    const size_t n = (size_t)m->n_row, d = (size_t)m->n_dim, v = (size_t)m->n_part;
    int rc;
    MDL_TRY(mdl_alloc(&m->weight, v, sizeof(double), "a mixture", err));
    MDL_TRY(mdl_alloc(&m->mean, v * d, sizeof(double), "a mixture", err));
    MDL_TRY(mdl_alloc(&m->factor, v * d * d, sizeof(double), "a mixture", err));
    MDL_TRY(mdl_alloc(&m->log_scale, v, sizeof(double), "a mixture", err));
    rc = mdl_alloc(&m->difference, n * d, sizeof(double), "a mixture", err);
done:
    return rc;
}

int mdl_mixture_fit(const double *x, int64_t n_row, int64_t n_dim, int64_t n_part,
                    const int32_t *part, double ridge, double *posterior, double *log_likelihood,
                    mdl_error_t *err)
{
    mixture_t m = {.x = x,
                   .n_row = n_row,
                   .n_dim = n_dim,
                   .n_part = n_part,
                   .ridge = ridge,
                   .posterior = posterior};
    double before = -INFINITY;
    int rc;
    MDL_TRY(make_room(&m, err));
    memset(posterior, 0, (size_t)(n_row * n_part) * sizeof *posterior);
    for (int64_t i = 0; i < n_row; i++)
        posterior[i * n_part + part[i]] = 1;
    MDL_TRY(maximise_all(&m, err));
    for (int round = 0; round < 100; round++) {
        *log_likelihood = expect(&m);
        MDL_TRY(maximise_all(&m, err));
        if (fabs(*log_likelihood - before) < 1e-3)
            break;
        before = *log_likelihood;
    }
    *log_likelihood = expect(&m);
done:
    free(m.weight);
    free(m.mean);
    free(m.factor);
    free(m.log_scale);
    free(m.difference);
    return rc;
}
