#include "score/nleep.h"

#include "score/decompose.h"
#include "score/leep.h"
#include "score/mixture.h"

#include <stdlib.h>

static const double kept_variance = 0.8, ridge_share = 1e-6;
enum { PARTS_PER_CLASS = 5 };

/* The fewest components with more than the share of the variance; *mean_variance: of one of them.
 */
static int64_t count_components(const mdl_decomposition_t *d, int64_t n_sample,
                                double *mean_variance)
{
    double total = 0, sum = 0;
    int64_t n = 0;
    for (int64_t k = 0; k < d->n; k++)
        total += d->value[k] * d->value[k];
    while (n < d->n && !(sum > kept_variance * total)) {
        sum += d->value[n] * d->value[n];
        n++;
    }
    *mean_variance = n > 0 ? sum / (double)n / (double)n_sample : 0;
    return n;
}

/* Each row's probability of each part of the mixture. */
static int find_parts(const double *x, int64_t n_sample, int64_t n_dim, int64_t n_part,
                      double ridge, uint64_t seed, double *posterior, mdl_error_t *err)
{
    double log_likelihood;
    int32_t *part;
    int rc;
    MDL_TRY(mdl_alloc(&part, (size_t)n_sample, sizeof *part, "clusters", err));
    MDL_TRY(mdl_mixture_start(x, n_sample, n_dim, n_part, seed, part, err));
    rc = mdl_mixture_fit(x, n_sample, n_dim, n_part, part, ridge, posterior, &log_likelihood, err);
done:
    free(part);
    return rc;
}

int mdl_nleep(double *features, int64_t n_sample, int64_t n_feat, const int32_t *class_of,
              int64_t n_class, uint64_t seed, double *score, mdl_error_t *err)
{
    mdl_decomposition_t d = {0};
    double *x = NULL, *posterior = NULL, variance;
    int64_t n_dim, n_part = PARTS_PER_CLASS * n_class;
    int rc;
    n_part = n_part < n_sample / 2 ? n_part : n_sample / 2;
    MDL_TRY(mdl_centre_columns(features, n_sample, n_feat, err));
    MDL_TRY(mdl_decompose(features, n_sample, n_feat, &d, err));
    n_dim = count_components(&d, n_sample, &variance);
    if (n_dim == 0)
        MDL_TRY(mdl_fail(err, MDL_E_INPUT, "the features of all rows are the same"));
    MDL_TRY(mdl_alloc(&x, (size_t)(n_sample * n_dim), sizeof *x, "components", err));
    for (int64_t i = 0; i < n_sample; i++)
        for (int64_t k = 0; k < n_dim; k++)
            x[i * n_dim + k] = d.left[i * d.n_all + k] * d.value[k];
    MDL_TRY(mdl_alloc(&posterior, (size_t)(n_sample * n_part), sizeof *posterior, "parts", err));
    MDL_TRY(find_parts(x, n_sample, n_dim, n_part, ridge_share * variance, seed, posterior, err));
    rc = mdl_leep(posterior, n_sample, n_part, class_of, n_class, score, err);
done:
    mdl_decomposition_free(&d);
    free(x);
    free(posterior);
    return rc;
}
