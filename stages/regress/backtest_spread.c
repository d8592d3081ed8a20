#include "regress/backtest.h"
#include "regress/quantile.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    double value, weight;
} weighted_t;

static int compare(const void *a, const void *b)
{
    const weighted_t *x = a, *y = b;
    return (x->value > y->value) - (x->value < y->value);
}

/* The smallest value with a share q of the weight at or below it; *total: all weight. */
static double weighted_quantile(weighted_t *values, int64_t n, double q, double *total)
{
    double below = 0;
    *total = 0;
    qsort(values, (size_t)n, sizeof *values, compare);
    for (int64_t i = 0; i < n; i++)
        *total += values[i].weight;
    for (int64_t i = 0; i < n; i++) {
        below += values[i].weight;
        if (below >= q * *total)
            return values[i].value;
    }
    return values[n - 1].value;
}

/* What the tests leave over: the logarithm of the factor by which residuals are larger than the
 * trend's deviations say, and the squared shift an octave that all candidates had in common, with
 * their weights. */
typedef struct {
    double log_factor, weight;
    double shift, shift_weight;
} left_t;

/* Residuals of a trial, in deviations of the trend, into values; adds its common shift. */
static void take_residuals(const mdl_backtest_t *test, const mdl_trial_t *trial, weighted_t *values,
                           left_t *left)
{
    double *residual = &test->scratch[test->n], *clipped = residual + test->n;
    const double few = sqrt((double)trial->n / (double)(trial->n - 1));
    for (int64_t k = 0; k < trial->n; k++) {
        double predicted =
            mdl_backtest_own_gain(test, trial, k) + test->mean_share * trial->recent_mean;
        clipped[k] = residual[k] = trial->gain[k] - predicted;
    }
    mdl_clip(clipped, trial->n, 3, test->scratch);
    const double mean = mdl_mean(clipped, trial->n);
    for (int64_t k = 0; k < trial->n; k++)
        values[k] = (weighted_t){few * fabs(residual[k] - mean) / trial->deviation[k],
                                 exp(-0.25 * trial->at)};
    const double shift = mean / trial->octaves, weight = 3 * exp(-0.5 * trial->at);
    left->shift += weight * shift * shift;
    left->shift_weight += weight;
}

/* Goes through the trials, horizon by horizon. */
static int collect(const mdl_backtest_t *test, double confidence, double z, left_t *left,
                   mdl_error_t *err)
{
    weighted_t *values;
    const size_t n_room = (size_t)test->n * (size_t)(test->n_trial + 1);
    int rc = mdl_alloc(&values, n_room, sizeof *values, "back-tests", err);
    if (rc != MDL_OK)
        return rc;
    for (int t = 0; t < test->n_trial;) {
        const int octaves = test->trials[t].octaves;
        int64_t n = 0;
        double total;
        for (; t < test->n_trial && test->trials[t].octaves == octaves; t++) {
            take_residuals(test, &test->trials[t], values + n, left);
            n += test->trials[t].n;
        }
        double reach = fmax(weighted_quantile(values, n, confidence, &total), 0.1);
        left->log_factor += total * log(reach / z);
        left->weight += total;
    }
    free(values);
    return MDL_OK;
}

/* The state at the end of a candidate's curve, NULL when that is beyond the grid. */
static const mdl_trend_state_t *last_state(const mdl_backtest_t *test, int64_t i)
{
    const int last = test->grid.last[i];
    return last < MDL_GRID ? &test->trend.states[i * MDL_GRID + last] : NULL;
}

/* Mean variance of what a slope is in the next octave. */
static double slope_variance(const mdl_backtest_t *test)
{
    double sum = 0, n = 0;
    for (int64_t i = 0; i < test->n; i++)
        if (last_state(test, i) != NULL) {
            sum += last_state(test, i)->slope_var;
            n++;
        }
    return sum / n + test->trend.drift / 3;
}

int mdl_backtest_spread(const mdl_backtest_t *test, double confidence, double *sigma, double *own,
                        mdl_error_t *err)
{
    const double z = mdl_quantile_normal(0.5 * (1 + confidence)), prior = 10;
    left_t left = {0};
    int rc = collect(test, confidence, z, &left, err);
    if (rc != MDL_OK)
        return rc;
    const double factor = exp(left.log_factor / (left.weight + prior));
    const double shift =
        (8 * factor * factor * slope_variance(test) + left.shift) / (1 + left.shift_weight);
    for (int64_t i = 0; i < test->n; i++) {
        const mdl_pool_grid_t *grid = &test->grid;
        const mdl_trend_state_t *state = last_state(test, i);
        const double h = grid->octaves[i];
        const mdl_trend_state_t unknown = {.slope_var = test->trend.spread};
        double deviation =
            mdl_trend_deviation(&test->trend, state != NULL ? state : &unknown, h, grid->last_s[i]);
        own[i] = factor * deviation;
        sigma[i] = sqrt(factor * factor * deviation * deviation + shift * h * h);
    }
    return MDL_OK;
}
