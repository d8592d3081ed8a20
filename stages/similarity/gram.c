#include "mpi/agree.h"
#include "mpi/chunks.h"
#include "mpi/ordered.h"
#include "similarity/rbf_sample.h"
#include "similarity/row_units.h"
#include "similarity/tile_rows.h"

#include <stdlib.h>

typedef struct {
    mdl_cka_task_t *task;
    mdl_means_t means;
    mdl_full_device_t device; /* that computes the tiles where the settings name one; then: */
    const double *lines;      /* [n_model, 2, tile] of the last tile, as it gives them */
    int64_t step;             /* from an item to the next of this rank */
    mdl_tile_rows_t rows;
    void *gram;              /* [n_model, stride] tiles of the kernel matrices */
    int64_t stride;          /* padded tile, squared */
    double *norm_x, *norm_y; /* [tile] */
    double *diagonal;        /* [n_model, tile] of a tile on the diagonal */
    double *product, *trace; /* RBF: [n_pair], [n_model] */
    double *row_sum;         /* RBF: [n_model, n_sample] of the kernel matrices */
    mdl_row_units_t units;   /* linear: what the standard error comes from */
} work_t;

/* The model's tile of the kernel matrix; of a tile on the diagonal its lower triangle, and the
 * diagonal itself only for the biased estimator. */
static int kernel_of_tile(work_t *work, int model, int64_t tile_i, int64_t tile_j, mdl_error_t *err)
{
    mdl_cka_task_t *task = work->task;
    const mdl_real_t *real = task->real;
    int64_t n_feat = task->models[model].n_feat;
    int64_t n_i = mdl_means_rows(&work->means, tile_i), n_j = mdl_means_rows(&work->means, tile_j);
    char *gram = (char *)work->gram + (size_t)(model * work->stride) * real->size;
    double *norm_y = tile_i == tile_j ? work->norm_x : work->norm_y;
    void *x, *y;
    int rc = mdl_tile_rows_get(&work->rows, model, tile_i, 0, &x, err);
    y = x;
    if (rc == MDL_OK && tile_i != tile_j)
        rc = mdl_tile_rows_get(&work->rows, model, tile_j, 1, &y, err);
    if (rc != MDL_OK)
        return rc;
    real->gram(x, n_i, y, n_j, n_feat, gram);
    if (tile_i == tile_j)
        real->take_diagonal(gram, n_i, work->diagonal + model * work->means.tile,
                            task->settings->estimator == MDL_CKA_UNBIASED);
    if (task->gamma != NULL) {
        real->packed_norms(x, n_i, n_feat, work->norm_x);
        if (tile_i != tile_j)
            real->packed_norms(y, n_j, n_feat, norm_y);
        real->rbf(gram, n_i, n_j, work->norm_x, norm_y, task->gamma[model]);
    }
    return MDL_OK;
}

/* Numbers of a tile with the linear kernel, apart from those of the units. */
static int64_t n_value_of_tile(const mdl_cka_task_t *task)
{
    return 2 * task->n_pair + task->n_model;
}

static int products_on_cpu(work_t *work, int64_t tile_i, int64_t tile_j, double *values,
                           mdl_error_t *err)
{
    mdl_cka_task_t *task = work->task;
    for (int a = 0; a < task->n_model; a++) {
        int rc = kernel_of_tile(work, a, tile_i, tile_j, err);
        if (rc != MDL_OK)
            return rc;
    }
    int64_t n_i = mdl_means_rows(&work->means, tile_i), side = work->means.tile;
    int64_t n_j = mdl_means_rows(&work->means, tile_j);
    mdl_tile_t tile = {.i = tile_i * side, .n_i = n_i, .j = tile_j * side, .n_j = n_j};
    if (work->units.n_unit > 0)
        mdl_row_units_add_tile(&work->units, &tile, work->gram, work->stride, values,
                               values + n_value_of_tile(task));
    else
        task->real->products(work->gram, task->n_model, work->stride,
                             mdl_real_padded(n_i) * mdl_real_padded(n_j), values);
    return MDL_OK;
}

