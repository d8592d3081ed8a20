#include "kernels/batch_device.h"

static int no_device(mdl_error_t *err)
{
    const char *why;
    mdl_batch_device_count(&why);
    return mdl_fail(err, MDL_E_USAGE, "%s", why);
}

int mdl_batch_device_count(const char **why)
{
    *why = "this Mordal was built without CUDA: configure with MORDAL_ENABLE_CUDA=ON";
    return 0;
}

int mdl_batch_device_open(const mdl_batch_device_plan_t *plan, mdl_batch_device_t **batch,
                          mdl_error_t *err)
{
    (void)plan;
    *batch = NULL;
    return no_device(err);
}

void mdl_batch_device_close(mdl_batch_device_t *batch)
{
    (void)batch;
}

int mdl_batch_device_take(mdl_batch_device_t *batch, int model, int64_t n_row, int64_t n_feat,
                          const void *x, double gamma, int gamma_exponent, mdl_error_t *err)
{
    (void)batch, (void)model, (void)n_row, (void)n_feat, (void)x, (void)gamma;
    (void)gamma_exponent;
    return no_device(err);
}

int mdl_batch_device_finish(mdl_batch_device_t *batch, int64_t n_row, double *hsic, double *power,
                            double *exponent, int64_t *bad, mdl_error_t *err)
{
    (void)batch, (void)n_row, (void)hsic, (void)power, (void)exponent, (void)bad;
    return no_device(err);
}
