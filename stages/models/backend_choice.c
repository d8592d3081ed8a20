#include "models/backend_choice.h"

#include "core/text.h"
#include "kernels/rank_device.h"
#include "mpi/agree.h"

#include <stdlib.h>
#include <string.h>

int mdl_backend_choose(MPI_Comm comm, const char *name, const char *precision,
                       const mdl_backend_t **backend, mdl_error_t *err)
{
    int bfloat16 = strcmp(precision, "bfloat16") == 0;
    *backend = bfloat16 ? mdl_backend_cpu_bfloat16() : mdl_backend_cpu();
    if (strcmp(name, "strict") == 0) {
        *backend = mdl_backend_strict();
        return bfloat16 ? mdl_fail(err, MDL_E_USAGE, "the backend strict computes in float32 alone")
                        : MDL_OK;
    }
    if (strcmp(name, "cuda") != 0 && strcmp(name, "auto") != 0)
        return MDL_OK;
    mdl_rank_device_t gpu;
    int rc = mdl_rank_device(comm, strcmp(name, "cuda") == 0, &gpu, err);
    if (rc != MDL_OK || gpu.number < 0)
        return rc;
    return mdl_agree(comm, mdl_backend_cuda(gpu.number, bfloat16, backend, err), err);
}

int mdl_backend_override(mdl_study_t *study, const char *name, mdl_error_t *err)
{
    if (name == NULL)
        return MDL_OK;
    free(study->trainer.backend);
    study->trainer.backend = mdl_text("%s", name);
    return study->trainer.backend != NULL ? MDL_OK
                                          : mdl_fail(err, MDL_E_MEMORY, "no memory for a name");
}
