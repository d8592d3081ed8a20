#include "cka/block.h"
#include "cka/estimate.h"
#include "mpi/agree.h"
#include "mpi/ordered.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    mdl_cka_task_t *task;
    int64_t n_tile, n_pair, n_feat_all; /* tiles along one side; pairs; n_feat of all models */
    int64_t *offset;                    /* [n_model] where a model starts in reference and mean */
    double *reference;                  /* [n_feat_all] first row of each model */
    double *mean;                       /* [n_feat_all] of the rows less the reference, scaled */
    double *spread;                     /* [n_model] */
    int *exponent;                      /* [n_model] */
    double *x, *y;                      /* [MDL_CKA_TILE, max n_feat] */
    double *norm_x, *norm_y;            /* [MDL_CKA_TILE] */
    double *gram;                       /* [n_model, MDL_CKA_TILE, MDL_CKA_TILE] */
    double *row_sum;                    /* [n_model, n_sample] of the kernel matrices */
} work_t;

static int64_t tile_rows(const work_t *work, int64_t tile)
{
    int64_t left = work->task->n_sample - tile * MDL_CKA_TILE;
    return left < MDL_CKA_TILE ? left : MDL_CKA_TILE;
}

/* First pass, values: column sums of a block of rows of every model, then each model's spread. */
static int compute_sums(void *data, int64_t item, double *values, mdl_error_t *err)
{
    work_t *work = data;
    int64_t n = tile_rows(work, item);
    for (int a = 0; a < work->task->n_model; a++) {
        const mdl_rows_t *rows = &work->task->models[a];
        int rc = mdl_block_read(rows, item * MDL_CKA_TILE, n, work->reference + work->offset[a],
                                work->x, values + work->n_feat_all + a, err);
        if (rc != MDL_OK)
            return rc;
        double *sum = values + work->offset[a];
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < rows->n_feat; j++)
                sum[j] += work->x[i * rows->n_feat + j];
    }
    return MDL_OK;
}

static void fold_sums(void *data, int64_t item, const double *values)
{
    work_t *work = data;
    (void)item;
    for (int64_t j = 0; j < work->n_feat_all; j++)
        work->mean[j] += values[j];
    for (int a = 0; a < work->task->n_model; a++)
        work->spread[a] = fmax(work->spread[a], values[work->n_feat_all + a]);
}

static int find_means(MPI_Comm comm, work_t *work, mdl_error_t *err)
{
    mdl_cka_task_t *task = work->task;
    mdl_ordered_t ordered = {.n_item = work->n_tile,
                             .n_value = work->n_feat_all + task->n_model,
                             .what = "blocks for the means",
                             .compute = compute_sums,
                             .fold = fold_sums,
                             .data = work};
    int rc = MDL_OK;
    for (int a = 0; rc == MDL_OK && a < task->n_model; a++)
        rc = task->models[a].read(&task->models[a], 0, 1, work->reference + work->offset[a], err);
    rc = mdl_agree(comm, rc, err);
    if (rc == MDL_OK)
        rc = mdl_ordered_run(comm, &ordered, err);
    for (int a = 0; rc == MDL_OK && a < task->n_model; a++) {
        double *mean = work->mean + work->offset[a];
        work->exponent[a] =
            task->gamma == NULL ? mdl_block_exponent(work->spread[a]) : task->exponent[a];
        for (int64_t j = 0; j < task->models[a].n_feat; j++)
            mean[j] = ldexp(mean[j] / (double)task->n_sample, work->exponent[a]);
    }
    return rc;
}

static int read_tile(work_t *work, int model, int64_t tile, double *x, mdl_error_t *err)
{
    const mdl_rows_t *rows = &work->task->models[model];
    int64_t n = tile_rows(work, tile);
    double spread;
    int rc = mdl_block_read(rows, tile * MDL_CKA_TILE, n, work->reference + work->offset[model], x,
                            &spread, err);
    if (rc != MDL_OK)
        return rc;
    mdl_block_scale(x, n * rows->n_feat, work->exponent[model]);
    mdl_block_centre(x, n, rows->n_feat, work->mean + work->offset[model]);
    return MDL_OK;
}

/* Fills the upper triangle of a tile on the diagonal from its lower; the unbiased estimator leaves
 * the diagonal of the kernel matrix out. */
static void complete_diagonal_tile(double *gram, int64_t n, int drop_diagonal)
{
    for (int64_t i = 0; i < n; i++) {
        if (drop_diagonal)
            gram[i * n + i] = 0;
        for (int64_t j = 0; j < i; j++)
            gram[j * n + i] = gram[i * n + j];
    }
}

