#include "kernels/cuda/device.h"
#include "kernels/cuda/operations.h"
#include "kernels/cuda/tools.cuh"

#include <cstring>
#include <nccl.h>

namespace mdl::engine
{

static_assert(sizeof(ncclUniqueId) <= MDL_LINK_NAME, "NCCL's names don't fit");

static int report(ncclResult_t status, const char *what, mdl_error_t *err)
{
    return status == ncclSuccess
               ? MDL_OK
               : mdl_fail(err, MDL_E_INTERNAL, "NCCL: %s: %s", what, ncclGetErrorString(status));
}

static int link_name(char name[MDL_LINK_NAME], mdl_error_t *err)
{
    ncclUniqueId id;
    int rc = report(ncclGetUniqueId(&id), "making a name for the link", err);
    if (rc == MDL_OK)
        std::memcpy(name, &id, sizeof id);
    return rc;
}

static int link_open(void **link, const char *name, int rank, int n_rank, mdl_error_t *err)
{
    ncclUniqueId id;
    ncclComm_t made = nullptr;
    std::memcpy(&id, name, sizeof id);
    int rc = report(ncclCommInitRank(&made, n_rank, id, rank), "linking the GPUs", err);
    *link = rc == MDL_OK ? made : nullptr;
    return rc;
}

static void link_close(void *link)
{
    ncclResult_t status = ncclCommDestroy(static_cast<ncclComm_t>(link));
    if (status != ncclSuccess)
        keep_failure(__func__, ncclGetErrorString(status));
}

static int link_pass(void *link, const float *x, int to, float *y, int from, int64_t n,
                     mdl_error_t *err)
{
    auto *comm = static_cast<ncclComm_t>(link);
    ncclResult_t status = ncclGroupStart();
    if (status == ncclSuccess && to >= 0)
        status = ncclSend(x, (size_t)n, ncclFloat, to, comm, current.stream);
    if (status == ncclSuccess && from >= 0)
        status = ncclRecv(y, (size_t)n, ncclFloat, from, comm, current.stream);
    ncclResult_t ended = ncclGroupEnd();
    return report(status == ncclSuccess ? ended : status, "passing gradients on", err);
}

const links &available_links()
{
    static const links by_nccl = {link_name, link_open, link_close, link_pass};
    return by_nccl;
}

} // namespace mdl::engine
