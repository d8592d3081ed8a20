#include "kernels/rank_device.h"

#include "core/log.h"
#include "core/text.h"
#include "mpi/agree.h"

#include <stdlib.h>
#include <string.h>

static void find_device(int rank, mdl_rank_device_t *found)
{
    const char *none;
    int n_device = mdl_device_count(&none);
    found->number = -1;
    if (n_device == 0)
        mdl_fail(&found->why_none, MDL_E_USAGE, "%s", none);
    else if (mdl_device_describe(rank % n_device, &found->device, &found->why_none) == MDL_OK)
        found->number = rank % n_device;
}

static int count_sharers(MPI_Comm node, int n_rank, mdl_rank_device_t *found, mdl_error_t *err)
{
    enum { SIZE = sizeof found->device.uuid };
    unsigned char *all = NULL;
    int rc = mdl_agree(node, mdl_alloc(&all, (size_t)n_rank, SIZE, "GPUs of ranks", err), err);
    if (rc == MDL_OK) {
        found->n_sharer = 0;
        MPI_Allgather(found->device.uuid, SIZE, MPI_BYTE, all, SIZE, MPI_BYTE, node);
        for (int r = 0; r < n_rank; r++)
            found->n_sharer += memcmp(all + r * SIZE, found->device.uuid, SIZE) == 0;
    }
    free(all);
    return rc;
}

static void log_device(const mdl_rank_device_t *found, int n_rank)
{
    char memory[32];
    mdl_log(MDL_LOG_INFO, "on GPUs: this rank's is %s with %s; the node has %d %s",
            found->device.name, mdl_text_bytes(found->device.memory, memory), n_rank,
            n_rank == 1 ? "rank" : "ranks");
    if (found->n_sharer > 1)
        mdl_log(MDL_LOG_WARN, "%d ranks share a GPU: one rank a GPU is fastest", found->n_sharer);
}

int mdl_rank_device(MPI_Comm comm, int required, mdl_rank_device_t *found, mdl_error_t *err)
{
    MPI_Comm node;
    int rank, n_rank, usable, rc = MDL_OK;
    *found = (mdl_rank_device_t){0};
    MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
    MPI_Comm_rank(node, &rank);
    MPI_Comm_size(node, &n_rank);
    find_device(rank, found);
    usable = found->number >= 0;
    if (required && !usable)
        rc = mdl_fail(err, MDL_E_USAGE, "backend cuda: %.600s; take the backend cpu or auto",
                      found->why_none.text);
    MPI_Allreduce(MPI_IN_PLACE, &usable, 1, MPI_INT, MPI_MIN, comm);
    MDL_TRY(mdl_agree(comm, rc, err));
    if (usable) {
        MDL_TRY(mdl_agree(comm, count_sharers(node, n_rank, found, err), err));
        log_device(found, n_rank);
    } else if (found->number >= 0) {
        found->number = -1;
        mdl_fail(&found->why_none, MDL_E_USAGE, "another rank has no GPU that it can use");
    }
done:
    MPI_Comm_free(&node);
    return rc;
}
