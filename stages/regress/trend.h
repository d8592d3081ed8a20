/* Level and slope of every curve of a pool at every point, from the points up to it: the local
 * linear trend model (Durbin and Koopman, Time Series Analysis by State Space Methods, 2nd edition,
 * 3.2.1) in continuous time, in the scale of the pool's gains. A few such models are averaged by
 * their likelihood. docs/prediction.md. */
#ifndef MDL_REGRESS_TREND_H
#define MDL_REGRESS_TREND_H

#include "regress/pool_grid.h"

/* What is believed of a curve once a point is known. */
typedef struct {
    double level, slope; /* of the log error, less the pool's mean path; slope an octave */
    double level_var, cross_var, slope_var;
} mdl_trend_state_t;

typedef struct {
    double path[MDL_GRID];     /* the pool's mean log error along the grid, up to a constant */
    double drift;              /* variance of what a slope changes in an octave */
    double spread;             /* variance of slopes before any is known */
    double noise;              /* variance of a point beside its own standard error */
    mdl_trend_state_t *states; /* [n, MDL_GRID], level NaN before the first point */
} mdl_trend_t;

/* Averages the models over the pool's points. Freed with mdl_trend_free. Not collective. Returns
 * MDL_E_MEMORY. */
int mdl_trend_make(const mdl_pool_grid_t *grid, mdl_trend_t *trend, mdl_error_t *err);
void mdl_trend_free(mdl_trend_t *trend);

/* Standard deviation of the log error of a point with standard error s (NaN: not known), so many
 * octaves after a state. */
double mdl_trend_deviation(const mdl_trend_t *trend, const mdl_trend_state_t *state, double octaves,
                           double s);

#endif
