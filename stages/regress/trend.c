#include "regress/trend.h"

#include <math.h>
#include <stdlib.h>

/* The values that are tried. */
static const double noises[] = {0.003, 0.01, 0.03, 0.1}, extra_noises[] = {0, 0.03},
                    drifts[] = {0.003, 0.02, 0.1, 0.3}, spreads[] = {0.03, 0.1, 0.3};
enum { N_NOISE = 4, N_EXTRA_NOISE = 2, N_DRIFT = 4, N_SPREAD = 3 };

static double square(double x)
{
    return x * x;
}

/* Steps of the mean path: mean gains from each grid point to the next, clipped to their median +- 3
 * MAD. */
static void find_path(const mdl_pool_grid_t *grid, double *path, double *scratch)
{
    path[MDL_GRID - 1] = 0;
    for (int j = MDL_GRID - 2; j >= 0; j--) {
        int64_t n = 0;
        for (int64_t i = 0; i < grid->n; i++) {
            double gain = grid->y[i * MDL_GRID + j] - grid->y[i * MDL_GRID + j + 1];
            if (isfinite(gain))
                scratch[n++] = gain;
        }
        mdl_clip(scratch, n, 3, scratch + grid->n);
        path[j] = path[j + 1] + (n > 0 ? mdl_mean(scratch, n) : 0);
    }
}

/* Half an octave passes. */
static void advance(mdl_trend_state_t *state, double drift)
{
    const double step = 0.5, q = drift * drift;
    state->level += step * state->slope;
    state->level_var +=
        2 * step * state->cross_var + step * step * state->slope_var + q * step * step * step / 3;
    state->cross_var += step * state->slope_var + q * step * step / 2;
    state->slope_var += q * step;
}

/* Takes a point in; returns its log likelihood but for a constant. What is off by more than three
 * standard deviations counts as three, and linearly in the likelihood (Huber). */
static double update(mdl_trend_state_t *state, double y, double variance)
{
    const double total = fmax(state->level_var + variance, 1e-12), root = sqrt(total);
    const double off = (y - state->level) / root, taken = fmin(fmax(off, -3), 3) * root;
    const double level_gain = state->level_var / total, slope_gain = state->cross_var / total;
    state->level += level_gain * taken;
    state->slope += slope_gain * taken;
    state->slope_var -= slope_gain * state->cross_var;
    state->cross_var -= level_gain * state->cross_var;
    state->level_var -= level_gain * state->level_var;
    double loss = fabs(off) <= 3 ? off * off : 6 * fabs(off) - 9;
    return -0.5 * (loss + log(total));
}

/* Filters curve i from its first point on; states: [MDL_GRID] or NULL. Returns the log likelihood
 * of its points. */
static double filter(const mdl_pool_grid_t *grid, const mdl_trend_t *trend, int64_t i,
                     mdl_trend_state_t *states)
{
    const double *y = &grid->y[i * MDL_GRID], *s = &grid->s[i * MDL_GRID];
    mdl_trend_state_t state = {.level = NAN};
    double likelihood = 0;
    for (int j = MDL_GRID - 1; j >= 0; j--) {
        if (!isnan(state.level))
            advance(&state, trend->drift);
        if (grid->measured[i * MDL_GRID + j]) {
            double variance = square(trend->noise) + (isfinite(s[j]) ? square(s[j]) : 0);
            if (isnan(state.level))
                state = (mdl_trend_state_t){y[j] - trend->path[j], 0, variance, 0,
                                            square(trend->spread)};
            else
                likelihood += update(&state, y[j] - trend->path[j], variance);
        }
        if (states != NULL)
            states[j] = state;
    }
    return likelihood;
}

static double likelihood_of(const mdl_pool_grid_t *grid, const mdl_trend_t *trend)
{
    double sum = 0;
    for (int64_t i = 0; i < grid->n; i++)
        sum += filter(grid, trend, i, NULL);
    return sum;
}

/* Tries values for one of the trend's parameters. */
static void choose(const mdl_pool_grid_t *grid, mdl_trend_t *trend, double *parameter,
                   const double *values, int n_value, double *best)
{
    double chosen = *parameter;
    for (int k = 0; k < n_value; k++) {
        if (values[k] == chosen)
            continue;
        *parameter = values[k];
        double likelihood = likelihood_of(grid, trend);
        if (likelihood > *best) {
            *best = likelihood;
            chosen = values[k];
        }
    }
    *parameter = chosen;
}

/* Whether every point has a standard error. */
static int is_noise_known(const mdl_pool_grid_t *grid)
{
    for (int64_t k = 0; k < grid->n * MDL_GRID; k++)
        if (grid->measured[k] && !isfinite(grid->s[k]))
            return 0;
    return 1;
}

int mdl_trend_make(const mdl_pool_grid_t *grid, mdl_trend_t *trend, mdl_error_t *err)
{
    const int is_known = is_noise_known(grid);
    double *scratch = NULL;
    int rc;
    *trend = (mdl_trend_t){.noise = is_known ? 0 : 0.01, .drift = 0.02, .spread = 0.1};
    MDL_TRY(mdl_alloc(&trend->states, (size_t)grid->n * MDL_GRID, sizeof *trend->states,
                      "predictions", err));
    MDL_TRY(mdl_alloc(&scratch, 2 * (size_t)grid->n, sizeof *scratch, "predictions", err));
    find_path(grid, trend->path, scratch);
    double best = likelihood_of(grid, trend);
    for (int pass = 0; pass < 2; pass++) {
        choose(grid, trend, &trend->drift, drifts, N_DRIFT, &best);
        choose(grid, trend, &trend->noise, is_known ? extra_noises : noises,
               is_known ? N_EXTRA_NOISE : N_NOISE, &best);
        choose(grid, trend, &trend->spread, spreads, N_SPREAD, &best);
    }
    for (int64_t i = 0; i < grid->n; i++)
        filter(grid, trend, i, &trend->states[i * MDL_GRID]);
done:
    free(scratch);
    if (rc != MDL_OK)
        mdl_trend_free(trend);
    return rc;
}

void mdl_trend_free(mdl_trend_t *trend)
{
    free(trend->states);
    *trend = (mdl_trend_t){0};
}

double mdl_trend_deviation(const mdl_trend_t *trend, const mdl_trend_state_t *state, double octaves,
                           double s)
{
    const double h = octaves;
    return sqrt(state->level_var + 2 * h * state->cross_var + h * h * state->slope_var +
                square(trend->drift) * h * h * h / 3 + square(trend->noise) +
                (isfinite(s) ? s * s : 0));
}
