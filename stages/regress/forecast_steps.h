/* What the steps around the training cost: import, similarity, clusters, extraction, report. */
#ifndef MDL_REGRESS_FORECAST_STEPS_H
#define MDL_REGRESS_FORECAST_STEPS_H

#include "regress/forecast.h"

enum { MDL_N_FORECAST_STEP = 7 };

typedef struct {
    const char *name;    /* of the step in the driver */
    mdl_range_t seconds; /* of one rank; they share it */
    int is_known;        /* 0 = there is no native trainer whose speed tells */
    double used;         /* rank seconds of all attempts so far, NaN before the first */
} mdl_forecast_step_t;

/* Forecasts the steps. Reading and comparing goes by the bytes, at 50 to 800 MB/s; extraction by
 * the training's speed, for each vision cluster's medoid (half as many as encoders expected while
 * it isn't known) and language model: the warm-up, and half of a training step's work a sample.
 * full: [n_vision, n_language] seconds of each pair to ratio 1. What was used is what
 * logs/usage says. Not collective. Returns MDL_E_MEMORY, or what reading a corpus returns. */
int mdl_forecast_steps(const mdl_study_t *study, const double *full, double spread,
                       mdl_forecast_step_t steps[MDL_N_FORECAST_STEP], mdl_error_t *err);

#endif
