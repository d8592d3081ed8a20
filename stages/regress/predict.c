#include "regress/predict.h"

#include "regress/backtest.h"
#include "regress/fit.h"
#include "regress/power_law.h"
#include "regress/quantile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"log-linear", "last-value", "power-law", "calibrated-slope",
                                    "pooled"};
enum { N_METHOD = sizeof names / sizeof names[0], MAX_POINT = 64 };

static const mdl_backtest_rule_t last_value = {
    .span = 3, .back_span = 2, .slope_clip = 2, .gain_clip = 1e9, .fade = 0.4};
static const mdl_backtest_rule_t calibrated = {.span = 3,
                                               .back_span = 2,
                                               .slope_clip = 2,
                                               .gain_clip = 1e9,
                                               .prior = 0.45,
                                               .prior_weight = 1,
                                               .most = 1.1,
                                               .mean_most = -1};
static const mdl_backtest_rule_t pooled = {.span = 2,
                                           .back_span = 2,
                                           .recent = 0.7,
                                           .slope_clip = 3,
                                           .gain_clip = 3,
                                           .fade = 0.4,
                                           .prior = 0.6,
                                           .prior_weight = 1,
                                           .most = 1.1,
                                           .mean_prior = 0.7,
                                           .mean_most = 1,
                                           .shrink = 1,
                                           .has_trend = 1};

int mdl_method_parse(const char *name, mdl_method_t *method, mdl_error_t *err)
{
    for (int i = 0; i < N_METHOD; i++)
        if (strcmp(name, names[i]) == 0) {
            *method = (mdl_method_t)i;
            return MDL_OK;
        }
    return mdl_fail(err, MDL_E_INPUT,
                    "no method of prediction is called '%.40s'; there are log-linear, last-value, "
                    "power-law, calibrated-slope and pooled",
                    name);
}

const char *mdl_method_name(mdl_method_t method)
{
    return names[method];
}

mdl_predict_settings_t mdl_predict_defaults(mdl_method_t method)
{
    return (mdl_predict_settings_t){.method = method,
                                    .confidence = 0.9,
                                    .divisor = 2,
                                    .min_points = 3,
                                    .max_points = 5,
                                    .tolerance = 5e-5};
}

/* The points at R, R/u, R/u^2, ..., R being the last one's ratio, until their line is good enough;
 * a step without a point (to 2 %) is left out. */
static int take_line(const mdl_predict_settings_t *settings, const mdl_predict_curve_t *curve,
                     mdl_point_t *taken)
{
    const mdl_fit_rule_t rule = {settings->min_points, settings->tolerance, settings->confidence};
    const mdl_point_t *points = curve->points;
    double ratio = points[curve->n_point - 1].ratio;
    int n = 0;
    for (int i = curve->n_point - 1; i >= 0 && n < MAX_POINT && n < settings->max_points;) {
        double off = points[i].ratio / ratio;
        if (off > 1.02) {
            i--;
        } else if (off < 1 / 1.02) {
            ratio /= settings->divisor;
        } else {
            taken[n++] = points[i--];
            ratio /= settings->divisor;
            if (mdl_fit_is_enough(&rule, taken, n))
                break;
        }
    }
    return n;
}

/* The line of log-linear; fallback: the spread where its own isn't known. */
static mdl_prediction_t predict_line(const mdl_predict_settings_t *settings,
                                     const mdl_predict_curve_t *curve, double z, double fallback)
{
    mdl_point_t taken[MAX_POINT];
    int n = take_line(settings, curve, taken);
    mdl_fit_t fit = mdl_fit_line(taken, n, settings->confidence);
    mdl_prediction_t prediction = {.predicted = fit.predicted,
                                   .low = fit.low,
                                   .high = fit.high,
                                   .sigma = fallback,
                                   .slope = fit.slope,
                                   .intercept = fit.intercept,
                                   .n_point = n};
    if (isnan(fit.low)) {
        prediction.low = fit.predicted * exp(-z * fallback);
        prediction.high = fit.predicted * exp(z * fallback);
    } else {
        prediction.sigma = fit.half_width / z;
        prediction.low = fit.predicted * exp(-fit.half_width); /* a loss may be over 1 */
        prediction.high = fit.predicted * exp(fit.half_width);
    }
    prediction.sigma_own = prediction.sigma;
    return prediction;
}

