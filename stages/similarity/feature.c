#include "mpi/agree.h"
#include "mpi/ordered.h"
#include "similarity/full_device.h"
#include "similarity/reader.h"
#include "similarity/row_sample.h"

#include <stdlib.h>

/* Columns of a covariance block, and blocks of rows that are summed in the real type before they go
 * into the double sums. */
enum { MAX_STRIP = MDL_CKA_STRIP, N_FLOAT = 4 };

/* Numbers of an item, apart from those of the sample. */
enum { N_VALUE = 3 };

/* Columns [first, first + n_col) of model a against those of b. */
typedef struct {
    int a, b;
    int64_t first, n_col;
} item_t;

typedef struct {
    mdl_cka_task_t *task;
    mdl_means_t means;
    mdl_full_device_t device; /* that computes the blocks where the settings name one */
    item_t *items;
    int64_t n_item;
    mdl_reader_t *reader;
    int64_t next, step;       /* item that is read next, and from one to the next of this rank */
    int64_t next_tile;        /* and there the block of rows */
    int next_side;            /* of model a or b */
    void *block;              /* [strip, max n_feat] */
    double *sum;              /* the same */
    double *norm_x, *norm_y;  /* [tile] */
    double *product, *square; /* [n_pair] */
    double *trace;            /* [n_model] */
    mdl_row_sample_t sample;  /* what the standard error comes from */
    double *row_sum, *own;    /* [n_pair, sample], [n_model, sample] of its rows */
} work_t;

static int64_t n_strip(const mdl_cka_task_t *task, int model)
{
    return (task->models[model].n_feat + MAX_STRIP - 1) / MAX_STRIP;
}

static int list_items(work_t *work, mdl_error_t *err)
{
    const mdl_cka_task_t *task = work->task;
    int64_t n = 0;
    for (int a = 0; a < task->n_model; a++)
        n += n_strip(task, a) * (a + 1);
    int rc = mdl_alloc(&work->items, (size_t)n, sizeof *work->items, "covariance blocks", err);
    for (int a = 0; rc == MDL_OK && a < task->n_model; a++) {
        int64_t strips = n_strip(task, a), n_feat = task->models[a].n_feat;
        for (int b = 0; b <= a; b++) {
            for (int64_t s = 0; s < strips; s++) {
                int64_t first = s * n_feat / strips, end = (s + 1) * n_feat / strips;
                work->items[work->n_item++] = (item_t){a, b, first, end - first};
            }
        }
    }
    return rc;
}

/* A model's block against itself has the columns up to the strip's end: those before the strip
 * count twice. */
static int64_t columns_of_b(const work_t *work, const item_t *item)
{
    return item->a == item->b ? item->first + item->n_col : work->task->models[item->b].n_feat;
}

static double squares_of(const work_t *work, const item_t *item)
{
    int64_t d_y = columns_of_b(work, item), twice = item->a == item->b ? item->first : 0;
    double total = 0;
    for (int64_t i = 0; i < item->n_col; i++) {
        double left = 0, right = 0;
        const double *row = work->sum + i * d_y;
        for (int64_t j = 0; j < twice; j++)
            left += row[j] * row[j];
        for (int64_t j = twice; j < d_y; j++)
            right += row[j] * row[j];
        total += 2 * left + right;
    }
    return total;
}

/* values[1]: sum of k_ii l_ii over the block; values[2]: sum of k_ii. */
static void add_norms(const work_t *work, const item_t *item, int64_t n_row, const void *x,
                      const void *y, double *values)
{
    const mdl_cka_task_t *task = work->task;
    task->real->norms(x, n_row, task->models[item->a].n_feat, work->norm_x);
    task->real->norms(y, n_row, task->models[item->b].n_feat, work->norm_y);
    for (int64_t i = 0; i < n_row; i++) {
        values[1] += work->norm_x[i] * work->norm_y[i];
        values[2] += item->a == item->b ? work->norm_x[i] : 0;
    }
}

/* values: sum of squares of the covariances, then as of add_norms, once for each pair, then as of
 * mdl_row_sample_sums. */
static int compute_on_device(void *data, int64_t number, double *values, mdl_error_t *err)
{
    work_t *work = data;
    const item_t *item = &work->items[number];
    mdl_feature_block_t block = {item->a, item->b, item->first, item->n_col,
                                 columns_of_b(work, item)};
    return mdl_full_device_covariance(&work->device, &block, values, err);
}

