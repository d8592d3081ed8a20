#include "core/log.h"
#include "mpi/agree.h"
#include "similarity/batch.h"
#include "similarity/gram_cache.h"
#include "similarity/reader.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    mdl_cka_task_t *task;
    mdl_batch_t batch;
    mdl_reader_t *reader;
    const int64_t *order; /* numbers of the batches, NULL: their own order */
    int64_t item;         /* this rank's next batch in that order to read for, and there: */
    int model;            /* the next model; the reading thread's alone once it has started */
} work_t;

int64_t mdl_cka_n_batch(int64_t n_sample, int64_t batch)
{
    return n_sample / batch + (n_sample % batch >= MDL_CKA_MIN_ROWS);
}

int64_t mdl_batch_rows(const mdl_cka_task_t *task, int64_t number)
{
    int64_t batch = task->settings->batch, left = task->n_sample - number * batch;
    return left < batch ? left : batch;
}

static int64_t number_of(const work_t *work, int64_t item)
{
    return work->order != NULL ? work->order[item] : item;
}

/* Every model of the first batch whose rows are read, then of the next. */
static mdl_read_t next_read(void *data, int64_t request)
{
    work_t *work = data;
    const mdl_cka_task_t *task = work->task;
    (void)request;
    for (;; work->model++) {
        work->item += work->model / task->n_model;
        work->model %= task->n_model;
        int64_t number = number_of(work, work->item);
        if (!mdl_gram_cache_has(task->settings->cache, work->model, number))
            return (mdl_read_t){.model = work->model++,
                                .first = number * task->settings->batch,
                                .n_row = mdl_batch_rows(task, number)};
    }
}

static int begin(void *data, int64_t first, int64_t n_own, mdl_error_t *err)
{
    work_t *work = data;
    const mdl_cka_task_t *task = work->task;
    int64_t n_read = 0;
    for (int64_t item = first; item < first + n_own; item++)
        for (int a = 0; a < task->n_model; a++)
            n_read += !mdl_gram_cache_has(task->settings->cache, a, number_of(work, item));
    work->item = first;
    work->model = 0;
    if (n_read == 0)
        return MDL_OK;
    return mdl_reader_start(&work->reader, task->models, task->real->encoding, n_read,
                            work->batch.max_row * mdl_cka_max_feat(task), 1, next_read, work, err);
}

/* A model's centred Gram matrix of a batch, kept or new. */
static int take_model(work_t *work, int model, int64_t number, double *values, mdl_error_t *err)
{
    mdl_cka_task_t *task = work->task;
    mdl_gram_cache_t *cache = task->settings->cache;
    int64_t n_row = mdl_batch_rows(task, number), n_value = mdl_real_packed(n_row);
    double *power = values + task->n_pair + model, *exponent = power + task->n_model;
    void *gram =
             (char *)work->batch.centred + (size_t)(model * work->batch.stride) * task->real->size,
         *x;
    if (mdl_gram_cache_has(cache, model, number))
        return mdl_gram_cache_get(cache, model, number, n_value, gram, power, exponent, err);
    int rc = mdl_reader_next(work->reader, &x, err);
    if (rc == MDL_OK)
        rc = mdl_batch_take(&work->batch, model, number * task->settings->batch, n_row, x, values,
                            err);
    if (rc == MDL_OK)
        rc = mdl_gram_cache_put(cache, model, number, n_value, gram, *power, *exponent, err);
    return rc;
}

static int compute_batch(void *data, int64_t item, double *values, mdl_error_t *err)
{
    work_t *work = data;
    mdl_cka_task_t *task = work->task;
    int64_t number = number_of(work, item);
    for (int a = 0; a < task->n_model; a++) {
        int rc = take_model(work, a, number, values, err);
        if (rc != MDL_OK)
            return rc;
    }
    return mdl_batch_finish(&work->batch, number * task->settings->batch,
                            mdl_batch_rows(task, number), values, err);
}

static void add_batch(void *data, double *into, const double *values)
{
    const work_t *work = data;
    mdl_batch_add(work->task, into, values);
}

int mdl_batch_collect(mdl_cka_task_t *task, const double *values, int64_t n, mdl_error_t *err)
{
    mdl_cka_sums_t *sums = task->sums;
    int64_t n_value = mdl_batch_n_value(task);
    double *total = NULL, *unit = NULL;
    int rc;
    MDL_TRY(mdl_alloc(&total, (size_t)n_value, sizeof *total, "sums of all batches", err));
    MDL_TRY(mdl_alloc(&unit, (size_t)n_value, sizeof *unit, "sums of a batch", err));
    MDL_TRY(mdl_alloc(&sums->unit, (size_t)(n * task->n_pair), sizeof *sums->unit,
                      "sums of batches", err));
    for (int64_t k = 0; k < n; k++)
        mdl_batch_add(task, total, values + k * n_value);
    for (int64_t k = 0; k < n; k++) {
        memcpy(unit, values + k * n_value, (size_t)n_value * sizeof *unit);
        mdl_batch_unscale(task, total, unit, 1);
        memcpy(sums->unit + k * task->n_pair, unit, (size_t)task->n_pair * sizeof *unit);
    }
    mdl_batch_unscale(task, total, total, 1);
    memcpy(sums->hsic, total, (size_t)task->n_pair * sizeof *total);
    memcpy(sums->power, total + task->n_pair, (size_t)task->n_model * sizeof *total);
    sums->n_unit = n;
done:
    free(total);
    free(unit);
    return rc;
}

int mdl_batches_run(MPI_Comm comm, mdl_cka_task_t *task, const int64_t *order, int64_t n_batch,
                    mdl_chunk_sums_t *chunks, mdl_error_t *err)
{
    int64_t batch = task->settings->batch;
    work_t work = {.task = task, .order = order};
    mdl_chunks_t run = {.n_item = n_batch,
                        .n_value = mdl_batch_n_value(task),
                        .what = "batches",
                        .begin = begin,
                        .compute = compute_batch,
                        .add = add_batch,
                        .data = &work};
    int rc =
        mdl_batch_init(&work.batch, task, batch < task->n_sample ? batch : task->n_sample, err);
    MDL_TRY(mdl_agree(comm, rc, err));
    rc = mdl_chunks_run(comm, &run, chunks, err);
done:
    mdl_reader_stop(work.reader);
    mdl_batch_free(&work.batch);
    return rc;
}

int mdl_cka_minibatch(MPI_Comm comm, mdl_cka_task_t *task, mdl_error_t *err)
{
    int64_t batch = task->settings->batch, n_batch = mdl_cka_n_batch(task->n_sample, batch);
    mdl_chunk_sums_t chunks = {0};
    if (task->n_sample > n_batch * batch)
        mdl_log(MDL_LOG_WARN,
                "the last %lld rows are fewer than %d and make no batch: they are left out",
                (long long)(task->n_sample - n_batch * batch), MDL_CKA_MIN_ROWS);
    if (task->settings->stopping != NULL)
        return mdl_cka_sequence(comm, task, err);
    int rc = mdl_batches_run(comm, task, NULL, n_batch, &chunks, err);
    if (rc == MDL_OK) {
        task->sums->bytes_sent += chunks.bytes_sent;
        rc = mdl_agree(comm, mdl_batch_collect(task, chunks.values, chunks.n_chunk, err), err);
    }
    free(chunks.values);
    return rc;
}