static int kernel_of_tile(work_t *work, int model, int64_t tile_i, int64_t tile_j, double *gram,
                          mdl_error_t *err)
{
    mdl_cka_task_t *task = work->task;
    int64_t n_feat = task->models[model].n_feat;
    int64_t n_i = tile_rows(work, tile_i), n_j = tile_rows(work, tile_j);
    int diagonal = tile_i == tile_j;
    double *y = diagonal ? work->x : work->y;
    double *norm_y = diagonal ? work->norm_x : work->norm_y;
    int rc = read_tile(work, model, tile_i, work->x, err);
    if (rc == MDL_OK && !diagonal)
        rc = read_tile(work, model, tile_j, y, err);
    if (rc != MDL_OK)
        return rc;
    mdl_block_gram(work->x, n_i, y, n_j, n_feat, gram);
    if (task->gamma != NULL) {
        mdl_block_norms(work->x, n_i, n_feat, work->norm_x);
        if (!diagonal)
            mdl_block_norms(y, n_j, n_feat, norm_y);
        mdl_block_rbf(gram, n_i, n_j, work->norm_x, norm_y, task->gamma[model]);
    }
    if (diagonal)
        complete_diagonal_tile(gram, n_i, task->settings->estimator == MDL_CKA_UNBIASED);
    return MDL_OK;
}

/* Tile number item of the lower triangle of tiles. */
static void tile_of_item(int64_t item, int64_t *i, int64_t *j)
{
    *i = (int64_t)((sqrt(8.0 * (double)item + 1) - 1) / 2);
    while (*i * (*i + 1) / 2 > item)
        --*i;
    while ((*i + 1) * (*i + 2) / 2 <= item)
        ++*i;
    *j = item - *i * (*i + 1) / 2;
}

static void add_row_sums(const double *gram, int64_t n_i, int64_t n_j, double *rows,
                         double *columns)
{
    for (int64_t i = 0; i < n_i; i++) {
        for (int64_t j = 0; j < n_j; j++) {
            rows[i] += gram[i * n_j + j];
            columns[j] += gram[i * n_j + j];
        }
    }
}

/* Second pass, values: products of all pairs over a tile, then row and column sums of the tile for
 * each model. */
static int compute_tile(void *data, int64_t item, double *values, mdl_error_t *err)
{
    work_t *work = data;
    int64_t tile_i, tile_j;
    tile_of_item(item, &tile_i, &tile_j);
    int64_t n_i = tile_rows(work, tile_i), n_j = tile_rows(work, tile_j);
    double twice = tile_i == tile_j ? 1 : 2;
    for (int a = 0; a < work->task->n_model; a++) {
        double *mine = work->gram + a * n_i * n_j;
        int rc = kernel_of_tile(work, a, tile_i, tile_j, mine, err);
        if (rc != MDL_OK)
            return rc;
        for (int b = 0; b <= a; b++)
            values[mdl_cka_pair(a, b)] =
                twice * mdl_block_dot(mine, work->gram + b * n_i * n_j, n_i * n_j);
        double *rows = values + work->n_pair + 2 * a * MDL_CKA_TILE;
        add_row_sums(mine, n_i, n_j, rows, rows + MDL_CKA_TILE);
    }
    return MDL_OK;
}

static void fold_tile(void *data, int64_t item, const double *values)
{
    work_t *work = data;
    mdl_cka_task_t *task = work->task;
    int64_t tile_i, tile_j;
    tile_of_item(item, &tile_i, &tile_j);
    for (int64_t pair = 0; pair < work->n_pair; pair++)
        task->hsic[pair] += values[pair];
    for (int a = 0; a < task->n_model; a++) {
        const double *rows = values + work->n_pair + 2 * a * MDL_CKA_TILE;
        double *row_sum = work->row_sum + a * task->n_sample;
        for (int64_t i = 0; i < tile_rows(work, tile_i); i++)
            row_sum[tile_i * MDL_CKA_TILE + i] += rows[i];
        for (int64_t j = 0; tile_i != tile_j && j < tile_rows(work, tile_j); j++)
            row_sum[tile_j * MDL_CKA_TILE + j] += rows[MDL_CKA_TILE + j];
    }
}

/* Turns the sums of products into HSICs by what centring takes away: with n' = n (biased) or n - 2,
 * sum K L - 2/n' sum_i r_i s_i + R S / d, r and s being the row sums, R and S the totals and d =
 * n^2 or (n-1)(n-2). */
