#include "mpi/group.h"

#include <time.h>

int mdl_group_size(int n_rank, int64_t n_item, int64_t asked, int64_t batch)
{
    if (asked > 0)
        return asked < n_rank ? (int)asked : n_rank;
    int size = 1;
    while (n_item > 0 && 2 * size <= n_rank / n_item && 2 * size <= batch)
        size *= 2;
    return size;
}

void mdl_group_split(MPI_Comm comm, int size, mdl_group_t *group)
{
    int rank, n_rank;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &n_rank);
    group->n_group = n_rank / size;
    group->index = rank / size < group->n_group ? rank / size : -1;
    group->rank = rank % size;
    MPI_Comm_split(comm, group->index < 0 ? MPI_UNDEFINED : group->index, rank, &group->comm);
}

void mdl_group_free(mdl_group_t *group)
{
    if (group->comm != MPI_COMM_NULL)
        MPI_Comm_free(&group->comm);
}

void mdl_group_meet(MPI_Comm comm)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    MPI_Request request;
    int met = 0;
    MPI_Ibarrier(comm, &request);
    for (;;) {
        MPI_Test(&request, &met, MPI_STATUS_IGNORE);
        if (met)
            return;
        nanosleep(&pause, NULL);
    }
}
