#include "mpi/agree.h"

#include <limits.h>

int mdl_agree(MPI_Comm comm, int rc, mdl_error_t *err)
{
    int rank, n_rank, mine = INT_MAX, first;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &n_rank);
    if (rc == MDL_E_AGAIN)
        mine = n_rank + rank;
    else if (rc != MDL_OK)
        mine = rank;
    MPI_Allreduce(&mine, &first, 1, MPI_INT, MPI_MIN, comm);
    if (first == INT_MAX)
        return MDL_OK;
    int root = first % n_rank;
    if (rank == root) {
        err->code = rc;
        if (err->rank < 0)
            MPI_Comm_rank(MPI_COMM_WORLD, &err->rank);
    }
    MPI_Bcast(err, sizeof *err, MPI_BYTE, root, comm);
    return err->code;
}
