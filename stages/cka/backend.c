#include "cka/backend.h"

#include "core/log.h"
#include "core/text.h"
#include "kernels/device.h"
#include "mpi/agree.h"

#include <stdlib.h>
#include <string.h>

/* The GPU of the rank-th rank of a node, or the sentence why there is none. */
static int find_device(const mdl_cka_settings_t *settings, int rank, int *device,
                       mdl_device_t *found, mdl_error_t *why)
{
    const char *none;
    if (settings->cache != NULL)
        return mdl_fail(why, MDL_E_USAGE, "GPUs don't work with a Gram cache");
    int n_device = mdl_device_count(&none);
    if (n_device == 0)
        return mdl_fail(why, MDL_E_USAGE, "%s", none);
    *device = rank % n_device;
    return mdl_device_describe(*device, found, why);
}

/* How many ranks of the node have the same GPU, by what identifies it: launchers that show each
 * rank its own GPU number all of them 0. */
static int count_sharers(MPI_Comm node, const mdl_device_t *own, int *n_sharer, mdl_error_t *err)
{
    enum { SIZE = sizeof own->uuid };
    unsigned char *all = NULL;
    int n_rank;
    MPI_Comm_size(node, &n_rank);
    int rc = mdl_agree(node, mdl_alloc(&all, (size_t)n_rank, SIZE, "GPUs of ranks", err), err);
    if (rc == MDL_OK) {
        *n_sharer = 0;
        MPI_Allgather(own->uuid, SIZE, MPI_BYTE, all, SIZE, MPI_BYTE, node);
        for (int r = 0; r < n_rank; r++)
            *n_sharer += memcmp(all + r * SIZE, own->uuid, SIZE) == 0;
    }
    free(all);
    return rc;
}

static void log_device(const mdl_device_t *found, int n_rank, int n_sharer)
{
    char memory[32];
    mdl_log(MDL_LOG_INFO, "on GPUs: this rank's is %s with %s; the node has %d %s", found->name,
            mdl_text_bytes(found->memory, memory), n_rank, n_rank == 1 ? "rank" : "ranks");
    if (n_sharer > 1)
        mdl_log(MDL_LOG_WARN, "%d ranks share a GPU: one rank a GPU is fastest", n_sharer);
}

int mdl_cka_choose_backend(MPI_Comm comm, const char *backend, mdl_cka_settings_t *settings,
                           mdl_error_t *err)
{
    MPI_Comm node;
    mdl_device_t found;
    mdl_error_t why = {.text = "give --backend cuda"};
    int rank, n_rank, device = 0, usable = 0, rc = MDL_OK;
    MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
    MPI_Comm_rank(node, &rank);
    MPI_Comm_size(node, &n_rank);
    if (strcmp(backend, "cpu") != 0)
        usable = find_device(settings, rank, &device, &found, &why) == MDL_OK;
    if (strcmp(backend, "cuda") == 0 && !usable)
        rc = mdl_fail(err, MDL_E_USAGE, "--backend cuda: %.600s; give --backend cpu or auto",
                      why.text);
    else if (usable)
        mdl_fail(&why, MDL_E_USAGE, "a rank of another node has no GPU that it can use");
    MPI_Allreduce(MPI_IN_PLACE, &usable, 1, MPI_INT, MPI_MIN, comm);
    if (rc == MDL_OK && settings->bfloat16 && !usable)
        rc = mdl_fail(err, MDL_E_USAGE, "--precision bfloat16 is computed by GPUs alone: %.600s",
                      why.text);
    MDL_TRY(mdl_agree(comm, rc, err));
    if (usable) {
        settings->device = 1 + device;
        MDL_TRY(mdl_agree(comm, count_sharers(node, &found, &settings->n_sharer, err), err));
        log_device(&found, n_rank, settings->n_sharer);
    } else if (strcmp(backend, "auto") == 0) {
        mdl_log(MDL_LOG_INFO, "on the CPU: %s", why.text);
    }
done:
    MPI_Comm_free(&node);
    return rc;
}
