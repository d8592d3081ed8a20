#include "models/backend_choice.h"

#include "core/log.h"
#include "kernels/device.h"
#include "mpi/agree.h"

#include <string.h>

static int rank_on_node(MPI_Comm comm, int *n_rank)
{
    MPI_Comm node;
    int rank;
    MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
    MPI_Comm_rank(node, &rank);
    MPI_Comm_size(node, n_rank);
    MPI_Comm_free(&node);
    return rank;
}

static int open_gpu(MPI_Comm comm, int n_device, int bfloat16, const mdl_backend_t **backend,
                    mdl_error_t *err)
{
    int n_rank, rank = rank_on_node(comm, &n_rank);
    int rc = mdl_agree(comm, mdl_backend_cuda(rank % n_device, bfloat16, backend, err), err);
    if (rc != MDL_OK)
        return rc;
    mdl_log(MDL_LOG_INFO, "computing on GPUs: %d for %d %s of this node", n_device, n_rank,
            n_rank == 1 ? "rank" : "ranks");
    if (n_rank > n_device)
        mdl_log(MDL_LOG_WARN, "%d ranks share %d GPUs: one rank a GPU is fastest", n_rank,
                n_device);
    return MDL_OK;
}

int mdl_backend_choose(MPI_Comm comm, const char *name, const char *precision,
                       const mdl_backend_t **backend, mdl_error_t *err)
{
    const char *why = "";
    int bfloat16 = strcmp(precision, "bfloat16") == 0;
    *backend = bfloat16 ? mdl_backend_cpu_bfloat16() : mdl_backend_cpu();
    if (strcmp(name, "strict") == 0) {
        *backend = mdl_backend_strict();
        return bfloat16 ? mdl_fail(err, MDL_E_USAGE, "the backend strict computes in float32 alone")
                        : MDL_OK;
    }
    if (strcmp(name, "cuda") != 0 && strcmp(name, "auto") != 0)
        return MDL_OK;
    int n_device = mdl_device_count(&why), usable = n_device > 0, rc = MDL_OK;
    if (strcmp(name, "cuda") == 0 && !usable)
        rc = mdl_fail(err, MDL_E_USAGE, "backend cuda: %s; take the backend cpu or auto", why);
    MPI_Allreduce(MPI_IN_PLACE, &usable, 1, MPI_INT, MPI_MIN, comm);
    rc = mdl_agree(comm, rc, err);
    return rc == MDL_OK && usable ? open_gpu(comm, n_device, bfloat16, backend, err) : rc;
}
