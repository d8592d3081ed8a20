#include "kernels/backend.h"

int mdl_backend_cuda_count(const char **why)
{
    *why = "this Mordal was built without CUDA: configure with MORDAL_ENABLE_CUDA=ON";
    return 0;
}

int mdl_backend_cuda(int device, int bfloat16, const mdl_backend_t **backend, mdl_error_t *err)
{
    const char *why;
    (void)device, (void)bfloat16;
    *backend = NULL;
    mdl_backend_cuda_count(&why);
    return mdl_fail(err, MDL_E_USAGE, "%s", why);
}
