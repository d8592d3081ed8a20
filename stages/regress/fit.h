/* The log-linear scaling law of one candidate: a least-squares line through (log ratio, log error),
 * as Algorithm 1 of Mordal (arXiv 2502.00241) has it. docs/numerics-regress.md. */
#ifndef MDL_REGRESS_FIT_H
#define MDL_REGRESS_FIT_H

#include "io/history.h"

typedef struct {
    int n_point;
    double slope, intercept; /* log error = intercept + slope log ratio; NaN for one point */
    double residual;         /* mean squared residual */
    double predicted;        /* error at ratio 1: exp(intercept), or the one point's error */
    double half_width;       /* of its interval, in log error; NaN when nothing is known of it */
    double low, high;        /* interval of it, within [0, 1]; NaN when nothing is known of it */
} mdl_fit_t;

/* Fits n >= 1 points of different ratios. confidence: of the interval, 0 to 1. Errors and standard
 * errors under the floor of mdl_fit_floor count as the floor. Not collective. */
mdl_fit_t mdl_fit_line(const mdl_point_t *points, int n, double confidence);

/* What an error of 0 counts as: 1 / (2 n_sample) with the number of evaluated samples that the
 * points' standard errors tell, or 1 / 2000. Not collective. */
double mdl_fit_floor(const mdl_point_t *points, int n);

/* When a candidate has enough points. */
typedef struct {
    int64_t points;    /* p: fit once there are more than these */
    double tolerance;  /* delta */
    double confidence; /* of the interval */
} mdl_fit_rule_t;

/* 1 when the points are more than p and their line's mean squared residual is below delta.
 * rule: mdl_fit_rule_t. In the form that mdl_sweep_t takes. Not collective. */
int mdl_fit_is_enough(const void *rule, const mdl_point_t *points, int n);

#endif