/* values: sums of products of all pairs over the tile and its mirror image. A tile on the diagonal
 * has its lower triangle alone, so that its diagonal is counted twice. */
static int multiply_tile(work_t *work, int64_t item, double *values, mdl_error_t *err)
{
    int64_t tile_i, tile_j, next_i, next_j;
    mdl_tile_of_item(item, &tile_i, &tile_j);
    mdl_tile_of_item(item + work->step, &next_i, &next_j);
    int rc = work->device.gram == NULL
                 ? products_on_cpu(work, tile_i, tile_j, values, err)
                 : mdl_full_device_products(&work->device, &work->units, tile_i, tile_j, next_i,
                                            next_j, values, values + n_value_of_tile(work->task),
                                            &work->lines, err);
    for (int64_t pair = 0; rc == MDL_OK && pair < work->task->n_pair; pair++)
        values[pair] *= 2;
    return rc;
}

/* Of the last tile, which is on the diagonal. */
static const double *diagonal_of(const work_t *work, int model)
{
    int64_t tile = work->means.tile;
    return (work->lines != NULL ? work->lines : work->diagonal) + model * tile;
}

/* Adds the row and column sums of the last tile, n_i by n_j, to sums: [2, tile]. */
static void add_line_sums(const work_t *work, int model, int64_t n_i, int64_t n_j, double *sums)
{
    const mdl_real_t *real = work->task->real;
    int64_t tile = work->means.tile;
    if (work->lines == NULL) {
        real->row_sums((char *)work->gram + (size_t)(model * work->stride) * real->size, n_i, n_j,
                       sums, sums + tile);
        return;
    }
    const double *lines = work->lines + 2 * model * tile;
    for (int64_t i = 0; i < n_i; i++)
        sums[i] += lines[i];
    for (int64_t j = 0; j < n_j; j++)
        sums[tile + j] += lines[tile + j];
}

/* Linear kernel; values: products as above, then sums of the products of diagonals, then traces,
 * then those of the units. */
static int compute_linear(void *data, int64_t item, double *values, mdl_error_t *err)
{
    work_t *work = data;
    mdl_cka_task_t *task = work->task;
    double *square = values + task->n_pair, *trace = square + task->n_pair;
    int64_t tile_i, tile_j;
    mdl_tile_of_item(item, &tile_i, &tile_j);
    int rc = multiply_tile(work, item, values, err);
    if (rc != MDL_OK || tile_i != tile_j)
        return rc;
    for (int a = 0; a < task->n_model; a++) {
        const double *mine = diagonal_of(work, a);
        for (int64_t i = 0; i < mdl_means_rows(&work->means, tile_i); i++)
            trace[a] += mine[i];
        for (int b = 0; b <= a; b++) {
            const double *other = diagonal_of(work, b);
            double *sum = &square[mdl_cka_pair(a, b)];
            for (int64_t i = 0; i < mdl_means_rows(&work->means, tile_i); i++)
                *sum += mine[i] * other[i];
        }
    }
    if (task->settings->estimator == MDL_CKA_BIASED)
        for (int64_t pair = 0; pair < task->n_pair; pair++)
            values[pair] -= square[pair];
    if (work->units.n_unit > 0)
        mdl_row_units_add_own(&work->units, tile_i * work->means.tile,
                              mdl_means_rows(&work->means, tile_i), diagonal_of(work, 0),
                              values + n_value_of_tile(task));
    return MDL_OK;
}

/* A tile on the diagonal costs half, and the last ones are smaller. */
static double cost_of_tile(const void *data, int64_t item)
{
    const work_t *work = data;
    int64_t tile_i, tile_j;
    mdl_tile_of_item(item, &tile_i, &tile_j);
    return (double)mdl_means_rows(&work->means, tile_i) *
           (double)mdl_means_rows(&work->means, tile_j) / (tile_i == tile_j ? 2 : 1);
}

/* RBF kernel; values: products as above, then row and column sums of the tile for each model. The
 * diagonal of the kernel less 1 is 0. */
