#include "regress/backtest.h"
#include "regress/quantile.h"

#include <math.h>
#include <stdlib.h>

/* Squared spread as a function of octaves h: noise + growth h^2, fitted to a few. */
typedef struct {
    double s00, s01, s11, b0, b1;
} spread_fit_t;

typedef struct {
    double noise, growth;
} spread_t;

/* Adds a squared spread over h octaves, with relative weight. */
static void add(spread_fit_t *fit, double h, double square, double weight)
{
    double x0 = 1 / square, x1 = h * h / square;
    fit->s00 += weight * x0 * x0;
    fit->s01 += weight * x0 * x1;
    fit->s11 += weight * x1 * x1;
    fit->b0 += weight * x0;
    fit->b1 += weight * x1;
}

static spread_t solve(const spread_fit_t *fit)
{
    double det = fit->s00 * fit->s11 - fit->s01 * fit->s01;
    spread_t spread = {-1, -1};
    if (det > 1e-12 * fit->s00 * fit->s11) {
        spread.noise = (fit->b0 * fit->s11 - fit->b1 * fit->s01) / det;
        spread.growth = (fit->b1 * fit->s00 - fit->b0 * fit->s01) / det;
    }
    if (spread.noise < 0)
        return (spread_t){0, fit->b1 / fit->s11};
    if (spread.growth < 0)
        return (spread_t){fit->b0 / fit->s00, 0};
    return spread;
}

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

/* Mean squared standard error of the last points, NaN when one has none. */
static double mean_noise(const mdl_backtest_t *test)
{
    double sum = 0;
    for (int64_t i = 0; i < test->n; i++)
        sum += test->last_s[i] * test->last_s[i] / (double)test->n;
    return sum;
}

/* What is believed before any test: half of the slopes' size (0.3 where none is known) and twice
 * the points' noise. */
static double prior_square(const mdl_backtest_t *test, double z, double noise)
{
    double square = 0, room = 0;
    for (int64_t i = 0; i < test->n; i++) {
        square += test->slope[i] * test->slope[i] / (double)test->n;
        room += mdl_backtest_room(test, test->last_y[i]) / (double)test->n;
    }
    double one = z * (0.5 * (test->has_slope ? sqrt(square) : 0.3) + 0.005) / room;
    return 4 * one * one + (isfinite(noise) ? 2 * z * z * noise : 0);
}

static int find_own_spread(const mdl_backtest_t *test, double confidence, double z,
                           spread_t *spread, mdl_error_t *err)
{
    weighted_t *values;
    spread_fit_t fit = {0};
    int rc = mdl_alloc(&values, (size_t)test->n_residual + 1, sizeof *values, "back-tests", err);
    if (rc != MDL_OK)
        return rc;
    for (int h = 1; h <= 3; h++) {
        const int64_t first = test->first[h - 1], n = test->first[h] - first;
        double total;
        if (n == 0)
            continue;
        for (int64_t i = 0; i < n; i++)
            values[i] = (weighted_t){test->residual[first + i], test->weight[first + i]};
        double reach = fmax(weighted_quantile(values, n, confidence, &total), 1e-4);
        add(&fit, h, reach * reach, total);
    }
    add(&fit, 2, prior_square(test, z, mean_noise(test)), 1);
    *spread = solve(&fit);
    free(values);
    return MDL_OK;
}

/* Square of the shift, an octave, that all candidates have in common. */
static double common_shift(const mdl_backtest_t *test, double own)
{
    double sum = 4 * own * own, weight = 1;
    for (int i = 0; i < test->n_shift; i++) {
        sum += test->shift_weight[i] * test->shift[i] * test->shift[i];
        weight += test->shift_weight[i];
    }
    return sum / weight;
}

int mdl_backtest_spread(const mdl_backtest_t *test, double confidence, double *sigma, double *own,
                        mdl_error_t *err)
{
    const double z = mdl_quantile_normal(0.5 * (1 + confidence)), noise = mean_noise(test);
    spread_t spread;
    int rc = find_own_spread(test, confidence, z, &spread, err);
    if (rc != MDL_OK)
        return rc;
    const double shift = common_shift(test, sqrt(0.25 * spread.noise + spread.growth) / z);
    for (int64_t i = 0; i < test->n; i++) {
        const double room = mdl_backtest_room(test, test->last_y[i]);
        const double h2 = test->octaves[i] * test->octaves[i];
        double relative = 1;
        if (noise > 0)
            relative = fmin(fmax(test->last_s[i] * test->last_s[i] / noise, 0.25), 4);
        double square = (spread.noise * relative + spread.growth * h2) / (z * z);
        own[i] = room * sqrt(square);
        sigma[i] = room * sqrt(square + shift * h2);
    }
    return MDL_OK;
}
