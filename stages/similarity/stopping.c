#include "similarity/stopping.h"

#include "core/log.h"
#include "models/sample_order.h"
#include "mpi/agree.h"
#include "similarity/batch.h"
#include "similarity/similarity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Keeps these draws apart from the orders of training samples, whose epochs are small numbers. */
enum { STREAM = 0x636b61 };

int mdl_stopping_looks(int64_t n_batch, int64_t looks[MDL_STOPPING_MOST])
{
    int n = 0;
    for (double at = MDL_STOPPING_FIRST; at < (double)n_batch && n < MDL_STOPPING_MOST - 1;
         at *= pow(2, 0.25))
        looks[n++] = (int64_t)ceil(at);
    if (n == 0 || looks[n - 1] < n_batch)
        looks[n++] = n_batch;
    return n;
}

void mdl_stopping_order(int64_t *order, int64_t n_batch, uint64_t seed)
{
    mdl_sample_order(order, n_batch, seed, STREAM);
}

int mdl_stopping_is_settled(const mdl_settled_t *settled, double alpha, int n_look)
{
    return settled->doubt <= alpha / n_look;
}

typedef struct {
    mdl_cka_task_t *task;
    int64_t n_value, n_unit, max_unit;
    double *units; /* [2 max_unit, n_value] sums of the batches so far */
} sequence_t;

/* Adds the sums of the batches since the last look; neighbours are joined when there are many. */
static void append(sequence_t *sequence, const mdl_chunk_sums_t *chunks)
{
    size_t n_byte = (size_t)sequence->n_value * sizeof(double);
    memcpy(sequence->units + sequence->n_unit * sequence->n_value, chunks->values,
           (size_t)chunks->n_chunk * n_byte);
    sequence->n_unit += chunks->n_chunk;
    while (sequence->n_unit > sequence->max_unit) {
        int64_t n = sequence->n_unit;
        for (int64_t k = 0; k < (n + 1) / 2; k++) {
            double *into = sequence->units + k * sequence->n_value;
            const double *from = sequence->units + 2 * k * sequence->n_value;
            memmove(into, from, n_byte);
            if (2 * k + 1 < n)
                mdl_batch_add(sequence->task, into, from + sequence->n_value);
        }
        sequence->n_unit = (n + 1) / 2;
    }
}

/* The HSICs of n sums, [n, n_pair of n_model], for the n_at models at[] alone. */
static void select_pairs(const double *all, int64_t n, int n_model, const int *at, int n_at,
                         double *some)
{
    int64_t n_all = mdl_cka_pair(n_model, 0), n_some = mdl_cka_pair(n_at, 0);
    for (int64_t k = 0; k < n; k++)
        for (int a = 0; a < n_at; a++)
            for (int b = 0; b <= a; b++)
                some[k * n_some + mdl_cka_pair(a, b)] = all[k * n_all + mdl_cka_pair(at[a], at[b])];
}

static int test_defined(const mdl_cka_sums_t *sums, int n_model, const int *at, int n_at,
                        const mdl_settled_cut_t *cut, mdl_settled_t *settled, mdl_error_t *err)
{
    size_t n_pair = (size_t)mdl_cka_pair(n_at, 0);
    double *hsic = NULL, *unit = NULL;
    int rc;
    MDL_TRY(mdl_alloc(&hsic, n_pair, sizeof *hsic, "sums of pairs", err));
    MDL_TRY(mdl_alloc(&unit, (size_t)sums->n_unit * n_pair, sizeof *unit, "sums of pairs", err));
    select_pairs(sums->hsic, 1, n_model, at, n_at, hsic);
    select_pairs(sums->unit, sums->n_unit, n_model, at, n_at, unit);
    MDL_TRY(mdl_settled_test(hsic, unit, sums->n_unit, n_at, cut, settled, err));
    settled->first = settled->first < 0 ? -1 : at[settled->first];
    settled->second = settled->second < 0 ? -1 : at[settled->second];
    settled->rival = settled->rival < 0 ? -1 : at[settled->rival];
done:
    free(hsic);
    free(unit);
    return rc;
}

int mdl_stopping_test(const mdl_cka_sums_t *sums, int n_model, const mdl_settled_cut_t *cut,
                      int all_read, mdl_settled_t *settled, mdl_error_t *err)
{
    int *at, n_at = 0;
    int rc = mdl_alloc(&at, (size_t)n_model, sizeof *at, "models", err);
    if (rc != MDL_OK)
        return rc;
    for (int a = 0; a < n_model; a++)
        if (sums->status[a] == MDL_SIMILARITY_DEFINED)
            at[n_at++] = a;
    if (n_at == 0 || (n_at < n_model && !all_read))
        *settled = (mdl_settled_t){.doubt = 1, .first = -1, .second = -1, .rival = -1};
    else
        rc = test_defined(sums, n_model, at, n_at, cut, settled, err);
    free(at);
    return rc;
}

