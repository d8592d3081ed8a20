#include "models/optimiser.h"

#include <math.h>

int mdl_gradient_clip(const mdl_backend_t *backend, float *grad, int64_t n_param, double max_norm,
                      double *norm, mdl_error_t *err)
{
    int rc = backend->vector_square_sum(norm, grad, n_param, err);
    if (rc != MDL_OK)
        return rc;
    *norm = sqrt(*norm);
    double share = max_norm / (*norm + 1e-6);
    if (share < 1)
        backend->vector_scale(grad, (float)share, n_param);
    return MDL_OK;
}

int mdl_optimiser_step(const mdl_backend_t *backend, const mdl_optimiser_settings_t *settings,
                       float *param, float *grad, float *m, float *v, int64_t n_param, int64_t step,
                       int64_t total_steps, mdl_error_t *err)
{
    int64_t n_warmup = (int64_t)ceil(settings->warmup_ratio * (double)total_steps);
    double norm, rate = settings->learning_rate *
                        mdl_schedule_share(settings->schedule, step, n_warmup, total_steps);
    int rc = settings->clip_norm > 0
                 ? mdl_gradient_clip(backend, grad, n_param, settings->clip_norm, &norm, err)
                 : MDL_OK;
    if (rc != MDL_OK)
        return rc;
    float keep = (float)(1 - rate * settings->weight_decay);
    if (keep < 1)
        backend->vector_scale(param, keep, n_param);
    backend->adam_step(param, grad, m, v, n_param, step + 1, rate, settings->beta1, settings->beta2,
                       settings->epsilon);
    return MDL_OK;
}
