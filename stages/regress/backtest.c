#include "regress/backtest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BACK = 12 }; /* tests start at most so many half octaves back */
enum { MAX_TRIAL = 3 * (MAX_BACK + 1), N_COLUMN = 5 };

static const double trend_clip = 6, trend_prior = 0.9, trend_prior_weight = 2;

/* How many octaves of log error are known from grid index j on, at most span. */
static int octaves_known(const double *y, int j, int span)
{
    int n = 0;
    while (n < span && j + 2 * n + 2 < MDL_GRID && isfinite(y[j + 2 * n + 2]))
        n++;
    return isfinite(y[j]) ? n : 0;
}

/* Weights of the n + 1 values, an octave apart, whose sum is the slope (gain an octave). */
static void slope_weights(const mdl_backtest_rule_t *rule, int n, double *weights)
{
    if (n == 2 && rule->recent > 0) {
        weights[0] = rule->recent;
        weights[1] = 1 - 2 * rule->recent;
        weights[2] = rule->recent - 1;
        return;
    }
    double square = n * (n + 1) * (n + 2) / 12.0;
    for (int k = 0; k <= n; k++)
        weights[k] = (0.5 * n - k) / square;
}

/* Slope of candidate i from grid index j on, NaN when there is none; *noise: the variance that the
 * points' standard errors give it, NaN when one has none. */
static double slope_at(const mdl_backtest_t *test, int64_t i, int j, int span, double *noise)
{
    const double *y = &test->grid.y[i * MDL_GRID], *s = &test->grid.s[i * MDL_GRID];
    double weights[8], slope = 0;
    int n = j < MDL_GRID ? octaves_known(y, j, span) : 0;
    *noise = NAN;
    if (n == 0)
        return NAN;
    slope_weights(test->rule, n, weights);
    *noise = 0;
    for (int k = 0; k <= n; k++) {
        slope += weights[k] * y[j + 2 * k];
        *noise += weights[k] * weights[k] * s[j + 2 * k] * s[j + 2 * k];
    }
    return slope;
}

/* Clips slopes and draws them to their mean by as much as their noise explains of their spread.
 * Returns the share of the spread that isn't noise, 1 when it isn't known. */
static double tame(const mdl_backtest_t *test, double *slopes, const double *noises, int64_t n)
{
    mdl_clip(slopes, n, test->rule->slope_clip, test->scratch);
    double noise = mdl_mean(noises, n);
    if (!test->rule->shrink || n < 4 || !isfinite(noise))
        return 1;
    double mean = mdl_mean(slopes, n), total = 0;
    for (int64_t i = 0; i < n; i++)
        total += (slopes[i] - mean) * (slopes[i] - mean) / (double)n;
    double real = fmax(total - noise, 0.1 * total);
    if (total <= 0)
        return 1;
    for (int64_t i = 0; i < n; i++)
        slopes[i] = mean + (slopes[i] - mean) * real / (real + noises[i] + 1e-30);
    return real / total;
}

/* Gives the known slopes, packed, back to their candidates; the others get the median. */
static void unpack(const mdl_backtest_t *test, double *packed, int64_t n, mdl_slopes_t *slopes)
{
    slopes->mean = n > 0 ? mdl_mean(packed, n) : 0;
    for (int64_t i = 0, k = 0; i < test->n; i++)
        if (isfinite(slopes->value[i]))
            slopes->value[i] = packed[k++];
    double middle = n > 0 ? mdl_median(packed, n) : 0;
    for (int64_t i = 0; i < test->n; i++)
        if (!isfinite(slopes->value[i]))
            slopes->value[i] = middle;
}

/* Slopes at the ends of the curves. */
static void take_slopes(mdl_backtest_t *test)
{
    double *recent = &test->scratch[test->n], *drawn = recent + test->n, *noises = drawn + test->n;
    int64_t n = 0;
    for (int64_t i = 0; i < test->n; i++) {
        const int last = test->grid.last[i];
        test->recent.value[i] = slope_at(test, i, last, test->rule->span, &noises[n]);
        test->drawn.value[i] = NAN;
        if (isnan(test->recent.value[i]))
            continue;
        recent[n] = test->recent.value[i];
        drawn[n++] = test->drawn.value[i] = test->trend.states[i * MDL_GRID + last].slope;
    }
    test->trust = n > 0 ? tame(test, recent, noises, n) : 1;
    mdl_clip(drawn, n, trend_clip, test->scratch);
    unpack(test, recent, n, &test->recent);
    unpack(test, drawn, n, &test->drawn);
}

