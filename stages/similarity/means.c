#include "similarity/means.h"

#include "mpi/agree.h"
#include "mpi/chunks.h"
#include "similarity/full_device.h"
#include "similarity/reader.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    mdl_means_t *means;
    mdl_reader_t *reader;
    int64_t first; /* this rank's first block */
} work_t;

int64_t mdl_means_rows(const mdl_means_t *means, int64_t tile)
{
    int64_t left = means->task->n_sample - tile * means->tile;
    return left < means->tile ? left : means->tile;
}

static mdl_read_t next_read(void *data, int64_t request)
{
    const work_t *work = data;
    int n_model = work->means->task->n_model;
    int64_t tile = work->first + request / n_model;
    return (mdl_read_t){.model = (int)(request % n_model),
                        .first = tile * work->means->tile,
                        .n_row = mdl_means_rows(work->means, tile)};
}

static int begin(void *data, int64_t first, int64_t n_own, mdl_error_t *err)
{
    work_t *work = data;
    const mdl_cka_task_t *task = work->means->task;
    work->first = first;
    return mdl_reader_start(&work->reader, task->models, task->real->encoding,
                            n_own * task->n_model, work->means->tile * mdl_cka_max_feat(task), 1,
                            next_read, work, err);
}

/* values: column sums of the block of every model, then each model's spread. */
static int sum_block(void *data, int64_t item, double *values, mdl_error_t *err)
{
    work_t *work = data;
    mdl_means_t *means = work->means;
    const mdl_cka_task_t *task = means->task;
    for (int a = 0; a < task->n_model; a++) {
        void *x;
        int rc = mdl_reader_next(work->reader, &x, err);
        if (rc != MDL_OK)
            return rc;
        int64_t bad =
            task->real->column_sums(x, mdl_means_rows(means, item), task->models[a].n_feat,
                                    means->reference + means->offset[a], values + means->offset[a],
                                    values + means->n_feat_all + a);
        if (bad >= 0)
            return mdl_cka_refuse_value(&task->models[a], item * means->tile, bad, err);
    }
    return MDL_OK;
}

static void add_block(void *data, double *into, const double *values)
{
    const work_t *work = data;
    int64_t n_feat = work->means->n_feat_all;
    for (int64_t j = 0; j < n_feat; j++)
        into[j] += values[j];
    for (int64_t a = n_feat; a < n_feat + work->means->task->n_model; a++)
        into[a] = fmax(into[a], values[a]);
}

static int allocate(mdl_means_t *means, mdl_error_t *err)
{
    const mdl_cka_task_t *task = means->task;
    size_t n_model = (size_t)task->n_model;
    int rc;
    MDL_TRY(mdl_alloc(&means->offset, n_model, sizeof(int64_t), "offsets", err));
    for (int a = 0; a < task->n_model; a++) {
        means->offset[a] = means->n_feat_all;
        means->n_feat_all += task->models[a].n_feat;
    }
    size_t all = (size_t)means->n_feat_all;
    double n_byte = (double)task->n_sample * (double)all * (double)task->real->size;
    int64_t tile = task->settings->device == 0
                       ? mdl_cka_tile(task->n_model, n_byte)
                       : mdl_full_device_tile(task->n_model, task->n_sample);
    means->tile = tile < task->n_sample ? tile : task->n_sample;
    means->n_tile = (task->n_sample + means->tile - 1) / means->tile;
    MDL_TRY(mdl_alloc(&means->reference, all, sizeof(double), "reference rows", err));
    MDL_TRY(mdl_alloc(&means->mean, all, sizeof(double), "mean rows", err));
    MDL_TRY(mdl_alloc(&means->spread, n_model, sizeof(double), "spreads", err));
    MDL_TRY(mdl_alloc(&means->exponent, n_model, sizeof(int), "exponents", err));
    for (int a = 0; a < task->n_model; a++)
        MDL_TRY(task->models[a].read(&task->models[a], 0, 1, MDL_FLOAT64,
                                     means->reference + means->offset[a], err));
done:
    return rc;
}

