/* Gains that are predicted from slopes, with a share of the slope and a spread that are found by
 * predicting points which are known already: docs/prediction.md. Used by mdl_predict alone. */
#ifndef MDL_REGRESS_BACKTEST_H
#define MDL_REGRESS_BACKTEST_H

#include "regress/predict.h"

enum { MDL_GRID = 25 }; /* half octaves, 0 = the pool's largest ratio */

/* How a method takes slopes and what it believes before it has seen any. */
typedef struct {
    int span, back_span; /* octaves under a slope: at the end, and in back-tests */
    double recent;       /* weight of the last octave of two; 0 = a least-squares line */
    double slope_clip;   /* slopes are clipped to the pool's median +- so many MAD */
    double gain_clip;    /* so are true gains */
    double fade;         /* a back-test half an octave further back weighs exp(-fade) less */
    double prior, prior_weight, most; /* share of the slope: prior when there is
                                         no noise, its weight, upper limit */
    double mean_prior, mean_most;     /* of the pool's mean gain; mean_most < 0 = as the share */
    int shrink;                       /* shrink slopes by the noise of their points */
} mdl_backtest_rule_t;

typedef struct {
    const mdl_backtest_rule_t *rule;
    int64_t n;
    double end;        /* log2 of the pool's largest ratio */
    double *y, *s;     /* [n, MDL_GRID] log error and its standard error, NaN where unknown */
    uint8_t *measured; /* [n, MDL_GRID] a point is within a quarter octave */
    int *last;         /* [n] grid index of the last point, at least MDL_GRID when outside */
    double *last_y, *last_s, *octaves; /* [n] of the last point; octaves from it to ratio 1 */
    double *slope;                     /* [n] after clipping and shrinking */
    int has_slope;                     /* any curve has */
    double share, mean_share, mean_slope;
    double trust;    /* share of the slopes' spread that isn't noise */
    int is_bounded;  /* all errors are at most 1 */
    double *scratch; /* [5 n] */
    /* what back-tests found */
    double *residual, *weight; /* [n_residual] by horizon, in the order of the tests */
    double *shift, *shift_weight;
    int64_t first[4], n_residual; /* first residual of horizon 1, 2, 3 and their end */
    int n_shift;
} mdl_backtest_t;

/* Puts the pool on the grid and back-tests. Freed with mdl_backtest_free. Not collective. Returns
 * MDL_E_MEMORY. */
int mdl_backtest_make(const mdl_backtest_rule_t *rule, const mdl_predict_curve_t *curves, int64_t n,
                      mdl_backtest_t *test, mdl_error_t *err);
void mdl_backtest_free(mdl_backtest_t *test);

/* Predicted log error of candidate i at ratio 1. */
double mdl_backtest_predict(const mdl_backtest_t *test, int64_t i);

/* Standard deviations of the log errors at ratio 1 such that +- z of them holds a share confidence
 * of the back-test residuals, into sigma[n], and the part that isn't common to the pool into
 * own[n]. Not collective. Returns MDL_E_MEMORY. */
int mdl_backtest_spread(const mdl_backtest_t *test, double confidence, double *sigma, double *own,
                        mdl_error_t *err);

/* How freely a log error y moves: less the nearer a bounded error is to 1. */
double mdl_backtest_room(const mdl_backtest_t *test, double y);

/* Median of n >= 1 values, which are reordered. */
double mdl_median(double *values, int64_t n);

/* Clips values to their median +- k median absolute deviations when n > 2. scratch: [n]. */
void mdl_clip(double *values, int64_t n, double k, double *scratch);

/* Log error as the predictors take it: errors below 5e-4 count as that. */
double mdl_log_error(double error);

/* Standard error of it; NaN when the point has none, 1 below 5e-4. */
double mdl_log_stderr(const mdl_point_t *point);

#endif
