/* SVCCA, PWCCA and Procrustes from the models' left singular vectors. */
#include "core/log.h"
#include "io/similarity_file.h"
#include "mpi/agree.h"
#include "mpi/stop.h"
#include "similarity/decompose.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

/* Pairs are taken from the kept vectors alone: their products U_a' U_b. */
static int products_of(const mdl_decomposed_t *a, const mdl_decomposed_t *b, mdl_matrix_t *product,
                       mdl_error_t *err)
{
    int rc = mdl_matrix_new(a->vectors.grid, a->n_kept, b->n_kept, product, err);
    if (rc == MDL_OK)
        mdl_matrix_multiply('T', 'N', a->n_kept, b->n_kept, a->vectors.n_row, &a->vectors,
                            &b->vectors, product);
    return rc;
}

/* Mean of the canonical correlations, which are the singular values of the products. */
static int svcca(const mdl_decomposed_t *a, const mdl_decomposed_t *b, mdl_matrix_t *product,
                 double *s, double *out, mdl_error_t *err)
{
    int64_t n = a->n_kept < b->n_kept ? a->n_kept : b->n_kept;
    double sum = 0;
    int rc = mdl_matrix_svd(product, s, NULL, NULL, err);
    for (int64_t i = 0; rc == MDL_OK && i < n; i++)
        sum += s[i];
    *out = sum / (double)n;
    return rc;
}

static double length_of(const mdl_decomposed_t *a)
{
    double squares = 0;
    for (int64_t i = 0; i < a->n_kept; i++)
        squares += a->values[i] * a->values[i];
    return sqrt(squares);
}

/* Nuclear norm of X'Y = V_a S_a U_a' U_b S_b V_b', over the Frobenius norms of X and Y. */
static int procrustes(const mdl_decomposed_t *a, const mdl_decomposed_t *b, mdl_matrix_t *product,
                      double *s, double *out, mdl_error_t *err)
{
    int64_t n = a->n_kept < b->n_kept ? a->n_kept : b->n_kept;
    double sum = 0, length_a = length_of(a), length_b = length_of(b);
    for (int64_t j = 0; j < product->own_cols; j++)
        for (int64_t i = 0; i < product->own_rows; i++)
            product->values[j * product->descriptor[8] + i] *=
                (a->values[mdl_matrix_row(product, i)] / length_a) *
                (b->values[mdl_matrix_col(product, j)] / length_b);
    int rc = mdl_matrix_svd(product, s, NULL, NULL, err);
    for (int64_t i = 0; rc == MDL_OK && i < n; i++)
        sum += s[i];
    *out = sum;
    return rc;
}

/* Mean of the n correlations s, each weighted by how much of the features its canonical vector
 * accounts for: rotation: [n_kept, n] (or its transpose, with trans 'N') turns the kept singular
 * vectors into canonical ones, so rotation' (U' X) holds their products with the features. */
static int weighted(const mdl_decomposed_t *model, char trans, const mdl_matrix_t *rotation,
                    int64_t n, const double *s, double *out, mdl_error_t *err)
{
    const mdl_grid_t *grid = rotation->grid;
    mdl_matrix_t share = {0};
    double *weight = NULL, total = 0, sum = 0;
    int64_t d = model->features.n_col;
    int rc = mdl_alloc(&weight, (size_t)n, sizeof *weight, "weights", err);
    MDL_TRY(mdl_agree(grid->comm, rc, err));
    MDL_TRY(mdl_matrix_new(grid, n, d, &share, err));
    mdl_matrix_multiply(trans, 'N', n, d, model->n_kept, rotation, &model->features, &share);
    for (int64_t j = 0; j < share.own_cols; j++)
        for (int64_t i = 0; i < share.own_rows; i++)
            weight[mdl_matrix_row(&share, i)] += fabs(share.values[j * share.descriptor[8] + i]);
    mdl_grid_sum(grid->comm, weight, n);
    for (int64_t i = 0; i < n; i++) {
        total += weight[i];
        sum += weight[i] * s[i];
    }
    *out = sum / total;
done:
    mdl_matrix_free(&share);
    free(weight);
    return rc;
}

/* Weighted by the model with the fewer dimensions, as its authors do; by both, and then the mean,
 * when they have equally many. */
static int pwcca(const mdl_decomposed_t *a, const mdl_decomposed_t *b, mdl_matrix_t *product,
                 double *s, double *out, mdl_error_t *err)
{
    const mdl_grid_t *grid = product->grid;
    int64_t n_a = a->n_kept, n_b = b->n_kept, n = n_a < n_b ? n_a : n_b;
    mdl_matrix_t u = {0}, vt = {0};
    double by_a = 0, by_b = 0;
    int rc;
    MDL_TRY(mdl_matrix_new(grid, n_a, n, &u, err));
    MDL_TRY(mdl_matrix_new(grid, n, n_b, &vt, err));
    MDL_TRY(mdl_matrix_svd(product, s, &u, &vt, err));
    if (n_a <= n_b)
        MDL_TRY(weighted(a, 'T', &u, n, s, &by_a, err));
    if (n_b <= n_a)
        MDL_TRY(weighted(b, 'N', &vt, n, s, &by_b, err));
    *out = n_a == n_b ? (by_a + by_b) / 2 : by_a + by_b;
done:
    mdl_matrix_free(&u);
    mdl_matrix_free(&vt);
    return rc;
}

