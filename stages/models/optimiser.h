/* What a step does with the gradient of a batch: clip it, then AdamW at the schedule's rate. */
#ifndef MDL_MODELS_OPTIMISER_H
#define MDL_MODELS_OPTIMISER_H

#include "kernels/backend.h"
#include "models/schedule.h"

#include <stdint.h>

typedef struct {
    double learning_rate; /* where the schedule is highest */
    mdl_schedule_t schedule;
    double warmup_ratio; /* share of the run over which the rate rises from 0 */
    double beta1, beta2, epsilon;
    double weight_decay; /* decoupled; 0: Adam */
    double clip_norm;    /* the gradient is at most so long; 0: as long as it is */
} mdl_optimiser_settings_t;

/* Shortens grad [n_param] on backend to the Euclidean length max_norm where it is longer, as
 * PyTorch's clip_grad_norm_ (by max_norm / (norm + 1e-6)); *norm is the length it had, which is
 * summed in float64. Not collective. */
int mdl_gradient_clip(const mdl_backend_t *backend, float *grad, int64_t n_param, double max_norm,
                      double *norm, mdl_error_t *err);

/* Step number step (counted from 0) of total_steps on param [n_param] on backend: the gradient is
 * clipped in place, the parameters decay by the factor 1 - rate * weight_decay (Loshchilov and
 * Hutter 2019, arXiv 1711.05101, algorithm 2, as PyTorch's AdamW computes it), then Adam with the
 * moments m, v [n_param], which start at zero. Not collective. */
int mdl_optimiser_step(const mdl_backend_t *backend, const mdl_optimiser_settings_t *settings,
                       float *param, float *grad, float *m, float *v, int64_t n_param, int64_t step,
                       int64_t total_steps, mdl_error_t *err);

#endif
