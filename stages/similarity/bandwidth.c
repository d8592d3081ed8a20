#include "mpi/agree.h"
#include "similarity/estimate.h"
#include "similarity/gram_cache.h"

#include <math.h>
#include <stdlib.h>

enum { MAX_ROWS = 1000 };

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Median of n values, the mean of the middle two when n is even; sorts them. */
static double median(double *values, int64_t n)
{
    qsort(values, (size_t)n, sizeof *values, ascending);
    return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* Overwrites the lower triangle of gram by the squared distances of its pairs, packed. */
static int64_t pack_distances(double *gram, int64_t n, const double *norm)
{
    int64_t ld = mdl_real_padded(n);
    double *out = gram;
    for (int64_t i = 1; i < n; i++) {
        for (int64_t j = 0; j < i; j++) {
            double both = norm[i] + norm[j], squared = both - 2 * gram[i * ld + j];
            *out++ = squared > 1e-13 * both ? squared : 0;
        }
    }
    return out - gram;
}

/* n evenly spaced rows of the model less their mean, scaled and packed. feat: [2 n_feat] scratch.
 */
static int read_spaced(const mdl_real_t *real, const mdl_rows_t *rows, int64_t n_sample, int64_t n,
                       double *x, double *feat, double *packed, int *exponent, mdl_error_t *err)
{
    int64_t n_feat = rows->n_feat;
    double *mean = feat + n_feat, spread = 0;
    int rc = rows->read(rows, 0, 1, MDL_FLOAT64, feat, err);
    for (int64_t k = 0; rc == MDL_OK && k < n; k++) {
        int64_t row = k * n_sample / n;
        rc = rows->read(rows, row, 1, MDL_FLOAT64, x + k * n_feat, err);
        int64_t bad =
            rc == MDL_OK ? real->column_sums(x + k * n_feat, 1, n_feat, feat, mean, &spread) : -1;
        if (bad >= 0)
            rc = mdl_cka_refuse_value(rows, row, bad, err);
    }
    if (rc != MDL_OK)
        return rc;
    for (int64_t j = 0; j < n_feat; j++)
        mean[j] /= (double)n;
    *exponent = spread > 0 ? -ilogb(spread) : 0;
    *exponent = *exponent > 1000 ? 1000 : *exponent;
    real->pack(x, n, n_feat, feat, mean, ldexp(1, *exponent), packed);
    return MDL_OK;
}

static int bandwidth(mdl_cka_task_t *task, int model, mdl_error_t *err)
{
    const mdl_rows_t *rows = &task->models[model];
    const mdl_real_t *real = mdl_real(MDL_FLOAT64);
    int64_t n = task->n_sample < MAX_ROWS ? task->n_sample : MAX_ROWS;
    double *x = NULL, *feat = NULL, *gram = NULL, *norm = NULL, *packed = NULL;
    size_t n_feat = (size_t)rows->n_feat, n_row = (size_t)n, padded = (size_t)mdl_real_padded(n);
    int rc;
    MDL_TRY(mdl_alloc(&x, n_row * n_feat, sizeof *x, "rows of the bandwidth", err));
    MDL_TRY(mdl_alloc(&feat, 2 * n_feat, sizeof *feat, "a mean row", err));
    MDL_TRY(mdl_alloc(&gram, padded * padded, sizeof *gram, "distances of the bandwidth", err));
    MDL_TRY(mdl_alloc_aligned(&packed, padded * n_feat, sizeof *packed, "packed rows", err));
    MDL_TRY(mdl_alloc(&norm, n_row, sizeof *norm, "squared lengths", err));
    MDL_TRY(
        read_spaced(real, rows, task->n_sample, n, x, feat, packed, &task->exponent[model], err));
    real->gram(packed, n, packed, n, rows->n_feat, gram);
    real->packed_norms(packed, n, rows->n_feat, norm);
    double squared = median(gram, pack_distances(gram, n, norm));
    double width = squared * task->settings->sigma * task->settings->sigma;
    task->gamma[model] = width > 0 ? 1 / (2 * width) : 0;
done:
    free(x);
    free(feat);
    free(gram);
    free(norm);
    free(packed);
    return rc;
}

int mdl_cka_bandwidths(MPI_Comm comm, mdl_cka_task_t *task, mdl_error_t *err)
{
    const mdl_gram_cache_t *cache = task->settings->cache;
    int rank, n_rank, rc = MDL_OK;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &n_rank);
    for (int a = rank; rc == MDL_OK && a < task->n_model; a += n_rank) {
        if (mdl_gram_cache_has_all(cache, a) ||
            mdl_gram_cache_is_alone(cache, a)) /* its matrices have the kernel in them */
            task->gamma[a] = mdl_gram_cache_varies(cache, a) ? 1 : 0;
        else
            rc = bandwidth(task, a, err);
    }
    rc = mdl_agree(comm, rc, err);
    if (rc != MDL_OK)
        return rc;
    MPI_Allreduce(MPI_IN_PLACE, task->gamma, task->n_model, MPI_DOUBLE, MPI_SUM, comm);
    MPI_Allreduce(MPI_IN_PLACE, task->exponent, task->n_model, MPI_INT, MPI_SUM, comm);
    return MDL_OK;
}
