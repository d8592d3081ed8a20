#include "regress/trend.h"

#include <math.h>
#include <stdlib.h>

/* The models: noise of points without a standard error; drift of slopes in an octave, and
 * slopes at first, in standard deviations of the pool's gains. */
static const double noises[] = {0.003, 0.01, 0.03}, drifts[] = {0.2, 0.7, 2.5},
                    spreads[] = {0.25, 1};
enum { N_NOISE = 3, N_DRIFT = 3, N_SPREAD = 2, N_MODEL = N_NOISE * N_DRIFT * N_SPREAD };

static const double fade = 0.15, least_weight = 1e-3, least_variance = 1e-6;

typedef struct {
    double noise, drift, spread; /* variances, as in the trend */
} model_t;

/* What candidates gained beside the path in half an octave. */
typedef struct {
    double variance, noise; /* mean squares; of them what standard errors explain */
    double points;          /* 1 over the half octaves between two points, mean */
    int n;                  /* half octaves that it is a mean over */
} gains_t;

static double square(double x)
{
    return x * x;
}

static double known_square(double s)
{
    return isfinite(s) ? s * s : 0;
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

/* The measured grid points of curve i around the half octave up to j: *later <= j < *earlier.
 * Returns 0 when there are none. */
static int find_step(const mdl_pool_grid_t *grid, int64_t i, int j, int *later, int *earlier)
{
    const uint8_t *measured = &grid->measured[i * MDL_GRID];
    for (*later = j; *later >= 0 && !measured[*later];)
        --*later;
    for (*earlier = j + 1; *earlier < MDL_GRID && !measured[*earlier];)
        ++*earlier;
    return *later >= 0 && *earlier < MDL_GRID;
}

/* Adds own gains in the half octave up to j: a gain between two points is shared out evenly. */
static void add_gains(const mdl_pool_grid_t *grid, const double *path, int j, gains_t *gains,
                      double *scratch)
{
    double *own = scratch, *steps = scratch + grid->n, *clip = steps + grid->n;
    double noise = 0, points = 0;
    int64_t n = 0;
    int later, earlier;
    for (int64_t i = 0; i < grid->n; i++) {
        const double *y = &grid->y[i * MDL_GRID], *s = &grid->s[i * MDL_GRID];
        if (!find_step(grid, i, j, &later, &earlier))
            continue;
        own[n] = (y[later] - path[later]) - (y[earlier] - path[earlier]);
        steps[n] = earlier - later;
        noise += (known_square(s[later]) + known_square(s[earlier])) / steps[n];
        points += 1 / steps[n++];
    }
    if (n < 2)
        return;
    mdl_clip(own, n, 4.5, clip);
    const double mean = mdl_mean(own, n);
    for (int64_t k = 0; k < n; k++)
        gains->variance += square(own[k] - mean) / steps[k] / (double)(n - 1);
    gains->noise += noise / (double)n;
    gains->points += points / (double)n;
    gains->n++;
}

static gains_t find_gains(const mdl_pool_grid_t *grid, const double *path, double *scratch)
{
    gains_t gains = {0};
    for (int j = 0; j < MDL_GRID; j++)
        add_gains(grid, path, j, &gains, scratch);
    if (gains.n > 0) {
        gains.variance /= gains.n;
        gains.noise /= gains.n;
        gains.points /= gains.n;
    }
    return gains;
}

/* Variance of an octave's slopes, noise taken off; no less than a twentieth of all. */
static double slope_variance(const gains_t *gains, double noise)
{
    if (gains->n == 0)
        return square(0.2);
    const double half = gains->variance - gains->noise - 2 * gains->points * square(noise);
    return 4 * fmax(half, fmax(square(0.003), 0.05 * gains->variance));
}

/* Half an octave passes; drift: variance of what a slope changes in an octave. */
static void advance(mdl_trend_state_t *state, double drift)
{
    const double step = 0.5;
    state->level += step * state->slope;
    state->level_var += 2 * step * state->cross_var + step * step * state->slope_var +
                        drift * step * step * step / 3;
    state->cross_var += step * state->slope_var + drift * step * step / 2;
    state->slope_var += drift * step;
}

/* Takes a point in; returns its log likelihood but for a constant. What is off by more than three
 * standard deviations counts as three, and linearly in the likelihood (Huber). */
static double update(mdl_trend_state_t *state, double y, double variance)
{
    const double total = fmax(state->level_var + variance, least_variance), root = sqrt(total);
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
 * of its points, older ones counting less. */
static double filter(const mdl_pool_grid_t *grid, const double *path, const double *fading,
                     const model_t *model, int64_t i, mdl_trend_state_t *states)
{
    const double *y = &grid->y[i * MDL_GRID], *s = &grid->s[i * MDL_GRID];
    mdl_trend_state_t state = {.level = NAN};
    double likelihood = 0;
    for (int j = MDL_GRID - 1; j >= 0; j--) {
        if (!isnan(state.level))
            advance(&state, model->drift);
        if (grid->measured[i * MDL_GRID + j]) {
            const double own = y[j] - path[j], variance = model->noise + known_square(s[j]);
            if (isnan(state.level))
                state = (mdl_trend_state_t){own, 0, variance, 0, model->spread};
            else
                likelihood += fading[j] * update(&state, own, variance);
        }
        if (states != NULL)
            states[j] = state;
    }
    return likelihood;
}

/* Whether every point has a standard error. */
static int is_noise_known(const mdl_pool_grid_t *grid)
{
    for (int64_t k = 0; k < grid->n * MDL_GRID; k++)
        if (grid->measured[k] && !isfinite(grid->s[k]))
            return 0;
    return 1;
}

/* All models with their weights, which sum to 1. Returns their number. */
static int weigh_models(const mdl_pool_grid_t *grid, const double *path, const double *fading,
                        model_t *models, double *weights, double *scratch)
{
    const gains_t gains = find_gains(grid, path, scratch);
    const int n_noise = is_noise_known(grid) ? 1 : N_NOISE, n = n_noise * N_DRIFT * N_SPREAD;
    double best = -INFINITY, total = 0;
    for (int k = 0; k < n; k++) {
        const double noise = n_noise == 1 ? 0 : noises[k / (N_DRIFT * N_SPREAD)];
        const double variance = slope_variance(&gains, noise);
        models[k] = (model_t){.noise = square(noise),
                              .drift = square(drifts[k / N_SPREAD % N_DRIFT]) * variance,
                              .spread = square(spreads[k % N_SPREAD]) * variance};
        weights[k] = 0;
        for (int64_t i = 0; i < grid->n; i++)
            weights[k] += filter(grid, path, fading, &models[k], i, NULL);
        best = fmax(best, weights[k]);
    }
    for (int k = 0; k < n; k++) {
        weights[k] = exp(weights[k] - best);
        if (weights[k] < least_weight)
            weights[k] = 0;
        total += weights[k];
    }
    for (int k = 0; k < n; k++)
        weights[k] /= total;
    return n;
}

/* Adds a model's share to the mean over models. */
static void add_model(const mdl_pool_grid_t *grid, const double *fading, const model_t *model,
                      double weight, mdl_trend_t *trend)
{
    trend->noise += weight * model->noise;
    trend->spread += weight * model->spread;
    trend->drift += weight * model->drift;
    for (int64_t i = 0; i < grid->n; i++) {
        mdl_trend_state_t states[MDL_GRID], *mean = &trend->states[i * MDL_GRID];
        filter(grid, trend->path, fading, model, i, states);
        for (int j = 0; j < MDL_GRID; j++) {
            mean[j].level += weight * states[j].level;
            mean[j].slope += weight * states[j].slope;
            mean[j].level_var += weight * states[j].level_var;
            mean[j].cross_var += weight * states[j].cross_var;
            mean[j].slope_var += weight * states[j].slope_var;
        }
    }
}

int mdl_trend_make(const mdl_pool_grid_t *grid, mdl_trend_t *trend, mdl_error_t *err)
{
    model_t models[N_MODEL];
    double weights[N_MODEL], fading[MDL_GRID], *scratch = NULL;
    int rc;
    *trend = (mdl_trend_t){0};
    MDL_TRY(mdl_alloc(&trend->states, (size_t)grid->n * MDL_GRID, sizeof *trend->states,
                      "predictions", err));
    MDL_TRY(mdl_alloc(&scratch, 3 * (size_t)grid->n, sizeof *scratch, "predictions", err));
    for (int j = 0; j < MDL_GRID; j++)
        fading[j] = exp(-fade * j);
    find_path(grid, trend->path, scratch);
    const int n = weigh_models(grid, trend->path, fading, models, weights, scratch);
    for (int k = 0; k < n; k++)
        if (weights[k] > 0)
            add_model(grid, fading, &models[k], weights[k], trend);
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
                trend->drift * h * h * h / 3 + trend->noise + known_square(s));
}
