/* A queue of items with predicted costs that groups of ranks empty together, the costliest first.
 * There is no master: the place in the queue is one counter on rank 0 that takers move by one-sided
 * MPI. Where MPI has no hardware for that, rank 0 has to enter MPI now and then to let others
 * through: mdl_stop_wanted does. */
#ifndef MDL_MPI_QUEUE_H
#define MDL_MPI_QUEUE_H

#include "core/error.h"

#include <mpi.h>
#include <stdint.h>

typedef struct mdl_queue mdl_queue_t;

/* Makes a queue of n items. costs: [n], the same on every rank; order is by falling cost, ties by
 * index. Freed by mdl_queue_close. Collective over comm. Returns MDL_E_MEMORY. */
int mdl_queue_open(MPI_Comm comm, int64_t n, const double *costs, mdl_queue_t **queue,
                   mdl_error_t *err);

/* Takes the next item: its index, or -1 when there is none left or the queue was stopped. Each item
 * is taken exactly once. Not collective. */
int64_t mdl_queue_take(mdl_queue_t *queue);

/* Ends the queue for all: no item is given out any more. Not collective. */
void mdl_queue_stop(mdl_queue_t *queue);

/* Counts one taken item as done and returns how many are by now. Not collective. */
int64_t mdl_queue_done(mdl_queue_t *queue);

/* Waits for all ranks (they keep no core busy) and frees the queue; NULL is passed over.
 * Collective over comm. */
void mdl_queue_close(mdl_queue_t *queue);

#endif