static void collect(mdl_means_t *means, const mdl_chunk_sums_t *chunks)
{
    const mdl_cka_task_t *task = means->task;
    int64_t n_value = means->n_feat_all + task->n_model;
    int limit = task->real->encoding == MDL_FLOAT32 ? 125 : 1000;
    for (int64_t k = 0; k < chunks->n_chunk; k++) {
        const double *values = chunks->values + k * n_value;
        for (int64_t j = 0; j < means->n_feat_all; j++)
            means->mean[j] += values[j];
        for (int a = 0; a < task->n_model; a++)
            means->spread[a] = fmax(means->spread[a], values[means->n_feat_all + a]);
    }
    for (int64_t j = 0; j < means->n_feat_all; j++)
        means->mean[j] /= (double)task->n_sample;
    for (int a = 0; a < task->n_model; a++) {
        int exponent = means->spread[a] > 0 ? -ilogb(means->spread[a]) : 0;
        exponent = exponent > limit ? limit : exponent < -limit ? -limit : exponent;
        means->exponent[a] = task->gamma == NULL ? exponent : task->exponent[a];
    }
    task->sums->bytes_sent += chunks->bytes_sent;
}

int mdl_means_find(MPI_Comm comm, mdl_means_t *means, const mdl_cka_task_t *task, mdl_error_t *err)
{
    *means = (mdl_means_t){.task = task};
    work_t work = {.means = means};
    mdl_chunk_sums_t chunks = {0};
    int rc = mdl_agree(comm, allocate(means, err), err);
    if (rc != MDL_OK)
        return rc;
    mdl_chunks_t run = {.n_item = means->n_tile,
                        .n_value = means->n_feat_all + task->n_model,
                        .what = "blocks for the means",
                        .begin = begin,
                        .compute = sum_block,
                        .add = add_block,
                        .data = &work};
    rc = mdl_chunks_run(comm, &run, &chunks, err);
    if (rc == MDL_OK)
        collect(means, &chunks);
    mdl_reader_stop(work.reader);
    free(chunks.values);
    return rc;
}

void mdl_means_free(mdl_means_t *means)
{
    free(means->offset);
    free(means->reference);
    free(means->mean);
    free(means->spread);
    free(means->exponent);
    *means = (mdl_means_t){0};
}

void mdl_means_centre(const mdl_means_t *means, int model, int64_t n_row, void *x)
{
    const mdl_cka_task_t *task = means->task;
    task->real->centre(x, n_row, task->models[model].n_feat,
                       means->reference + means->offset[model], means->mean + means->offset[model],
                       ldexp(1, means->exponent[model]));
}

void mdl_means_pack(const mdl_means_t *means, int model, int64_t n_row, const void *x, void *packed)
{
    const mdl_cka_task_t *task = means->task;
    task->real->pack(x, n_row, task->models[model].n_feat, means->reference + means->offset[model],
                     means->mean + means->offset[model], ldexp(1, means->exponent[model]), packed);
}

/* The power of two that takes a model's scaling out of its kernel matrix. */
static int shift_of(const mdl_means_t *means, int model)
{
    enum { FAR = 50 }; /* beyond 1e15 or under 1e-15: left in scaled units */
    int exponent = means->exponent[model];
    return abs(exponent) > FAR ? 0 : -2 * exponent;
}

double mdl_means_scaled(const mdl_means_t *means, double sum, int a, int b)
{
    double n = (double)means->task->n_sample;
    int biased = means->task->settings->estimator == MDL_CKA_BIASED;
    double scale = biased ? (n - 1) * (n - 1) : n * (n - 3);
    return ldexp(sum / scale, shift_of(means, a) + shift_of(means, b));
}

void mdl_means_finish(const mdl_means_t *means, const double *product, const double *squares,
                      const double *trace)
{
    const mdl_cka_task_t *task = means->task;
    double n = (double)task->n_sample;
    for (int a = 0; a < task->n_model; a++) {
        task->sums->power[a] = mdl_means_scaled(means, product[mdl_cka_pair(a, a)], a, a);
        for (int b = 0; b <= a; b++) {
            int64_t pair = mdl_cka_pair(a, b);
            double hsic = product[pair];
            if (task->settings->estimator == MDL_CKA_UNBIASED)
                hsic += trace[a] * trace[b] / ((n - 1) * (n - 2)) - 2 / (n - 2) * squares[pair];
            task->sums->hsic[pair] = mdl_means_scaled(means, hsic, a, b);
        }
    }
}