/* One test: gains over some octaves up to a grid index. Its n is 0 when there are too few. */
static void try_back(mdl_backtest_t *test, mdl_trial_t *trial)
{
    const mdl_pool_grid_t *grid = &test->grid;
    const int to = trial->at, from = to + 2 * trial->octaves, h = trial->octaves;
    double *noises = &test->scratch[test->n];
    int64_t n = 0;
    for (int64_t i = 0; i < test->n; i++) {
        const double *y = &grid->y[i * MDL_GRID];
        const mdl_trend_state_t *state = &test->trend.states[i * MDL_GRID + from];
        if (!grid->measured[i * MDL_GRID + to] || !grid->measured[i * MDL_GRID + from])
            continue;
        trial->recent[n] = slope_at(test, i, from, test->rule->back_span, &noises[n]);
        if (isnan(trial->recent[n]))
            continue;
        trial->gain[n] = y[to] - y[from];
        trial->trend[n] = state->slope;
        trial->offset[n] = state->level + test->trend.path[from] - y[from];
        trial->deviation[n++] =
            mdl_trend_deviation(&test->trend, state, h, grid->s[i * MDL_GRID + to]);
    }
    trial->n = n < 3 ? 0 : n;
    if (trial->n == 0)
        return;
    tame(test, trial->recent, noises, n);
    mdl_clip(trial->trend, n, trend_clip, test->scratch);
    for (int64_t k = 0; k < n; k++) {
        trial->recent[k] *= h;
        trial->trend[k] *= h;
    }
    trial->recent_mean = mdl_mean(trial->recent, n);
    trial->trend_mean = mdl_mean(trial->trend, n);
}

static void try_all(mdl_backtest_t *test)
{
    double *values = test->values;
    for (int h = 1; h <= 3; h++)
        for (int t = 0; t <= MAX_BACK && t < MDL_GRID - 2 * h - 2; t++) {
            mdl_trial_t *trial = &test->trials[test->n_trial];
            double **const columns[N_COLUMN] = {&trial->gain, &trial->recent, &trial->trend,
                                                &trial->offset, &trial->deviation};
            for (int c = 0; c < N_COLUMN; c++)
                *columns[c] = values + c * test->n;
            trial->octaves = h;
            trial->at = t;
            try_back(test, trial);
            if (trial->n == 0)
                continue;
            test->n_trial++;
            values += N_COLUMN * test->n;
        }
}

static double weight_of(const mdl_backtest_t *test, const mdl_trial_t *trial)
{
    return exp(-test->rule->fade * trial->at) / trial->octaves;
}

/* Sums of a regression through the origin. */
typedef struct {
    double products, squares;
} sums_t;

/* Adds gains, less offset, centred, clipped, and their centred predictions. gains: [n],
 * overwritten.
 */
static void add_trial(const mdl_backtest_t *test, const mdl_trial_t *trial, const double *predicted,
                      double predicted_mean, double *gains, sums_t *sums)
{
    const double weight = weight_of(test, trial);
    mdl_clip(gains, trial->n, test->rule->gain_clip, test->scratch);
    const double mean = mdl_mean(gains, trial->n);
    for (int64_t k = 0; k < trial->n; k++) {
        double p = predicted[k] - predicted_mean;
        sums->products += weight * p * (gains[k] - mean);
        sums->squares += weight * p * p;
    }
}

/* The regression's slope with a prior that weighs as much as so many squares. */
static double share_of(const sums_t *sums, double prior, double squares, double most)
{
    double share = prior;
    if (sums->squares + squares > 0)
        share = (sums->products + prior * squares) / (sums->squares + squares);
    return fmin(fmax(share, 0), most);
}

static double squares_of(const mdl_slopes_t *slopes, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (slopes->value[i] - slopes->mean) * (slopes->value[i] - slopes->mean);
    return sum;
}

/* The shares of the slopes, and of their mean, that were gained. */
static void find_shares(mdl_backtest_t *test)
{
    const mdl_backtest_rule_t *rule = test->rule;
    sums_t recent = {0}, trend = {0}, mean = {0};
    double *gains = &test->scratch[test->n];
    for (int t = 0; t < test->n_trial; t++) {
        const mdl_trial_t *trial = &test->trials[t];
        for (int64_t k = 0; k < trial->n; k++)
            gains[k] = trial->gain[k] - trial->offset[k];
        add_trial(test, trial, trial->trend, trial->trend_mean, gains, &trend);
        memcpy(gains, trial->gain, (size_t)trial->n * sizeof *gains);
        add_trial(test, trial, trial->recent, trial->recent_mean, gains, &recent);
        const double weight = weight_of(test, trial) * (double)trial->n * trial->recent_mean;
        mean.products += weight * mdl_mean(gains, trial->n);
        mean.squares += weight * trial->recent_mean;
    }
    test->recent.share =
        share_of(&recent, rule->prior * test->trust * test->trust,
                 rule->prior_weight * squares_of(&test->recent, test->n), rule->most);
    test->drawn.share =
        share_of(&trend, trend_prior, trend_prior_weight * squares_of(&test->drawn, test->n), 1.1);
    test->mean_share = test->recent.share;
    if (rule->mean_most >= 0)
        test->mean_share =
            share_of(&mean, rule->mean_prior,
                     (double)test->n * test->recent.mean * test->recent.mean, rule->mean_most);
}

