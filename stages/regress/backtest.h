/* Gains that are predicted from slopes, with shares and a spread that are found by predicting
 * points which are known already: docs/prediction.md. Used by mdl_predict alone. */
#ifndef MDL_REGRESS_BACKTEST_H
#define MDL_REGRESS_BACKTEST_H

#include "regress/trend.h"

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
    int has_trend;                    /* mix with the gains of the trend */
} mdl_backtest_rule_t;

/* Gains over octaves up to a grid index, as they were and as predicted. */
typedef struct {
    int octaves, at;
    int64_t n;
    double *gain;           /* [n] log error at the end less at the start */
    double *recent;         /* [n] from the last slopes */
    double *trend, *offset; /* [n] from the trend's slope; the trend's level less the error */
    double *deviation;      /* [n] standard deviation of the gain as the trend has it */
    double recent_mean, trend_mean;
} mdl_trial_t;

/* Slopes of candidates, [n], their mean, and the share of them that is gained. */
typedef struct {
    double *value, mean, share;
} mdl_slopes_t;

typedef struct {
    const mdl_backtest_rule_t *rule;
    int64_t n;
    mdl_pool_grid_t grid;
    mdl_trend_t trend;
    mdl_slopes_t recent, drawn; /* at the ends of the curves: of the last octaves, of the trend */
    double mean_share;          /* of the mean slope that is gained by all */
    double trend_weight;        /* of the trend's gains in the mixture */
    double trust;               /* share of the slopes' spread that isn't noise */
    mdl_trial_t *trials;        /* [n_trial] ascending in octaves */
    int n_trial;
    double *values, *scratch; /* of the trials; [5 n] */
} mdl_backtest_t;

/* Puts the pool on the grid and back-tests. Freed with mdl_backtest_free. Not collective. Returns
 * MDL_E_MEMORY. */
int mdl_backtest_make(const mdl_backtest_rule_t *rule, const mdl_predict_curve_t *curves, int64_t n,
                      mdl_backtest_t *test, mdl_error_t *err);
void mdl_backtest_free(mdl_backtest_t *test);

/* Predicted log error of candidate i at ratio 1. */
double mdl_backtest_predict(const mdl_backtest_t *test, int64_t i);

/* What a trial's gain k is predicted to be, but for the pool's mean gain. */
double mdl_backtest_own_gain(const mdl_backtest_t *test, const mdl_trial_t *trial, int64_t k);

/* Standard deviations of the log errors at ratio 1 such that +- z of them holds a share confidence
 * of the back-test residuals, into sigma[n], and the part that isn't common to the pool into
 * own[n]. Not collective. Returns MDL_E_MEMORY. */
int mdl_backtest_spread(const mdl_backtest_t *test, double confidence, double *sigma, double *own,
                        mdl_error_t *err);

#endif
