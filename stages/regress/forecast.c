#include "regress/forecast.h"

#include "core/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Seconds of the candidates, to sum up the cheapest or dearest of. */
typedef struct {
    double *sum; /* [n + 1], of the k cheapest; freed by the caller */
    int64_t n;
    double mean;
} costs_t;

static int sum_up(const double *seconds, int64_t n, costs_t *costs, mdl_error_t *err)
{
    *costs = (costs_t){.n = n};
    int rc = mdl_alloc(&costs->sum, (size_t)n + 1, sizeof *costs->sum, "seconds", err);
    if (rc != MDL_OK)
        return rc;
    memcpy(costs->sum + 1, seconds, (size_t)n * sizeof *seconds);
    qsort(costs->sum + 1, (size_t)n, sizeof *costs->sum, by_value);
    for (int64_t k = 1; k <= n; k++)
        costs->sum[k] += costs->sum[k - 1];
    costs->mean = costs->sum[n] / (double)n;
    return MDL_OK;
}

static double cheapest(const costs_t *costs, int64_t n_taken)
{
    return costs->sum[n_taken];
}

static double dearest(const costs_t *costs, int64_t n_taken)
{
    return costs->sum[costs->n] - costs->sum[costs->n - n_taken];
}

static mdl_range_t train(const costs_t *costs, int64_t n_taken, double ratio)
{
    return (mdl_range_t){cheapest(costs, n_taken) * ratio, costs->mean * (double)n_taken * ratio,
                         dearest(costs, n_taken) * ratio};
}

static void add(mdl_range_t *sum, const mdl_range_t *range)
{
    sum->low += range->low;
    sum->expected += range->expected;
    sum->high += range->high;
}

/* The search with n_cluster clusters of n_member candidates in those that live. */
static mdl_forecast_t with_clusters(const costs_t *costs, int64_t n_cluster, int64_t n_member,
                                    const mdl_halving_t *halving, int train_choice)
{
    mdl_forecast_t forecast = {0};
    int64_t left = n_cluster;
    double reached = 0;
    while (left > halving->keep && forecast.n_rung < MDL_FORECAST_MAX_RUNG) {
        double ratio = mdl_halving_ratio(halving, forecast.n_rung + 1);
        if (ratio > halving->max_ratio * (1 + 1e-9) && forecast.n_rung > 0)
            break;
        forecast.rung[forecast.n_rung++] = train(costs, left, ratio - reached);
        reached = ratio;
        int64_t fewer = (int64_t)ceil((double)left / halving->eta - 1e-9);
        left = fewer > halving->keep ? fewer : halving->keep;
    }
    left = left < n_cluster ? halving->keep : left;
    forecast.regress = train(costs, n_member, halving->max_ratio);
    forecast.regress.low = fmax(0, forecast.regress.low - dearest(costs, left) * reached);
    forecast.regress.expected -= costs->mean * (double)left * reached;
    forecast.regress.high -= cheapest(costs, left) * reached;
    if (train_choice)
        forecast.final = train(costs, 1, 1 - halving->max_ratio);
    for (int k = 0; k < forecast.n_rung; k++)
        add(&forecast.total, &forecast.rung[k]);
    add(&forecast.total, &forecast.regress);
    add(&forecast.total, &forecast.final);
    return forecast;
}

static int64_t at_least_one(double value)
{
    return value < 1 ? 1 : (int64_t)value;
}

/* Members of K clusters of mean size. */
static int64_t mean_members(int64_t n, int64_t n_cluster, int64_t keep)
{
    int64_t living = keep < n_cluster ? keep : n_cluster;
    return (int64_t)ceil((double)(n * living) / (double)n_cluster - 1e-9);
}

/* Takes the bounds of another number of clusters in. */
static void widen(mdl_range_t *range, const mdl_range_t *other, int is_low)
{
    if (is_low)
        range->low = fmin(range->low, other->low);
    else
        range->high = fmax(range->high, other->high);
}