/* Replaces the task's sums by those of the batches so far, and tests them on rank 0 for all. */
static int look(MPI_Comm comm, const sequence_t *sequence, int all_read, mdl_settled_t *settled,
                mdl_error_t *err)
{
    mdl_cka_task_t *task = sequence->task;
    mdl_cka_sums_t *sums = task->sums;
    int rank;
    free(sums->unit);
    sums->unit = NULL;
    MPI_Comm_rank(comm, &rank);
    int rc = mdl_batch_collect(task, sequence->units, sequence->n_unit, err);
    mdl_cka_judge(task);
    if (rc == MDL_OK && rank == 0)
        rc = mdl_stopping_test(sums, task->n_model, &task->settings->stopping->cut, all_read,
                               settled, err);
    rc = mdl_agree(comm, rc, err);
    if (rc == MDL_OK)
        MPI_Bcast(settled, (int)sizeof *settled, MPI_BYTE, 0, comm);
    return rc;
}

static void log_outcome(const mdl_cka_task_t *task, const mdl_stopped_t *stopped)
{
    const mdl_settled_t *last = &stopped->last;
    const mdl_rows_t *models = task->models;
    double alpha = task->settings->stopping->alpha;
    if (stopped->decided)
        mdl_log(MDL_LOG_INFO,
                "clusters settled after %lld of %lld rows (%.0f%%): at most %g%% of such runs stop "
                "with others",
                (long long)stopped->n_row, (long long)task->n_sample,
                100 * (double)stopped->n_row / (double)task->n_sample, 100 * alpha);
    else
        mdl_log(MDL_LOG_WARN,
                "clusters undecided after all %lld rows: other samples may give others (nominal "
                "confidence %.0f%%); more samples would settle it",
                (long long)stopped->n_row, 100 * stopped->confidence);
    if (last->first < 0)
        return;
    if (last->rival < 0)
        mdl_log(MDL_LOG_INFO,
                "least sure: the clusters of %s and %s, %.4f %s the threshold, standard error %.4f",
                models[last->first].model, models[last->second].model, fabs(last->margin),
                last->margin < 0 ? "below" : "above", last->standard_error);
    else
        mdl_log(MDL_LOG_INFO,
                "least sure: %s is nearer to %s than to %s by %.4f, standard error %.4f",
                models[last->first].model, models[last->second].model, models[last->rival].model,
                last->margin, last->standard_error);
}

static int64_t rows_of(const mdl_cka_task_t *task, const int64_t *order, int64_t n)
{
    int64_t rows = 0;
    for (int64_t k = 0; k < n; k++)
        rows += mdl_batch_rows(task, order[k]);
    return rows;
}

static int allocate(sequence_t *sequence, int64_t n_batch, int64_t **order, mdl_error_t *err)
{
    int rc;
    MDL_TRY(mdl_alloc(order, (size_t)n_batch, sizeof **order, "the order of the batches", err));
    MDL_TRY(mdl_alloc(&sequence->units, 2 * (size_t)sequence->max_unit * (size_t)sequence->n_value,
                      sizeof(double), "sums of batches", err));
done:
    return rc;
}

int mdl_cka_sequence(MPI_Comm comm, mdl_cka_task_t *task, mdl_error_t *err)
{
    const mdl_stopping_t *stopping = task->settings->stopping;
    mdl_stopped_t *stopped = &task->sums->stopped;
    int64_t n_batch = mdl_cka_n_batch(task->n_sample, task->settings->batch);
    int64_t looks[MDL_STOPPING_MOST], *order = NULL, n_read = 0;
    int n_look = mdl_stopping_looks(n_batch, looks);
    sequence_t sequence = {.task = task, .n_value = mdl_batch_n_value(task)};
    sequence.max_unit = mdl_chunks_count(n_batch, sequence.n_value);
    int rc = allocate(&sequence, n_batch, &order, err);
    MDL_TRY(mdl_agree(comm, rc, err));
    mdl_stopping_order(order, n_batch, stopping->seed);
    for (int l = 0; l < n_look && !stopped->decided; l++) {
        mdl_chunk_sums_t chunks = {0};
        MDL_TRY(mdl_batches_run(comm, task, order + n_read, looks[l] - n_read, &chunks, err));
        append(&sequence, &chunks);
        task->sums->bytes_sent += chunks.bytes_sent;
        free(chunks.values);
        n_read = looks[l];
        MDL_TRY(look(comm, &sequence, l == n_look - 1, &stopped->last, err));
        stopped->decided = mdl_stopping_is_settled(&stopped->last, stopping->alpha, n_look);
    }
    stopped->n_row = rows_of(task, order, n_read);
    stopped->confidence = 1 - (stopped->decided ? stopping->alpha : stopped->last.doubt);
    log_outcome(task, stopped);
done:
    free(order);
    free(sequence.units);
    return rc;
}