static int pair_of(mdl_measure_t measure, const mdl_decomposed_t *a, const mdl_decomposed_t *b,
                   double *out, mdl_error_t *err)
{
    mdl_matrix_t product = {0};
    double *s = NULL;
    int rc = mdl_alloc(&s, (size_t)(a->n_kept + b->n_kept), sizeof *s, "correlations", err);
    MDL_TRY(mdl_agree(a->vectors.grid->comm, rc, err));
    MDL_TRY(products_of(a, b, &product, err));
    rc = measure == MDL_MEASURE_SVCCA        ? svcca(a, b, &product, s, out, err)
         : measure == MDL_MEASURE_PROCRUSTES ? procrustes(a, b, &product, s, out, err)
                                             : pwcca(a, b, &product, s, out, err);
done:
    mdl_matrix_free(&product);
    free(s);
    return rc;
}

/* With n_sample - 1 dimensions for both, some canonical correlations are 1 whatever the models. */
static void warn_of_dimensions(const mdl_measure_settings_t *settings, const mdl_rows_t *models,
                               const mdl_decomposed_t *decomposed, int n_model, int64_t n_sample)
{
    int widest = 0, second = -1;
    for (int a = 1; a < n_model; a++) {
        if (decomposed[a].n_kept > decomposed[widest].n_kept)
            second = widest, widest = a;
        else if (second < 0 || decomposed[a].n_kept > decomposed[second].n_kept)
            second = a;
    }
    if (settings->measure == MDL_MEASURE_PROCRUSTES || second < 0)
        return;
    int64_t together = decomposed[widest].n_kept + decomposed[second].n_kept;
    if (together > n_sample - 1)
        mdl_log(MDL_LOG_WARN,
                "%s and %s have %lld dimensions together and there are %lld samples: at least %lld "
                "of their canonical correlations are 1 for any two models; archive more samples",
                models[widest].model, models[second].model, (long long)together,
                (long long)n_sample, (long long)(together - n_sample + 1));
}

static int check_stop(const mdl_grid_t *grid, int done, int n_model, mdl_error_t *err)
{
    int rc = mdl_stop_wanted()
                 ? mdl_fail(err, MDL_E_AGAIN, "%d of %d models were decomposed", done, n_model)
                 : MDL_OK;
    return mdl_agree(grid->comm, rc, err);
}

/* The rows of a model that doesn't vary have no singular vectors, and it is like no other. */
static int compare(mdl_measure_t measure, const mdl_decomposed_t *a, const mdl_decomposed_t *b,
                   double *value, uint8_t *status, mdl_error_t *err)
{
    *value = NAN;
    *status = a->n_kept == 0 || b->n_kept == 0 ? MDL_SIMILARITY_CONSTANT : MDL_SIMILARITY_DEFINED;
    if (*status != MDL_SIMILARITY_DEFINED)
        return MDL_OK;
    *value = 1;
    return a == b ? MDL_OK : pair_of(measure, a, b, value, err);
}

static int compute(const mdl_grid_t *grid, const mdl_measure_settings_t *settings,
                   const mdl_rows_t *models, int n_model, int64_t n_sample, double *similarity,
                   uint8_t *status, mdl_error_t *err)
{
    mdl_decomposed_t *decomposed = NULL;
    int rc = mdl_alloc(&decomposed, (size_t)n_model, sizeof *decomposed, "models", err);
    MDL_TRY(mdl_agree(grid->comm, rc, err));
    for (int a = 0; a < n_model; a++) {
        MDL_TRY(check_stop(grid, a, n_model, err));
        MDL_TRY(mdl_decompose(grid, settings->measure, &models[a], n_sample, &decomposed[a], err));
    }
    warn_of_dimensions(settings, models, decomposed, n_model, n_sample);
    for (int a = 0; a < n_model; a++) {
        MDL_TRY(check_stop(grid, n_model, n_model, err));
        for (int b = 0; b <= a; b++) {
            int64_t ab = (int64_t)a * n_model + b, ba = (int64_t)b * n_model + a;
            MDL_TRY(compare(settings->measure, &decomposed[a], &decomposed[b], &similarity[ab],
                            &status[ab], err));
            similarity[ba] = similarity[ab];
            status[ba] = status[ab];
        }
    }
done:
    for (int a = 0; decomposed != NULL && a < n_model; a++)
        mdl_decomposed_free(&decomposed[a]);
    free(decomposed);
    return rc;
}

int mdl_measure_similarity(MPI_Comm comm, const mdl_measure_settings_t *settings,
                           const mdl_rows_t *models, int n_model, int64_t n_sample,
                           double *similarity, uint8_t *status, mdl_error_t *err)
{
    mdl_grid_t grid;
    if (n_sample < 2)
        return mdl_fail(err, MDL_E_INPUT,
                        "the models have %lld samples in common; a similarity needs at least 2",
                        (long long)n_sample);
    openblas_set_num_threads(1);
    int rc = mdl_grid_open(comm, settings->grid_rows, settings->grid_cols, &grid, err);
    if (rc != MDL_OK)
        return rc;
    mdl_log(MDL_LOG_INFO, "ScaLAPACK on a grid of %d x %d ranks", grid.n_row, grid.n_col);
    if (grid.comm != MPI_COMM_NULL)
        rc = compute(&grid, settings, models, n_model, n_sample, similarity, status, err);
    rc = mdl_agree(comm, rc, err);
    if (rc == MDL_OK) {
        MPI_Bcast(similarity, n_model * n_model, MPI_DOUBLE, 0, comm);
        MPI_Bcast(status, n_model * n_model, MPI_UINT8_T, 0, comm);
    }
    mdl_grid_close(&grid);
    return rc;
}