static int compute_rbf(void *data, int64_t item, double *values, mdl_error_t *err)
{
    work_t *work = data;
    mdl_cka_task_t *task = work->task;
    int64_t tile_i, tile_j;
    mdl_tile_of_item(item, &tile_i, &tile_j);
    int rc = multiply_tile(work, item, values, err);
    for (int a = 0; rc == MDL_OK && a < task->n_model; a++)
        add_line_sums(work, a, mdl_means_rows(&work->means, tile_i),
                      mdl_means_rows(&work->means, tile_j),
                      values + task->n_pair + 2 * a * work->means.tile);
    return rc;
}

static void fold_rbf(void *data, int64_t item, const double *values)
{
    work_t *work = data;
    const mdl_cka_task_t *task = work->task;
    int64_t tile_i, tile_j, tile = work->means.tile;
    mdl_tile_of_item(item, &tile_i, &tile_j);
    for (int64_t pair = 0; pair < task->n_pair; pair++)
        work->product[pair] += values[pair];
    for (int a = 0; a < task->n_model; a++) {
        const double *rows = values + task->n_pair + 2 * a * tile;
        double *row_sum = work->row_sum + a * task->n_sample;
        for (int64_t i = 0; i < mdl_means_rows(&work->means, tile_i); i++)
            row_sum[tile_i * tile + i] += rows[i];
        for (int64_t j = 0; j < mdl_means_rows(&work->means, tile_j); j++)
            row_sum[tile_j * tile + j] += rows[tile + j];
    }
}

/* What centring takes away: sum K L - 2 / row sum_i r_i s_i + R S / total, r and s being the row
 * sums, R and S their totals, row and total the weights. */
static void finish_rbf(work_t *work)
{
    mdl_cka_task_t *task = work->task;
    mdl_rbf_weights_t weights = mdl_rbf_weights(task);
    for (int a = 0; a < task->n_model; a++) {
        const double *mine = work->row_sum + a * task->n_sample;
        for (int64_t i = 0; i < task->n_sample; i++)
            work->trace[a] += mine[i];
        task->sums->power[a] = work->product[mdl_cka_pair(a, a)] / weights.scale;
        for (int b = 0; b <= a; b++) {
            const double *other = work->row_sum + b * task->n_sample;
            int64_t pair = mdl_cka_pair(a, b);
            double rows = 0;
            for (int64_t i = 0; i < task->n_sample; i++)
                rows += mine[i] * other[i];
            task->sums->hsic[pair] = (work->product[pair] - 2 * rows / weights.row +
                                      work->trace[a] * work->trace[b] / weights.total) /
                                     weights.scale;
        }
    }
}

static int allocate_on_cpu(work_t *work, mdl_error_t *err)
{
    mdl_cka_task_t *task = work->task;
    mdl_means_t *means = &work->means;
    size_t size = task->real->size, tile = (size_t)means->tile, n_model = (size_t)task->n_model;
    size_t padded = (size_t)mdl_real_padded(means->tile);
    work->stride = (int64_t)(padded * padded);
    int rc;
    MDL_TRY(mdl_tile_rows_init(&work->rows, means, err));
    MDL_TRY(
        mdl_alloc_aligned(&work->gram, n_model * (size_t)work->stride, size, "Gram tiles", err));
    MDL_TRY(mdl_alloc(&work->norm_x, tile, sizeof(double), "squared lengths", err));
    MDL_TRY(mdl_alloc(&work->norm_y, tile, sizeof(double), "squared lengths", err));
    MDL_TRY(mdl_alloc(&work->diagonal, n_model * tile, sizeof(double), "diagonals", err));
done:
    return rc;
}

static int allocate(work_t *work, mdl_error_t *err)
{
    mdl_cka_task_t *task = work->task;
    size_t n_pair = (size_t)task->n_pair, n_model = (size_t)task->n_model;
    int rc;
    if (task->gamma == NULL)
        MDL_TRY(mdl_row_units_init(&work->units, &work->means, err));
    MDL_TRY(task->settings->device == 0
                ? allocate_on_cpu(work, err)
                : mdl_full_device_open_gram(&work->device, &work->means, &work->units, err));
    if (task->gamma != NULL) {
        MDL_TRY(mdl_alloc(&work->product, n_pair, sizeof(double), "sums of products", err));
        MDL_TRY(mdl_alloc(&work->trace, n_model, sizeof(double), "traces", err));
        MDL_TRY(mdl_alloc(&work->row_sum, n_model * (size_t)task->n_sample, sizeof(double),
                          "row sums", err));
    }
done:
    return rc;
}

