#include "regress/backtest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BACK = 12 }; /* tests start at most so many half octaves back */

static const double least_error = 5e-4, near_octaves = 0.26;

double mdl_log_error(double error)
{
    return log(fmax(error, least_error));
}

double mdl_log_stderr(const mdl_point_t *point)
{
    if (point->error < least_error)
        return 1;
    return isnan(point->error_stderr) ? NAN : point->error_stderr / point->error;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double mdl_median(double *values, int64_t n)
{
    qsort(values, (size_t)n, sizeof *values, compare);
    return n % 2 != 0 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

void mdl_clip(double *values, int64_t n, double k, double *scratch)
{
    if (n < 3)
        return;
    memcpy(scratch, values, (size_t)n * sizeof *scratch);
    double middle = mdl_median(scratch, n);
    for (int64_t i = 0; i < n; i++)
        scratch[i] = fabs(values[i] - middle);
    double reach = k * mdl_median(scratch, n);
    for (int64_t i = 0; i < n; i++)
        values[i] = fmin(fmax(values[i], middle - reach), middle + reach);
}

static double mean_of(const double *values, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += values[i];
    return sum / (double)n;
}

/* One curve on the grid: straight lines between its points, its ends held for a quarter octave. */
static void put_on_grid(mdl_backtest_t *test, const mdl_predict_curve_t *curve, int64_t i)
{
    double *y = &test->y[i * MDL_GRID], *s = &test->s[i * MDL_GRID];
    const mdl_point_t *points = curve->points;
    const int n = curve->n_point;
    for (int j = 0; j < MDL_GRID; j++) {
        double x = test->end - 0.5 * j;
        y[j] = s[j] = NAN;
        if (x < log2(points[0].ratio) - near_octaves ||
            x > log2(points[n - 1].ratio) + near_octaves)
            continue;
        int k = 0;
        while (k < n && log2(points[k].ratio) < x)
            k++;
        const mdl_point_t *right = &points[k < n ? k : n - 1], *left = &points[k > 0 ? k - 1 : 0];
        double x0 = log2(left->ratio), x1 = log2(right->ratio);
        double share = x1 > x0 ? fmin(fmax((x - x0) / (x1 - x0), 0), 1) : 1;
        double s0 = mdl_log_stderr(left), s1 = mdl_log_stderr(right);
        y[j] = (1 - share) * mdl_log_error(left->error) + share * mdl_log_error(right->error);
        s[j] = share == 0 ? s0 : share == 1 ? s1 : (1 - share) * s0 + share * s1;
        test->measured[i * MDL_GRID + j] = fmin(fabs(x - x0), fabs(x - x1)) <= near_octaves;
    }
    const mdl_point_t *last = &points[n - 1];
    test->octaves[i] = -log2(last->ratio);
    test->last_y[i] = mdl_log_error(last->error);
    test->last_s[i] = mdl_log_stderr(last);
    test->last[i] = (int)floor((test->end - log2(last->ratio)) / 0.5 + 0.5);
    if (test->last[i] < MDL_GRID)
        y[test->last[i]] = test->last_y[i];
}

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
    const double *y = &test->y[i * MDL_GRID], *s = &test->s[i * MDL_GRID];
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
    mdl_clip(slopes, n, test->rule->slope_clip, &test->scratch[3 * test->n]);
    double noise = mean_of(noises, n);
    if (!test->rule->shrink || n < 4 || !isfinite(noise))
        return 1;
    double mean = mean_of(slopes, n), total = 0;
    for (int64_t i = 0; i < n; i++)
        total += (slopes[i] - mean) * (slopes[i] - mean) / (double)n;
    double real = fmax(total - noise, 0.1 * total);
    if (total <= 0)
        return 1;
    for (int64_t i = 0; i < n; i++)
        slopes[i] = mean + (slopes[i] - mean) * real / (real + noises[i] + 1e-30);
    return real / total;
}

/* Slopes at the ends of the curves; a curve without one gets the pool's median. */
static void take_slopes(mdl_backtest_t *test)
{
    double *known = test->scratch, *noises = test->scratch + test->n;
    int64_t n = 0;
    for (int64_t i = 0; i < test->n; i++) {
        test->slope[i] = slope_at(test, i, test->last[i], test->rule->span, &noises[n]);
        if (isfinite(test->slope[i]))
            known[n++] = test->slope[i];
    }
    test->has_slope = n > 0;
    if (n == 0) {
        memset(test->slope, 0, (size_t)test->n * sizeof *test->slope);
        test->trust = 1;
        return;
    }
    test->trust = tame(test, known, noises, n);
    test->mean_slope = mean_of(known, n);
    for (int64_t i = 0, k = 0; i < test->n; i++)
        if (isfinite(test->slope[i]))
            test->slope[i] = known[k++];
    double middle = mdl_median(known, n);
    for (int64_t i = 0; i < test->n; i++)
        if (!isfinite(test->slope[i]))
            test->slope[i] = middle;
}

/* One test: gains over h octaves up to grid index t, as predicted by slopes and as they were. */
typedef struct {
    int64_t n;
    double *predicted, *gain, *room; /* in scratch; room of the error that gained */
    double mean;                     /* of predicted */
} trial_t;

double mdl_backtest_room(const mdl_backtest_t *test, double y)
{
    return test->is_bounded ? pow(fmax(1 - exp(y), 0.02), 0.25) : 1;
}

static trial_t try_back(const mdl_backtest_t *test, int h, int t)
{
    trial_t trial = {.predicted = test->scratch,
                     .gain = test->scratch + test->n,
                     .room = test->scratch + 4 * test->n};
    double *noises = test->scratch + 2 * test->n;
    for (int64_t i = 0; i < test->n; i++) {
        const double *y = &test->y[i * MDL_GRID];
        const uint8_t *measured = &test->measured[i * MDL_GRID];
        if (!measured[t] || !measured[t + 2 * h] || !isfinite(y[t]))
            continue;
        double slope = slope_at(test, i, t + 2 * h, test->rule->back_span, &noises[trial.n]);
        if (!isfinite(slope))
            continue;
        trial.predicted[trial.n] = slope;
        trial.gain[trial.n] = y[t] - y[t + 2 * h];
        trial.room[trial.n] = mdl_backtest_room(test, y[t + 2 * h]);
        trial.n++;
    }
    if (trial.n < 3)
        return (trial_t){0};
    tame(test, trial.predicted, noises, trial.n);
    for (int64_t i = 0; i < trial.n; i++)
        trial.predicted[i] *= h;
    trial.mean = mean_of(trial.predicted, trial.n);
    return trial;
}

/* The share of the slopes, and of their mean, that was gained. */
static void find_shares(mdl_backtest_t *test)
{
    const mdl_backtest_rule_t *rule = test->rule;
    double products = 0, squares = 0, mean_products = 0, mean_squares = 0;
    for (int h = 1; h <= 3; h++)
        for (int t = 0; t <= MAX_BACK && t < MDL_GRID - 2 * h - 2; t++) {
            trial_t trial = try_back(test, h, t);
            if (trial.n == 0)
                continue;
            mdl_clip(trial.gain, trial.n, rule->gain_clip, &test->scratch[3 * test->n]);
            double weight = exp(-rule->fade * t) / h, gain = mean_of(trial.gain, trial.n);
            for (int64_t i = 0; i < trial.n; i++) {
                double p = trial.predicted[i] - trial.mean;
                products += weight * p * (trial.gain[i] - gain);
                squares += weight * p * p;
            }
            mean_products += weight * (double)trial.n * trial.mean * gain;
            mean_squares += weight * (double)trial.n * trial.mean * trial.mean;
        }
    const double expected = rule->prior * test->trust * test->trust;
    double prior = 0, mean = test->mean_slope;
    for (int64_t i = 0; i < test->n; i++)
        prior += rule->prior_weight * (test->slope[i] - mean) * (test->slope[i] - mean);
    double mean_prior = (double)test->n * mean * mean;
    test->share = expected;
    if (squares + prior > 0)
        test->share = (products + expected * prior) / (squares + prior);
    test->share = fmin(fmax(test->share, 0), rule->most);
    test->mean_share = rule->mean_prior;
    if (mean_squares + mean_prior > 0)
        test->mean_share =
            (mean_products + rule->mean_prior * mean_prior) / (mean_squares + mean_prior);
    test->mean_share = fmin(fmax(test->mean_share, 0), rule->mean_most);
    if (rule->mean_most < 0)
        test->mean_share = test->share;
}

/* Keeps what the shares leave of every test, apart from its mean, and the mean itself. */
static void keep_residuals(mdl_backtest_t *test)
{
    for (int h = 1; h <= 3; h++) {
        test->first[h - 1] = test->n_residual;
        for (int t = 0; t <= MAX_BACK && t < MDL_GRID - 2 * h - 2; t++) {
            trial_t trial = try_back(test, h, t);
            if (trial.n == 0)
                continue;
            double *left = &test->residual[test->n_residual], *clipped = test->scratch;
            for (int64_t i = 0; i < trial.n; i++) {
                left[i] = trial.gain[i] - test->share * (trial.predicted[i] - trial.mean) -
                          test->mean_share * trial.mean;
                left[i] /= trial.room[i];
                clipped[i] = left[i];
            }
            mdl_clip(clipped, trial.n, 3, &test->scratch[3 * test->n]);
            double mean = mean_of(clipped, trial.n);
            for (int64_t i = 0; i < trial.n; i++) {
                left[i] = fabs(left[i] - mean);
                test->weight[test->n_residual + i] = exp(-0.25 * t);
            }
            test->n_residual += trial.n;
            test->shift[test->n_shift] = mean / h;
            test->shift_weight[test->n_shift++] = exp(-0.5 * t);
        }
    }
    test->first[3] = test->n_residual;
}

static int make_room(mdl_backtest_t *test, mdl_error_t *err)
{
    const size_t n = (size_t)test->n, n_test = 3 * (MAX_BACK + 1);
    double **const vectors[] = {&test->last_y, &test->last_s, &test->octaves, &test->slope};
    int rc = MDL_OK;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
        MDL_TRY(mdl_alloc(vectors[i], n, sizeof **vectors[i], "predictions", err));
    MDL_TRY(mdl_alloc(&test->y, n * MDL_GRID, sizeof *test->y, "predictions", err));
    MDL_TRY(mdl_alloc(&test->s, n * MDL_GRID, sizeof *test->s, "predictions", err));
    MDL_TRY(mdl_alloc(&test->measured, n * MDL_GRID, 1, "predictions", err));
    MDL_TRY(mdl_alloc(&test->last, n, sizeof *test->last, "predictions", err));
    MDL_TRY(mdl_alloc(&test->scratch, 5 * n, sizeof *test->scratch, "predictions", err));
    MDL_TRY(mdl_alloc(&test->residual, n * n_test, sizeof *test->residual, "back-tests", err));
    MDL_TRY(mdl_alloc(&test->weight, n * n_test, sizeof *test->weight, "back-tests", err));
    MDL_TRY(mdl_alloc(&test->shift, n_test, sizeof *test->shift, "back-tests", err));
    rc = mdl_alloc(&test->shift_weight, n_test, sizeof *test->shift_weight, "back-tests", err);
done:
    return rc;
}

int mdl_backtest_make(const mdl_backtest_rule_t *rule, const mdl_predict_curve_t *curves, int64_t n,
                      mdl_backtest_t *test, mdl_error_t *err)
{
    int rc;
    *test = (mdl_backtest_t){.rule = rule, .n = n, .end = -INFINITY, .is_bounded = 1};
    MDL_TRY(make_room(test, err));
    for (int64_t i = 0; i < n; i++) {
        const mdl_predict_curve_t *curve = &curves[i];
        test->end = fmax(test->end, log2(curve->points[curve->n_point - 1].ratio));
        for (int k = 0; k < curve->n_point; k++)
            test->is_bounded &= curve->points[k].error <= 1;
    }
    for (int64_t i = 0; i < n; i++)
        put_on_grid(test, &curves[i], i);
    take_slopes(test);
    find_shares(test);
    keep_residuals(test);
done:
    if (rc != MDL_OK)
        mdl_backtest_free(test);
    return rc;
}

void mdl_backtest_free(mdl_backtest_t *test)
{
    free(test->y);
    free(test->s);
    free(test->measured);
    free(test->last);
    free(test->last_y);
    free(test->last_s);
    free(test->octaves);
    free(test->slope);
    free(test->scratch);
    free(test->residual);
    free(test->weight);
    free(test->shift);
    free(test->shift_weight);
    *test = (mdl_backtest_t){0};
}

double mdl_backtest_predict(const mdl_backtest_t *test, int64_t i)
{
    double gain =
        test->share * (test->slope[i] - test->mean_slope) + test->mean_share * test->mean_slope;
    return test->last_y[i] + test->octaves[i] * gain;
}