static mdl_prediction_t predict_one(const mdl_predict_settings_t *settings,
                                    const mdl_backtest_t *test, const mdl_predict_curve_t *curve,
                                    int64_t i, double sigma, double own)
{
    const double z = mdl_quantile_normal(0.5 * (1 + settings->confidence));
    const mdl_point_t *last = &curve->points[curve->n_point - 1];
    double y = mdl_backtest_predict(test, i);
    if (last->ratio >= 1 - 1e-6) {
        sigma = own = isfinite(test->grid.last_s[i]) ? test->grid.last_s[i] : 0;
        y = last->error > 0 ? log(last->error) : test->grid.last_y[i];
    } else if (settings->method == MDL_METHOD_LOG_LINEAR) {
        return predict_line(settings, curve, z, sigma);
    } else if (settings->method == MDL_METHOD_POWER_LAW) {
        y = log(mdl_power_law_predict(curve->points, curve->n_point));
    }
    const double slope =
        last->ratio < 1 - 1e-6 ? (test->grid.last_y[i] - y) / log(last->ratio) : NAN;
    return (mdl_prediction_t){.predicted = exp(y),
                              .low = exp(y - z * sigma),
                              .high = exp(y + z * sigma),
                              .sigma = sigma,
                              .sigma_own = own,
                              .slope = slope,
                              .intercept = y,
                              .n_point = curve->n_point};
}

static int check(const mdl_predict_curve_t *curves, int64_t n_curve, mdl_error_t *err)
{
    for (int64_t i = 0; i < n_curve; i++) {
        const mdl_predict_curve_t *curve = &curves[i];
        int good = curve->n_point > 0;
        for (int k = 0; good && k < curve->n_point; k++) {
            const mdl_point_t *point = &curve->points[k];
            good = point->ratio > 0 && point->ratio <= 1 + 1e-6 && isfinite(point->error) &&
                   point->error >= 0 && (k == 0 || point->ratio > point[-1].ratio);
        }
        if (!good)
            return mdl_fail(err, MDL_E_INPUT,
                            "curve %lld of a pool can't be used: it needs points of finite error "
                            "at ascending ratios over 0 to 1",
                            (long long)i);
    }
    return MDL_OK;
}

static const mdl_backtest_rule_t *rule_of(mdl_method_t method)
{
    if (method == MDL_METHOD_LAST_VALUE)
        return &last_value;
    return method == MDL_METHOD_CALIBRATED_SLOPE ? &calibrated : &pooled;
}

/* Predicts the curves of one kind; index[n]: where they stand in predictions. */
static int predict_kind(const mdl_predict_settings_t *settings, const mdl_predict_curve_t *curves,
                        const int64_t *index, int64_t n, mdl_prediction_t *predictions,
                        mdl_error_t *err)
{
    mdl_backtest_t test = {0};
    double *sigma = NULL;
    int rc;
    MDL_TRY(mdl_alloc(&sigma, 2 * (size_t)n, sizeof *sigma, "predictions", err));
    MDL_TRY(mdl_backtest_make(rule_of(settings->method), curves, n, &test, err));
    MDL_TRY(mdl_backtest_spread(&test, settings->confidence, sigma, sigma + n, err));
    for (int64_t i = 0; i < n; i++)
        predictions[index[i]] = predict_one(settings, &test, &curves[i], i, sigma[i], sigma[n + i]);
done:
    mdl_backtest_free(&test);
    free(sigma);
    return rc;
}

int mdl_predict(const mdl_predict_settings_t *settings, const mdl_predict_curve_t *curves,
                int64_t n_curve, mdl_prediction_t *predictions, mdl_error_t *err)
{
    mdl_predict_curve_t *same = NULL;
    int64_t *index = NULL;
    int rc;
    MDL_TRY(check(curves, n_curve, err));
    MDL_TRY(mdl_alloc(&same, (size_t)n_curve + 1, sizeof *same, "curves", err));
    MDL_TRY(mdl_alloc(&index, (size_t)n_curve + 1, sizeof *index, "curves", err));
    for (int kind = MDL_CURVE_FRESH; kind <= MDL_CURVE_CHECKPOINT; kind++) {
        int64_t n = 0;
        for (int64_t i = 0; i < n_curve; i++)
            if (curves[i].kind == (mdl_curve_kind_t)kind) {
                same[n] = curves[i];
                index[n++] = i;
            }
        if (n > 0)
            MDL_TRY(predict_kind(settings, same, index, n, predictions, err));
    }
done:
    free(same);
    free(index);
    return rc;
}