static void release(work_t *work)
{
    mdl_full_device_close(&work->device);
    mdl_row_units_free(&work->units);
    mdl_tile_rows_free(&work->rows);
    mdl_means_free(&work->means);
    free(work->gram);
    free(work->norm_x);
    free(work->norm_y);
    free(work->diagonal);
    free(work->product);
    free(work->trace);
    free(work->row_sum);
}

static int begin_linear(void *data, int64_t first, int64_t n_own, mdl_error_t *err)
{
    work_t *work = data;
    if (work->device.gram != NULL)
        return MDL_OK;
    return mdl_tile_rows_start(&work->rows, first, first + n_own, 1, err);
}

static int run_linear(MPI_Comm comm, work_t *work, int64_t n_item, mdl_error_t *err)
{
    const mdl_cka_task_t *task = work->task;
    mdl_chunk_sums_t chunks;
    mdl_chunks_t run = {.n_item = n_item,
                        .n_value = n_value_of_tile(task) + mdl_row_units_n_value(&work->units),
                        .what = "Gram tiles",
                        .begin = begin_linear,
                        .compute = compute_linear,
                        .cost = cost_of_tile,
                        .data = work};
    int rc = mdl_chunks_run(comm, &run, &chunks, err);
    if (rc != MDL_OK)
        return rc;
    double *sums = chunks.values, *trace = sums + 2 * task->n_pair;
    for (int64_t k = 1; k < chunks.n_chunk; k++)
        for (int64_t v = 0; v < run.n_value; v++)
            sums[v] += chunks.values[k * run.n_value + v];
    task->sums->bytes_sent += chunks.bytes_sent;
    mdl_means_finish(&work->means, sums, sums + task->n_pair, trace);
    if (work->units.n_unit > 0)
        rc = mdl_row_units_finish(&work->units, sums + n_value_of_tile(task), trace, err);
    free(chunks.values);
    return mdl_agree(comm, rc, err);
}

static int run_rbf(MPI_Comm comm, work_t *work, int64_t n_item, mdl_error_t *err)
{
    mdl_cka_task_t *task = work->task;
    int rank, n_rank, rc = MDL_OK;
    mdl_ordered_t run = {.n_item = n_item,
                         .n_value = task->n_pair + 2 * task->n_model * work->means.tile,
                         .what = "Gram tiles",
                         .compute = compute_rbf,
                         .fold = fold_rbf,
                         .data = work};
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &n_rank);
    work->step = mdl_ordered_step(&run, n_rank);
    if (work->device.gram == NULL)
        rc =
            mdl_tile_rows_start(&work->rows, rank, rank < work->step ? n_item : 0, work->step, err);
    MDL_TRY(mdl_agree(comm, rc, err));
    MDL_TRY(mdl_ordered_run(comm, &run, err));
    task->sums->bytes_sent += run.n_item * run.n_value * 8;
    finish_rbf(work);
    mdl_tile_rows_free(&work->rows);
    MDL_TRY(mdl_rbf_sample_run(comm, &work->means, work->device.gram != NULL ? &work->device : NULL,
                               work->row_sum, err));
done:
    return rc;
}

int mdl_cka_gram(MPI_Comm comm, mdl_cka_task_t *task, mdl_error_t *err)
{
    work_t work = {.task = task, .step = 1};
    int rc;
    MDL_TRY(mdl_means_find(comm, &work.means, task, err));
    MDL_TRY(mdl_agree(comm, allocate(&work, err), err));
    int64_t n_item = work.means.n_tile * (work.means.n_tile + 1) / 2;
    rc = task->gamma == NULL ? run_linear(comm, &work, n_item, err)
                             : run_rbf(comm, &work, n_item, err);
done:
    release(&work);
    return rc;
}
