/* Sums over many independent items in order, with the same bits on any number of ranks and with
 * messages whose size doesn't grow with the items. The items are cut into chunks, as many for every
 * number of ranks; each rank sums the items of its own consecutive chunks one after the other, and
 * all ranks receive the sums of all chunks. */
#ifndef MDL_MPI_CHUNKS_H
#define MDL_MPI_CHUNKS_H

#include "core/error.h"

#include <mpi.h>
#include <stdint.h>

typedef struct {
    int64_t n_item, n_value;
    const char *what; /* unit of the progress lines: "batches" */
    /* Called first with the rank's own items, [first, first + n_own); n_own may be 0. May be NULL.
     */
    int (*begin)(void *data, int64_t first, int64_t n_own, mdl_error_t *err);
    /* Writes the item's n_value numbers into values, which holds zeros. Called for the rank's own
     * items in their order. */
    int (*compute)(void *data, int64_t item, double *values, mdl_error_t *err);
    /* What the item takes, in any unit: ranks then share chunks out by it. NULL: all the same. */
    double (*cost)(const void *data, int64_t item);
    /* Adds n_value numbers to into; NULL adds each to each. */
    void (*add)(void *data, double *into, const double *values);
    void *data;
} mdl_chunks_t;

typedef struct {
    int64_t n_chunk;
    double *values;     /* [n_chunk, n_value] sums of the chunks, freed by the caller */
    int64_t bytes_sent; /* by this rank */
} mdl_chunk_sums_t;

/* Number of chunks that n_item items of n_value sums make. */
int64_t mdl_chunks_count(int64_t n_item, int64_t n_value);

/* Computes every item on one of the ranks. Collective over comm. sums->values is NULL when it
 * fails. Returns what begin or compute returned on the lowest rank that failed, MDL_E_AGAIN when a
 * stop is wanted, MDL_E_MEMORY. */
int mdl_chunks_run(MPI_Comm comm, const mdl_chunks_t *work, mdl_chunk_sums_t *sums,
                   mdl_error_t *err);

#endif
