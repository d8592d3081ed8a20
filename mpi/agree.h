/* One rank's failure is everyone's: agreement on an error before the next collective step. */
#ifndef MDL_MPI_AGREE_H
#define MDL_MPI_AGREE_H

#include "core/error.h"

#include <mpi.h>

/* Every rank hands in its own rc and err; all return the same code and hold the same err: the one
 * of the lowest rank that failed (a clean stop, MDL_E_AGAIN, only if nobody failed).
 * Collective over comm. */
int mdl_agree(MPI_Comm comm, int rc, mdl_error_t *err);

/* Runs call on rank 0 alone and gives its outcome to all. Collective over comm. */
#define mdl_on_root(comm, rank, call, err) mdl_agree(comm, (rank) == 0 ? (call) : MDL_OK, err)

#endif
