/* The curves of a pool on common half octaves of the ratio. */
#ifndef MDL_REGRESS_POOL_GRID_H
#define MDL_REGRESS_POOL_GRID_H

#include "regress/predict.h"

enum { MDL_GRID = 25 }; /* half octaves, 0 = the pool's largest ratio */

typedef struct {
    int64_t n;
    double *y, *s;     /* [n, MDL_GRID] log error and its standard error, NaN where unknown */
    uint8_t *measured; /* [n, MDL_GRID] a point is within a quarter octave */
    int *last;         /* [n] grid index of the last point, at least MDL_GRID when outside */
    double *last_y, *last_s, *octaves; /* [n] of the last point; octaves from it to ratio 1 */
} mdl_pool_grid_t;

/* Puts the curves on the grid: straight lines between points. Freed with mdl_pool_grid_free. Not
 * collective. Returns MDL_E_MEMORY. */
int mdl_pool_grid_make(const mdl_predict_curve_t *curves, int64_t n, mdl_pool_grid_t *grid,
                       mdl_error_t *err);
void mdl_pool_grid_free(mdl_pool_grid_t *grid);

/* Log error as the predictors take it: errors below 5e-4 count as that. */
double mdl_log_error(double error);

/* Standard error of it; NaN when the point has none, 1 below 5e-4. */
double mdl_log_stderr(const mdl_point_t *point);

double mdl_mean(const double *values, int64_t n);

/* Median of n >= 1 values, which are reordered. */
double mdl_median(double *values, int64_t n);

/* Clips values to their median +- k median absolute deviations when n > 2. scratch: [n]. */
void mdl_clip(double *values, int64_t n, double k, double *scratch);

#endif
