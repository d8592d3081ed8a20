#include "models/optimiser.h"

#include "models/adam.h"

#include <math.h>

double mdl_gradient_clip(float *grad, int64_t n_param, double max_norm)
{
    double square = 0;
    for (int64_t i = 0; i < n_param; i++)
        square += (double)grad[i] * (double)grad[i];
    double norm = sqrt(square), share = max_norm / (norm + 1e-6);
    for (int64_t i = 0; share < 1 && i < n_param; i++)
        grad[i] *= (float)share;
    return norm;
}

void mdl_optimiser_step(const mdl_optimiser_settings_t *settings, float *param, float *grad,
                        float *m, float *v, int64_t n_param, int64_t step, int64_t total_steps)
{
    int64_t n_warmup = (int64_t)ceil(settings->warmup_ratio * (double)total_steps);
    double rate = settings->learning_rate *
                  mdl_schedule_share(settings->schedule, step, n_warmup, total_steps);
    if (settings->clip_norm > 0)
        mdl_gradient_clip(grad, n_param, settings->clip_norm);
    float keep = (float)(1 - rate * settings->weight_decay);
    for (int64_t i = 0; keep < 1 && i < n_param; i++)
        param[i] *= keep;
    mdl_adam_step(param, grad, m, v, n_param, step + 1, rate, settings->beta1, settings->beta2,
                  settings->epsilon);
}
