#include "cka/backend.h"

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

/* Why this rank can't compute on a GPU, or NULL. */
static const char *objection(const mdl_cka_settings_t *settings, int n_device, const char *why)
{
    if (settings->estimator != MDL_CKA_MINIBATCH)
        return "GPUs compute the estimator minibatch alone";
    if (settings->cache != NULL)
        return "GPUs don't work with a Gram cache";
    return n_device == 0 ? why : NULL;
}

int mdl_cka_choose_backend(MPI_Comm comm, const char *backend, mdl_cka_settings_t *settings,
                           mdl_error_t *err)
{
    const char *why = NULL;
    int n_device = strcmp(backend, "cpu") != 0 ? mdl_device_count(&why) : 0, n_rank;
    int rank = rank_on_node(comm, &n_rank), rc = MDL_OK;
    const char *against = objection(settings, n_device, why);
    int usable = strcmp(backend, "cpu") != 0 && against == NULL;
    if (strcmp(backend, "cuda") == 0 && !usable)
        rc = mdl_fail(err, MDL_E_USAGE, "--backend cuda: %s; give --backend cpu or auto", against);
    MPI_Allreduce(MPI_IN_PLACE, &usable, 1, MPI_INT, MPI_MIN, comm);
    if (rc == MDL_OK && settings->bfloat16 && !usable)
        rc = mdl_fail(err, MDL_E_USAGE, "--precision bfloat16 is computed by GPUs alone: %s",
                      against != NULL ? against : "give --backend cuda");
    rc = mdl_agree(comm, rc, err);
    if (rc != MDL_OK || !usable)
        return rc;
    settings->device = 1 + rank % n_device;
    mdl_log(MDL_LOG_INFO, "on GPUs: %d for %d %s of this node", n_device, n_rank,
            n_rank == 1 ? "rank" : "ranks");
    if (n_rank > n_device)
        mdl_log(MDL_LOG_WARN, "%d ranks share %d GPUs: one rank a GPU is fastest", n_rank,
                n_device);
    return MDL_OK;
}
