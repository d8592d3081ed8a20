/* Sums over many independent items, shared out over the ranks and added in the order of the items,
 * so that the result has the same bits on any number of ranks. */
#ifndef MDL_MPI_ORDERED_H
#define MDL_MPI_ORDERED_H

#include "core/error.h"

#include <mpi.h>
#include <stdint.h>

typedef struct {
    int64_t n_item, n_value;
    const char *what; /* unit of the progress lines: "batches" */
    /* Writes the item's n_value numbers into values, which holds zeros. */
    int (*compute)(void *data, int64_t item, double *values, mdl_error_t *err);
    /* Adds one item's values to the caller's totals; called on every rank for every item, in the
     * order of the items. */
    void (*fold)(void *data, int64_t item, const double *values);
    void *data;
} mdl_ordered_t;

/* Rank r of n_rank computes the items r, r + step and so on; ranks from step on compute none. */
int64_t mdl_ordered_step(const mdl_ordered_t *work, int n_rank);

/* Computes every item on one of the ranks and folds all of them on all ranks. Collective over comm.
 * Returns what compute returned on the lowest rank that failed, MDL_E_AGAIN when a stop is wanted,
 * MDL_E_MEMORY. */
int mdl_ordered_run(MPI_Comm comm, const mdl_ordered_t *work, mdl_error_t *err);

#endif
