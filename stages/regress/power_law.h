/* The power law with an offset of one candidate: error = floor + scale ratio^-slope. */
#ifndef MDL_REGRESS_POWER_LAW_H
#define MDL_REGRESS_POWER_LAW_H

#include "io/history.h"

/* The law's error at ratio 1 for n >= 1 points: least squares in log error, each point weighted by
 * its standard error where all have one (Levenberg-Marquardt: cminpack), with floor >= 0, scale > 0
 * and slope >= 0. Under four points its floor is 0; one point is its own prediction. The prediction
 * stays within a factor of 20 of the last point. Not collective. */
double mdl_power_law_predict(const mdl_point_t *points, int n);

#endif
