#include "similarity/backend.h"

#include "core/log.h"
#include "kernels/rank_device.h"

#include <string.h>

int mdl_cka_choose_backend(MPI_Comm comm, const char *backend, mdl_cka_settings_t *settings,
                           mdl_error_t *err)
{
    mdl_rank_device_t gpu = {.number = -1, .why_none.text = "give --backend cuda"};
    int required = strcmp(backend, "cuda") == 0;
    if (settings->cache != NULL) {
        mdl_fail(&gpu.why_none, MDL_E_USAGE, "GPUs don't work with a Gram cache");
        if (required)
            return mdl_fail(err, MDL_E_USAGE, "backend cuda: %.600s; take the backend cpu or auto",
                            gpu.why_none.text);
    } else if (strcmp(backend, "cpu") != 0) {
        int rc = mdl_rank_device(comm, required, &gpu, err);
        if (rc != MDL_OK)
            return rc;
    }
    if (gpu.number >= 0) {
        settings->device = 1 + gpu.number;
        settings->n_sharer = gpu.n_sharer;
        return MDL_OK;
    }
    if (settings->bfloat16)
        return mdl_fail(err, MDL_E_USAGE, "--precision bfloat16 is computed by GPUs alone: %.600s",
                        gpu.why_none.text);
    if (strcmp(backend, "auto") == 0)
        mdl_log(MDL_LOG_INFO, "on the CPU: %s", gpu.why_none.text);
    return MDL_OK;
}