static void widen_all(mdl_forecast_t *forecast, const mdl_forecast_t *other, int is_low)
{
    for (int k = forecast->n_rung; k < other->n_rung; k++)
        forecast->rung[k] = (mdl_range_t){0};
    forecast->n_rung = forecast->n_rung > other->n_rung ? forecast->n_rung : other->n_rung;
    for (int k = 0; k < forecast->n_rung; k++)
        widen(&forecast->rung[k], &other->rung[k], is_low);
    widen(&forecast->regress, &other->regress, is_low);
    widen(&forecast->final, &other->final, is_low);
    widen(&forecast->total, &other->total, is_low);
}

static void spread_by(mdl_range_t *range, double factor)
{
    range->low /= factor;
    range->high *= factor;
}

static void spread_all(mdl_forecast_t *forecast, double factor)
{
    for (int k = 0; k < forecast->n_rung; k++)
        spread_by(&forecast->rung[k], factor);
    spread_by(&forecast->regress, factor);
    spread_by(&forecast->final, factor);
    spread_by(&forecast->total, factor);
}

int mdl_forecast(const double *seconds, double spread, int64_t n, int64_t n_cluster,
                 const mdl_halving_t *halving, int train_choice, mdl_forecast_t *forecast,
                 mdl_error_t *err)
{
    const double few = 0.18, usual = 0.25; /* the paper's 9 to 15 clusters of 49 candidates */
    costs_t costs;
    int rc = sum_up(seconds, n, &costs, err);
    if (rc != MDL_OK)
        return rc;
    int64_t expected = n_cluster > 0 ? n_cluster : at_least_one(round(usual * (double)n));
    int64_t fewest = n_cluster > 0 ? n_cluster : at_least_one(few * (double)n);
    int64_t most = n_cluster > 0 ? n_cluster : n;
    *forecast = with_clusters(&costs, expected, mean_members(n, expected, halving->keep), halving,
                              train_choice);
    mdl_forecast_t other = with_clusters(&costs, fewest, mean_members(n, fewest, halving->keep),
                                         halving, train_choice);
    widen_all(forecast, &other, 1);
    for (int64_t c = n_cluster > 0 ? n_cluster : 1; c <= most; c++) {
        int64_t members = c > halving->keep ? n - (c - halving->keep) : n;
        other = with_clusters(&costs, c, members, halving, train_choice);
        widen_all(forecast, &other, 0);
    }
    spread_all(forecast, spread);
    forecast->grid = cheapest(&costs, n);
    free(costs.sum);
    return MDL_OK;
}

/* Ratio that a candidate in play reaches on the mean: of every doubling three quarters go on. */
static double mean_ratio(double start_ratio, double max_ratio)
{
    const double going_on = 0.75;
    double sum = start_ratio, share = going_on;
    for (double ratio = 2 * start_ratio; ratio <= max_ratio * (1 + 1e-9); ratio *= 2) {
        sum += share * 0.5 * ratio;
        share *= going_on;
    }
    return sum;
}

int mdl_forecast_rounds(const double *seconds, double spread, int64_t n, int64_t n_play,
                        double start_ratio, double max_ratio, int train_choice,
                        mdl_forecast_t *forecast, mdl_error_t *err)
{
    costs_t costs;
    int rc = sum_up(seconds, n, &costs, err);
    if (rc != MDL_OK)
        return rc;
    *forecast = (mdl_forecast_t){.grid = cheapest(&costs, n)};
    forecast->regress =
        (mdl_range_t){cheapest(&costs, n_play) * start_ratio,
                      costs.mean * (double)n_play * mean_ratio(start_ratio, max_ratio),
                      dearest(&costs, n_play) * max_ratio};
    if (train_choice)
        forecast->final =
            (mdl_range_t){cheapest(&costs, 1) * (1 - max_ratio), costs.mean * (1 - max_ratio),
                          dearest(&costs, 1) * (1 - start_ratio)};
    add(&forecast->total, &forecast->regress);
    add(&forecast->total, &forecast->final);
    forecast->total.high = fmin(forecast->total.high, forecast->grid);
    spread_all(forecast, spread);
    free(costs.sum);
    return MDL_OK;
}
