/* Predicting the error at ratio 1 of every candidate of a pool (one task) from the points that have
 * been paid for. docs/prediction.md compares the methods on measured curves. */
#ifndef MDL_REGRESS_PREDICT_H
#define MDL_REGRESS_PREDICT_H

#include "io/history.h"

typedef enum {
    MDL_METHOD_LOG_LINEAR,       /* the paper's line through R, R/u, ... (Algorithm 1) */
    MDL_METHOD_LAST_VALUE,       /* the error at the largest ratio */
    MDL_METHOD_POWER_LAW,        /* error = floor + scale ratio^-slope */
    MDL_METHOD_CALIBRATED_SLOPE, /* last value and a share of the slope, found by back-testing */
    MDL_METHOD_POOLED /* the same with the slope of the last octaves, shrunk by its noise */
} mdl_method_t;

/* The method of a name ("log-linear", "last-value", "power-law", "calibrated-slope", "pooled").
 * Returns MDL_E_INPUT with the names for another. Not collective. */
int mdl_method_parse(const char *name, mdl_method_t *method, mdl_error_t *err);
const char *mdl_method_name(mdl_method_t method);

/* How a point came about. Never mixed in a fit or in a calibration. */
typedef enum {
    MDL_CURVE_FRESH,     /* a run of its own, with its own learning rate schedule */
    MDL_CURVE_CHECKPOINT /* a stage of one longer run */
} mdl_curve_kind_t;

/* What is known of one candidate. Curves of a pool may end at different ratios. */
typedef struct {
    const mdl_point_t *points; /* n_point >= 1, ascending in ratio, all of this kind; borrowed */
    int n_point;
    mdl_curve_kind_t kind;
} mdl_predict_curve_t;

typedef struct {
    mdl_method_t method;
    double confidence;              /* of the interval, 0 to 1 */
    double divisor;                 /* u, of log-linear alone, as the next three */
    int64_t min_points, max_points; /* p, and the most points of a line */
    double tolerance;               /* delta */
} mdl_predict_settings_t;

/* The paper's u, p, delta, with at most 5 points, and the confidence of a study's default. */
mdl_predict_settings_t mdl_predict_defaults(mdl_method_t method);

typedef struct {
    double predicted; /* error at ratio 1, finite and > 0 */
    double low, high; /* interval of it, finite, low <= predicted <= high; not cut at 1 */
    double sigma;     /* standard deviation of log(error at ratio 1) behind low and high */
    double sigma_own; /* the part of sigma that isn't common to the pool: what counts when two
                         candidates of a pool are compared */
    double slope, intercept; /* of the line in (log ratio, log error) from the last point to the
                                prediction; of the fit itself for log-linear */
    int n_point;             /* points that were used */
} mdl_prediction_t;

/* Predicts every curve of the pool into predictions[n_curve]. Points of ratio 1 are taken as
 * measured: predicted is their error. Not collective. Returns MDL_E_INPUT for a curve without a
 * usable point, or MDL_E_MEMORY. */
int mdl_predict(const mdl_predict_settings_t *settings, const mdl_predict_curve_t *curves,
                int64_t n_curve, mdl_prediction_t *predictions, mdl_error_t *err);

#endif
