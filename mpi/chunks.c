#include "mpi/chunks.h"

#include "mpi/agree.h"
#include "mpi/progress.h"
#include "mpi/stop.h"

#include <stdlib.h>
#include <string.h>

/* A number that 1 to 10 ranks divide, and the memory that all chunks may take beyond FEWEST. */
enum { MOST = 2520, FEWEST = 120, CHUNK_BYTES = 16 << 20 };

typedef struct {
    const mdl_chunks_t *work;
    int64_t n_chunk, first_chunk, end_chunk; /* the rank's own */
    int *start;                              /* [n_rank + 1] first chunk of every rank */
    double *values;                          /* [n_chunk, n_value] */
    double *item;                            /* [n_value] */
} run_t;

int64_t mdl_chunks_count(int64_t n_item, int64_t n_value)
{
    int64_t n = CHUNK_BYTES / 8 / (n_value > 0 ? n_value : 1);
    n = n > MOST ? MOST : n < FEWEST ? FEWEST : n;
    return n_item < n ? n_item : n;
}

static int64_t first_item(const run_t *run, int64_t chunk)
{
    return chunk * run->work->n_item / run->n_chunk;
}

static double cost_of_chunk(const run_t *run, int64_t chunk)
{
    const mdl_chunks_t *work = run->work;
    int64_t end = first_item(run, chunk + 1);
    double cost = 0;
    for (int64_t item = first_item(run, chunk); item < end; item++)
        cost += work->cost != NULL ? work->cost(work->data, item) : 1;
    return cost;
}

/* Consecutive chunks for every rank, of about the same cost: the one that is across a border goes
 * to the side that most of it is on. */
static void deal(run_t *run, int n_rank)
{
    double total = 0, before = 0;
    int rank = 1;
    for (int64_t chunk = 0; chunk < run->n_chunk; chunk++)
        total += cost_of_chunk(run, chunk);
    for (int64_t chunk = 0; chunk < run->n_chunk; chunk++) {
        double cost = cost_of_chunk(run, chunk);
        while (rank < n_rank && total * rank / n_rank <= before + cost / 2)
            run->start[rank++] = (int)chunk;
        before += cost;
    }
    while (rank <= n_rank)
        run->start[rank++] = (int)run->n_chunk;
}

static void add(const mdl_chunks_t *work, double *into, const double *values)
{
    if (work->add != NULL) {
        work->add(work->data, into, values);
        return;
    }
    for (int64_t v = 0; v < work->n_value; v++)
        into[v] += values[v];
}

static int compute_chunk(run_t *run, int64_t chunk, mdl_progress_t *progress, mdl_error_t *err)
{
    const mdl_chunks_t *work = run->work;
    double *sum = run->values + chunk * work->n_value;
    int64_t start = first_item(run, chunk), end = first_item(run, chunk + 1);
    for (int64_t item = start; item < end; item++) {
        if (mdl_stop_wanted())
            return mdl_fail(
                err, MDL_E_AGAIN, "%lld of %lld %s of this rank were done",
                (long long)(item - first_item(run, run->first_chunk)),
                (long long)(first_item(run, run->end_chunk) - first_item(run, run->first_chunk)),
                work->what);
        double *values = item == start ? sum : run->item;
        memset(values, 0, (size_t)work->n_value * sizeof *values);
        int rc = work->compute(work->data, item, values, err);
        if (rc != MDL_OK)
            return rc;
        if (item > start)
            add(work, sum, values);
        mdl_progress_update(progress, (double)(item - first_item(run, run->first_chunk)));
    }
    return MDL_OK;
}

static int compute_own(run_t *run, mdl_error_t *err)
{
    const mdl_chunks_t *work = run->work;
    int64_t start = first_item(run, run->first_chunk), end = first_item(run, run->end_chunk);
    mdl_progress_t progress;
    mdl_progress_start(&progress, work->what, (double)(end - start));
    int rc = work->begin != NULL ? work->begin(work->data, start, end - start, err) : MDL_OK;
    for (int64_t chunk = run->first_chunk; rc == MDL_OK && chunk < run->end_chunk; chunk++)
        rc = compute_chunk(run, chunk, &progress, err);
    return rc;
}

/* Every rank's chunks to all ranks. */
static int exchange(MPI_Comm comm, int n_rank, run_t *run, mdl_error_t *err)
{
    MPI_Datatype chunk;
    int *count = NULL;
    int rc = mdl_alloc(&count, (size_t)n_rank, sizeof *count, "counts of chunks", err);
    MDL_TRY(mdl_agree(comm, rc, err));
    for (int r = 0; r < n_rank; r++)
        count[r] = run->start[r + 1] - run->start[r];
    MPI_Type_contiguous((int)run->work->n_value, MPI_DOUBLE, &chunk);
    MPI_Type_commit(&chunk);
    MPI_Allgatherv(MPI_IN_PLACE, 0, chunk, run->values, count, run->start, chunk, comm);
    MPI_Type_free(&chunk);
done:
    free(count);
    return rc;
}

int mdl_chunks_run(MPI_Comm comm, const mdl_chunks_t *work, mdl_chunk_sums_t *sums,
                   mdl_error_t *err)
{
    int rank, n_rank;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &n_rank);
    run_t run = {.work = work, .n_chunk = mdl_chunks_count(work->n_item, work->n_value)};
    *sums = (mdl_chunk_sums_t){0};
    int rc = mdl_alloc(&run.start, (size_t)n_rank + 1, sizeof(int), "starts of chunks", err);
    if (rc == MDL_OK)
        rc = mdl_alloc(&run.values, (size_t)(run.n_chunk * work->n_value), sizeof(double),
                       "sums of chunks", err);
    if (rc == MDL_OK)
        rc = mdl_alloc(&run.item, (size_t)work->n_value, sizeof(double), "an item's sums", err);
    MDL_TRY(mdl_agree(comm, rc, err));
    deal(&run, n_rank);
    run.first_chunk = run.start[rank];
    run.end_chunk = run.start[rank + 1];
    rc = compute_own(&run, err);
    MDL_TRY(mdl_agree(comm, rc, err));
    MDL_TRY(exchange(comm, n_rank, &run, err));
    *sums = (mdl_chunk_sums_t){.n_chunk = run.n_chunk,
                               .values = run.values,
                               .bytes_sent = 8 * work->n_value * (run.end_chunk - run.first_chunk) *
                                             (n_rank > 1)};
    run.values = NULL;
done:
    free(run.start);
    free(run.values);
    free(run.item);
    return rc;
}
