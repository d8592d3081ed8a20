#include "mpi/queue.h"

#include "mpi/agree.h"
#include "mpi/group.h"

#include <stdlib.h>

enum { NEXT, DONE, N_CELL };

struct mdl_queue {
    MPI_Comm comm;
    MPI_Win window;
    int64_t n;
    int64_t *order; /* n item indices, costliest first */
};

typedef struct {
    double cost;
    int64_t index;
} entry_t;

static int costlier_first(const void *left, const void *right)
{
    const entry_t *a = left, *b = right;
    if (a->cost != b->cost)
        return a->cost > b->cost ? -1 : 1;
    return a->index < b->index ? -1 : 1;
}

static int sort_items(mdl_queue_t *queue, const double *costs, mdl_error_t *err)
{
    entry_t *entries = NULL;
    int rc;
    MDL_TRY(mdl_alloc(&queue->order, (size_t)queue->n, sizeof *queue->order, "a work queue", err));
    MDL_TRY(mdl_alloc(&entries, (size_t)queue->n, sizeof *entries, "a work queue", err));
    for (int64_t i = 0; i < queue->n; i++)
        entries[i] = (entry_t){costs[i], i};
    qsort(entries, (size_t)queue->n, sizeof *entries, costlier_first);
    for (int64_t i = 0; i < queue->n; i++)
        queue->order[i] = entries[i].index;
done:
    free(entries);
    return rc;
}

/* One counter's value before add is added to it. */
static int64_t move(mdl_queue_t *queue, int cell, int64_t add)
{
    int64_t before;
    MPI_Fetch_and_op(&add, &before, MPI_INT64_T, 0, cell, MPI_SUM, queue->window);
    MPI_Win_flush(0, queue->window);
    return before;
}

int mdl_queue_open(MPI_Comm comm, int64_t n, const double *costs, mdl_queue_t **queue_out,
                   mdl_error_t *err)
{
    mdl_queue_t *queue = NULL;
    int64_t *cells;
    int rank, rc;
    *queue_out = NULL;
    MDL_TRY(mdl_alloc(&queue, 1, sizeof *queue, "a work queue", err));
    queue->comm = comm;
    queue->n = n;
    MDL_TRY(sort_items(queue, costs, err));
done:
    rc = mdl_agree(comm, rc, err);
    if (rc != MDL_OK) {
        free(queue == NULL ? NULL : queue->order);
        free(queue);
        return rc;
    }
    MPI_Comm_rank(comm, &rank);
    MPI_Aint n_byte = rank == 0 ? N_CELL * (MPI_Aint)sizeof *cells : 0;
    MPI_Win_allocate(n_byte, sizeof *cells, MPI_INFO_NULL, comm, &cells, &queue->window);
    MPI_Win_lock_all(MPI_MODE_NOCHECK, queue->window);
    for (int cell = 0; rank == 0 && cell < N_CELL; cell++) {
        int64_t zero = 0;
        MPI_Accumulate(&zero, 1, MPI_INT64_T, 0, cell, 1, MPI_INT64_T, MPI_REPLACE, queue->window);
    }
    MPI_Win_flush_all(queue->window);
    MPI_Barrier(comm);
    *queue_out = queue;
    return MDL_OK;
}

int64_t mdl_queue_take(mdl_queue_t *queue)
{
    int64_t place = move(queue, NEXT, 1);
    return place < queue->n ? queue->order[place] : -1;
}

void mdl_queue_stop(mdl_queue_t *queue)
{
    move(queue, NEXT, queue->n);
}

int64_t mdl_queue_done(mdl_queue_t *queue)
{
    return move(queue, DONE, 1) + 1;
}

void mdl_queue_close(mdl_queue_t *queue)
{
    if (queue == NULL)
        return;
    mdl_group_meet(queue->comm);
    MPI_Win_unlock_all(queue->window);
    MPI_Win_free(&queue->window);
    free(queue->order);
    free(queue);
}
