#include "kernels/backend.h"
#include "kernels/device.h"

int mdl_backend_cuda(int device, int bfloat16, const mdl_backend_t **backend, mdl_error_t *err)
{
    const char *why;
    (void)device, (void)bfloat16;
    *backend = NULL;
    mdl_device_count(&why);
    return mdl_fail(err, MDL_E_USAGE, "%s", why);
}