static double recent_gain(const mdl_backtest_t *test, const mdl_trial_t *trial, int64_t k)
{
    return test->recent.share * (trial->recent[k] - trial->recent_mean);
}

static double trend_gain(const mdl_backtest_t *test, const mdl_trial_t *trial, int64_t k)
{
    return trial->offset[k] + test->drawn.share * (trial->trend[k] - trial->trend_mean);
}

double mdl_backtest_own_gain(const mdl_backtest_t *test, const mdl_trial_t *trial, int64_t k)
{
    return (1 - test->trend_weight) * recent_gain(test, trial, k) +
           test->trend_weight * trend_gain(test, trial, k);
}

/* Less the mean of what is left when it is clipped to 3 MAD. */
static void centre(double *left, int64_t n, double *clipped, double *scratch)
{
    memcpy(clipped, left, (size_t)n * sizeof *left);
    mdl_clip(clipped, n, 3, scratch);
    const double mean = mdl_mean(clipped, n);
    for (int64_t k = 0; k < n; k++)
        left[k] -= mean;
}

/* The trend's weight: its likelihood against that of the last slopes, as the squared residuals of
 * all trials tell it. Residuals count up to 4.5 median absolute residuals. */
static void weigh_trend(mdl_backtest_t *test)
{
    double *left = &test->scratch[test->n], *sizes = left + 2 * test->n;
    double n_tried = 0, squares[2] = {0}, odds = 0;
    for (int t = 0; t < test->n_trial; t++) {
        const mdl_trial_t *trial = &test->trials[t];
        const int64_t n = trial->n;
        const double weight = weight_of(test, trial);
        for (int64_t k = 0; k < n; k++) {
            left[k] = trial->gain[k] - recent_gain(test, trial, k);
            left[n + k] = trial->gain[k] - trend_gain(test, trial, k);
        }
        centre(left, n, sizes, test->scratch);
        centre(left + n, n, sizes, test->scratch);
        for (int64_t k = 0; k < 2 * n; k++)
            sizes[k] = fabs(left[k]);
        const double most = 4.5 * mdl_median(sizes, 2 * n);
        for (int64_t k = 0; k < 2 * n; k++)
            squares[k / n] += weight * fmin(left[k] * left[k], most * most);
        n_tried += weight * (double)n;
    }
    if (squares[0] > 0 && squares[1] > 0)
        odds += 0.5 * n_tried * log(squares[0] / squares[1]);
    test->trend_weight = test->rule->has_trend ? 1 / (1 + exp(-odds)) : 0;
}

static int make_room(mdl_backtest_t *test, mdl_error_t *err)
{
    const size_t n = (size_t)test->n;
    int rc;
    MDL_TRY(mdl_alloc(&test->recent.value, n, sizeof(double), "predictions", err));
    MDL_TRY(mdl_alloc(&test->drawn.value, n, sizeof(double), "predictions", err));
    MDL_TRY(mdl_alloc(&test->scratch, 5 * n, sizeof(double), "predictions", err));
    MDL_TRY(mdl_alloc(&test->trials, MAX_TRIAL, sizeof *test->trials, "back-tests", err));
    rc = mdl_alloc(&test->values, n * MAX_TRIAL * N_COLUMN, sizeof(double), "back-tests", err);
done:
    return rc;
}

int mdl_backtest_make(const mdl_backtest_rule_t *rule, const mdl_predict_curve_t *curves, int64_t n,
                      mdl_backtest_t *test, mdl_error_t *err)
{
    int rc;
    *test = (mdl_backtest_t){.rule = rule, .n = n};
    MDL_TRY(mdl_pool_grid_make(curves, n, &test->grid, err));
    MDL_TRY(mdl_trend_make(&test->grid, &test->trend, err));
    MDL_TRY(make_room(test, err));
    take_slopes(test);
    try_all(test);
    find_shares(test);
    weigh_trend(test);
done:
    if (rc != MDL_OK)
        mdl_backtest_free(test);
    return rc;
}

void mdl_backtest_free(mdl_backtest_t *test)
{
    mdl_pool_grid_free(&test->grid);
    mdl_trend_free(&test->trend);
    free(test->recent.value);
    free(test->drawn.value);
    free(test->trials);
    free(test->values);
    free(test->scratch);
    *test = (mdl_backtest_t){0};
}

double mdl_backtest_predict(const mdl_backtest_t *test, int64_t i)
{
    const mdl_pool_grid_t *grid = &test->grid;
    const double h = grid->octaves[i], w = test->trend_weight;
    double offset = 0;
    if (grid->last[i] < MDL_GRID)
        offset = test->trend.states[i * MDL_GRID + grid->last[i]].level +
                 test->trend.path[grid->last[i]] - grid->last_y[i];
    const double recent = h * test->recent.share * (test->recent.value[i] - test->recent.mean);
    const double drawn = offset + h * test->drawn.share * (test->drawn.value[i] - test->drawn.mean);
    return grid->last_y[i] + (1 - w) * recent + w * drawn +
           h * test->mean_share * test->recent.mean;
}
