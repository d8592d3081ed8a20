#include "mpi/ordered.h"

#include "mpi/agree.h"
#include "mpi/progress.h"
#include "mpi/stop.h"

#include <stdlib.h>
#include <string.h>

enum { ROUND_BYTES = 32 << 20, MAX_ROUND_ITEMS = 4096 };

/* Items a round: a multiple of the number of ranks within the memory that a round may take. */
static int64_t items_of_round(const mdl_ordered_t *work, int n_rank)
{
    int64_t n = ROUND_BYTES / (8 * (work->n_value > 0 ? work->n_value : 1));
    if (n > MAX_ROUND_ITEMS)
        n = MAX_ROUND_ITEMS;
    if (n > work->n_item)
        n = work->n_item;
    if (n > n_rank)
        n -= n % n_rank;
    return n > 0 ? n : 1;
}

int64_t mdl_ordered_step(const mdl_ordered_t *work, int n_rank)
{
    int64_t n = items_of_round(work, n_rank);
    return n < n_rank ? n : n_rank;
}

static int compute_round(const mdl_ordered_t *work, int rank, int n_rank, int64_t first, int64_t n,
                         double *values, mdl_progress_t *progress, mdl_error_t *err)
{
    memset(values, 0, (size_t)(n * work->n_value) * sizeof *values);
    for (int64_t i = rank; i < n; i += n_rank) {
        if (mdl_stop_wanted())
            return mdl_fail(err, MDL_E_AGAIN, "%lld of %lld %s were done", (long long)(first + i),
                            (long long)work->n_item, work->what);
        int rc = work->compute(work->data, first + i, values + i * work->n_value, err);
        if (rc != MDL_OK)
            return rc;
        mdl_progress_update(progress, (double)(first + i));
    }
    return MDL_OK;
}

int mdl_ordered_run(MPI_Comm comm, const mdl_ordered_t *work, mdl_error_t *err)
{
    int rank, n_rank;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &n_rank);
    int64_t n_round = items_of_round(work, n_rank);
    double *values = NULL;
    mdl_progress_t progress;
    mdl_progress_start(&progress, work->what, (double)work->n_item);
    int rc = mdl_alloc(&values, (size_t)(n_round * work->n_value), sizeof *values,
                       "sums of a round of items", err);
    MDL_TRY(mdl_agree(comm, rc, err));
    for (int64_t first = 0; first < work->n_item; first += n_round) {
        int64_t n = work->n_item - first < n_round ? work->n_item - first : n_round;
        rc = compute_round(work, rank, n_rank, first, n, values, &progress, err);
        MDL_TRY(mdl_agree(comm, rc, err));
        /* One rank alone holds an item's values, all others zeros: the sum is exact. */
        MPI_Allreduce(MPI_IN_PLACE, values, (int)(n * work->n_value), MPI_DOUBLE, MPI_SUM, comm);
        for (int64_t i = 0; i < n; i++)
            work->fold(work->data, first + i, values + i * work->n_value);
    }
done:
    free(values);
    return rc;
}
