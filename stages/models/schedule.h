/* The learning rate over a run. */
#ifndef MDL_MODELS_SCHEDULE_H
#define MDL_MODELS_SCHEDULE_H

#include <stdint.h>

typedef enum { MDL_SCHEDULE_LINEAR, MDL_SCHEDULE_COSINE } mdl_schedule_t;

/* The share of the learning rate that step (counted from 0) of total_steps is made with, as
 * transformers' get_linear_schedule_with_warmup and get_cosine_schedule_with_warmup (half a
 * period): step / n_warmup up to n_warmup, so that the first of these steps moves nothing; then
 * 1 - p or (1 + cos(pi p)) / 2 with p from 0 to 1 over the steps that are left. Not collective. */
double mdl_schedule_share(mdl_schedule_t schedule, int64_t step, int64_t n_warmup,
                          int64_t total_steps);

#endif