static void centre_sums(work_t *work)
{
    mdl_cka_task_t *task = work->task;
    double n = (double)task->n_sample;
    int biased = task->settings->estimator == MDL_CKA_BIASED;
    double row_weight = biased ? n : n - 2;
    double total_weight = biased ? n * n : (n - 1) * (n - 2);
    double scale = biased ? (n - 1) * (n - 1) : n * (n - 3);
    double *total = work->spread; /* no longer needed */
    for (int a = 0; a < task->n_model; a++) {
        const double *mine = work->row_sum + a * task->n_sample;
        total[a] = 0;
        for (int64_t i = 0; i < task->n_sample; i++)
            total[a] += mine[i];
        task->power[a] = task->hsic[mdl_cka_pair(a, a)] / scale;
        for (int b = 0; b <= a; b++) {
            double *hsic = &task->hsic[mdl_cka_pair(a, b)];
            double rows = mdl_block_dot(mine, work->row_sum + b * task->n_sample, task->n_sample);
            *hsic = (*hsic - 2 * rows / row_weight + total[a] * total[b] / total_weight) / scale;
        }
    }
}

static int allocate(work_t *work, mdl_error_t *err)
{
    mdl_cka_task_t *task = work->task;
    size_t n_model = (size_t)task->n_model, tile = MDL_CKA_TILE;
    size_t max_feat = (size_t)mdl_cka_max_feat(task), all = (size_t)work->n_feat_all;
    if (tile > (size_t)task->n_sample)
        tile = (size_t)task->n_sample;
    int rc;
    MDL_TRY(mdl_alloc(&work->reference, all, sizeof(double), "reference rows", err));
    MDL_TRY(mdl_alloc(&work->mean, all, sizeof(double), "mean rows", err));
    MDL_TRY(mdl_alloc(&work->spread, n_model, sizeof(double), "spreads", err));
    MDL_TRY(mdl_alloc(&work->exponent, n_model, sizeof(int), "exponents", err));
    MDL_TRY(mdl_alloc(&work->x, tile * max_feat, sizeof(double), "a tile of rows", err));
    MDL_TRY(mdl_alloc(&work->y, tile * max_feat, sizeof(double), "a tile of rows", err));
    MDL_TRY(mdl_alloc(&work->norm_x, tile, sizeof(double), "squared lengths", err));
    MDL_TRY(mdl_alloc(&work->norm_y, tile, sizeof(double), "squared lengths", err));
    MDL_TRY(mdl_alloc(&work->gram, n_model * tile * tile, sizeof(double), "Gram tiles", err));
    MDL_TRY(mdl_alloc(&work->row_sum, n_model * (size_t)task->n_sample, sizeof(double), "row sums",
                      err));
done:
    return rc;
}

static void release(work_t *work)
{
    free(work->offset);
    free(work->reference);
    free(work->mean);
    free(work->spread);
    free(work->exponent);
    free(work->x);
    free(work->y);
    free(work->norm_x);
    free(work->norm_y);
    free(work->gram);
    free(work->row_sum);
}

int mdl_cka_full(MPI_Comm comm, mdl_cka_task_t *task, mdl_error_t *err)
{
    work_t work = {.task = task,
                   .n_tile = (task->n_sample + MDL_CKA_TILE - 1) / MDL_CKA_TILE,
                   .n_pair = mdl_cka_pair(task->n_model, 0)};
    mdl_ordered_t ordered = {.n_item = work.n_tile * (work.n_tile + 1) / 2,
                             .n_value = work.n_pair + 2 * task->n_model * MDL_CKA_TILE,
                             .what = "Gram tiles",
                             .compute = compute_tile,
                             .fold = fold_tile,
                             .data = &work};
    int rc = mdl_alloc(&work.offset, (size_t)task->n_model, sizeof(int64_t), "offsets", err);
    for (int a = 0; rc == MDL_OK && a < task->n_model; a++) {
        work.offset[a] = work.n_feat_all;
        work.n_feat_all += task->models[a].n_feat;
    }
    if (rc == MDL_OK)
        rc = allocate(&work, err);
    MDL_TRY(mdl_agree(comm, rc, err));
    MDL_TRY(find_means(comm, &work, err));
    MDL_TRY(mdl_ordered_run(comm, &ordered, err));
    centre_sums(&work);
done:
    release(&work);
    return rc;
}