/* Of every item, block by block, the rows of model a and then, if it is another, of b. */
static mdl_read_t next_read(void *data, int64_t request)
{
    work_t *work = data;
    (void)request; /* one after the other */
    const item_t *item = &work->items[work->next];
    int64_t tile = work->next_tile;
    mdl_read_t read = {.model = work->next_side == 0 ? item->a : item->b,
                       .first = tile * work->means.tile,
                       .n_row = mdl_means_rows(&work->means, tile)};
    work->next_side = work->next_side == 0 && item->a != item->b;
    work->next_tile += work->next_side == 0;
    if (work->next_tile == work->means.n_tile) {
        work->next_tile = 0;
        work->next += work->step;
    }
    return read;
}

static int start_reading(work_t *work, const mdl_ordered_t *run, int rank, int n_rank,
                         mdl_error_t *err)
{
    const mdl_cka_task_t *task = work->task;
    int64_t n_request = 0;
    work->step = mdl_ordered_step(run, n_rank);
    work->next = rank;
    for (int64_t k = rank < work->step ? rank : work->n_item; k < work->n_item; k += work->step)
        n_request += work->means.n_tile * (work->items[k].a == work->items[k].b ? 1 : 2);
    return mdl_reader_start(&work->reader, task->models, task->real->encoding, n_request,
                            work->means.tile * mdl_cka_max_feat(task), 2, next_read, work, err);
}

/* *x: the next block of rows that is read, which is block number tile of a model, centred. */
static int rows_of_block(work_t *work, int model, int side, int64_t tile, void **x,
                         mdl_error_t *err)
{
    int64_t n_row = mdl_means_rows(&work->means, tile);
    int rc = mdl_reader_next(work->reader, x, err);
    if (rc != MDL_OK)
        return rc;
    mdl_means_centre(&work->means, model, n_row, *x);
    mdl_row_sample_take(&work->sample, model, side, tile * work->means.tile, n_row, *x);
    return MDL_OK;
}

static int compute_on_cpu(void *data, int64_t number, double *values, mdl_error_t *err)
{
    work_t *work = data;
    const mdl_cka_task_t *task = work->task;
    const item_t *item = &work->items[number];
    int64_t d_a = task->models[item->a].n_feat, d_b = task->models[item->b].n_feat;
    int64_t d_y = columns_of_b(work, item), n_value = item->n_col * d_y;
    for (int64_t k = 0; k < n_value; k++)
        work->sum[k] = 0;
    for (int64_t t = 0; t < work->means.n_tile; t++) {
        int64_t n_row = mdl_means_rows(&work->means, t);
        void *x, *y;
        int rc = rows_of_block(work, item->a, 0, t, &x, err);
        y = x;
        if (rc == MDL_OK && item->a != item->b)
            rc = rows_of_block(work, item->b, 1, t, &y, err);
        if (rc != MDL_OK)
            return rc;
        const char *strip = (char *)x + (size_t)item->first * task->real->size;
        task->real->covariance(strip, item->n_col, d_a, y, d_y, d_b, n_row, t % N_FLOAT != 0,
                               work->block);
        if (t % N_FLOAT == N_FLOAT - 1 || t == work->means.n_tile - 1)
            task->real->accumulate(work->sum, work->block, n_value);
        if (item->first == 0)
            add_norms(work, item, n_row, x, y, values);
    }
    values[0] = squares_of(work, item);
    mdl_covariance_t block = {item->a, item->b, item->first, item->n_col, d_y};
    task->real->round(work->sum, work->block, n_value);
    mdl_row_sample_sums(&work->sample, &block, work->block, values + N_VALUE,
                        values + N_VALUE + work->sample.n);
    return MDL_OK;
}

static void fold_item(void *data, int64_t number, const double *values)
{
    work_t *work = data;
    const item_t *item = &work->items[number];
    int64_t pair = mdl_cka_pair(item->a, item->b);
    work->product[pair] += values[0];
    work->square[pair] += values[1];
    work->trace[item->a] += values[2];
    for (int64_t s = 0; s < work->sample.n; s++) {
        work->row_sum[pair * work->sample.n + s] += values[N_VALUE + s];
        work->own[item->a * work->sample.n + s] += values[N_VALUE + work->sample.n + s];
    }
}

static int allocate_on_cpu(work_t *work, mdl_error_t *err)
{
    mdl_cka_task_t *task = work->task;
    size_t size = task->real->size, tile = (size_t)work->means.tile;
    size_t feat = (size_t)mdl_cka_max_feat(task), strip = feat < MAX_STRIP ? feat : MAX_STRIP;
    int rc;
    MDL_TRY(mdl_alloc(&work->block, strip * feat, size, "a block of covariances", err));
    MDL_TRY(mdl_alloc(&work->sum, strip * feat, sizeof(double), "a block of covariances", err));
    MDL_TRY(mdl_alloc(&work->norm_x, tile, sizeof(double), "squared lengths", err));
    MDL_TRY(mdl_alloc(&work->norm_y, tile, sizeof(double), "squared lengths", err));
    rc = mdl_row_sample_init(&work->sample, &work->means, (int64_t)strip, err);
done:
    return rc;
}

static int open_device(work_t *work, int64_t strip, mdl_error_t *err)
{
    const mdl_cka_task_t *task = work->task;
    work->sample = (mdl_row_sample_t){.means = &work->means,
                                      .n = mdl_row_sample_size(task->n_model, task->n_sample)};
    return mdl_full_device_open_feature(&work->device, &work->means, strip, work->sample.n, err);
}

static int allocate(work_t *work, mdl_error_t *err)
{
    mdl_cka_task_t *task = work->task;
    int64_t feat = mdl_cka_max_feat(task), strip = feat < MAX_STRIP ? feat : MAX_STRIP;
    int rc;
    MDL_TRY(task->settings->device == 0 ? allocate_on_cpu(work, err)
                                        : open_device(work, strip, err));
    MDL_TRY(mdl_alloc(&work->product, (size_t)task->n_pair, sizeof(double), "sums", err));
    MDL_TRY(mdl_alloc(&work->square, (size_t)task->n_pair, sizeof(double), "sums", err));
    MDL_TRY(mdl_alloc(&work->trace, (size_t)task->n_model, sizeof(double), "sums", err));
    size_t n_row = (size_t)work->sample.n;
    MDL_TRY(mdl_alloc(&work->row_sum, n_row * (size_t)task->n_pair, sizeof(double), "sums", err));
    MDL_TRY(mdl_alloc(&work->own, n_row * (size_t)task->n_model, sizeof(double), "sums", err));
    rc = list_items(work, err);
done:
    return rc;
}

static void release(work_t *work)
{
    mdl_full_device_close(&work->device);
    mdl_reader_stop(work->reader);
    mdl_means_free(&work->means);
    free(work->items);
    free(work->block);
    free(work->sum);
    free(work->norm_x);
    free(work->norm_y);
    free(work->product);
    free(work->square);
    free(work->trace);
    free(work->row_sum);
    free(work->own);
    mdl_row_sample_free(&work->sample);
}

int mdl_cka_feature(MPI_Comm comm, mdl_cka_task_t *task, mdl_error_t *err)
{
    work_t work = {.task = task};
    int rc, rank, n_rank;
    MDL_TRY(mdl_means_find(comm, &work.means, task, err));
    MDL_TRY(mdl_agree(comm, allocate(&work, err), err));
    mdl_ordered_t ordered = {.n_item = work.n_item,
                             .n_value = N_VALUE + 2 * work.sample.n,
                             .what = "covariance blocks",
                             .compute =
                                 task->settings->device == 0 ? compute_on_cpu : compute_on_device,
                             .fold = fold_item,
                             .data = &work};
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &n_rank);
    if (task->settings->device == 0)
        rc = start_reading(&work, &ordered, rank, n_rank, err);
    MDL_TRY(mdl_agree(comm, rc, err));
    MDL_TRY(mdl_ordered_run(comm, &ordered, err));
    task->sums->bytes_sent += ordered.n_item * ordered.n_value * 8;
    for (int64_t pair = 0; task->settings->estimator == MDL_CKA_UNBIASED && pair < task->n_pair;
         pair++)
        work.product[pair] -= work.square[pair];
    mdl_means_finish(&work.means, work.product, work.square, work.trace);
    rc = mdl_row_sample_finish(&work.sample, work.row_sum, work.own, work.trace, err);
    rc = mdl_agree(comm, rc, err);
done:
    release(&work);
    return rc;
}
