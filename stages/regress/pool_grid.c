#include "regress/pool_grid.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

double mdl_mean(const double *values, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += values[i];
    return sum / (double)n;
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

/* One curve on the grid: straight lines between its points, its ends held for a quarter octave.
 * end: log2 of the pool's largest ratio. */
static void put_on_grid(mdl_pool_grid_t *grid, const mdl_predict_curve_t *curve, int64_t i,
                        double end)
{
    double *y = &grid->y[i * MDL_GRID], *s = &grid->s[i * MDL_GRID];
    const mdl_point_t *points = curve->points;
    const int n = curve->n_point;
    for (int j = 0; j < MDL_GRID; j++) {
        double x = end - 0.5 * j;
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
        grid->measured[i * MDL_GRID + j] = fmin(fabs(x - x0), fabs(x - x1)) <= near_octaves;
    }
    const mdl_point_t *last = &points[n - 1];
    grid->octaves[i] = -log2(last->ratio);
    grid->last_y[i] = mdl_log_error(last->error);
    grid->last_s[i] = mdl_log_stderr(last);
    grid->last[i] = (int)floor((end - log2(last->ratio)) / 0.5 + 0.5);
    if (grid->last[i] < MDL_GRID)
        y[grid->last[i]] = grid->last_y[i];
}

int mdl_pool_grid_make(const mdl_predict_curve_t *curves, int64_t n, mdl_pool_grid_t *grid,
                       mdl_error_t *err)
{
    const size_t n_row = (size_t)n;
    double end = -INFINITY;
    int rc;
    *grid = (mdl_pool_grid_t){.n = n};
    MDL_TRY(mdl_alloc(&grid->y, n_row * MDL_GRID, sizeof *grid->y, "predictions", err));
    MDL_TRY(mdl_alloc(&grid->s, n_row * MDL_GRID, sizeof *grid->s, "predictions", err));
    MDL_TRY(mdl_alloc(&grid->measured, n_row * MDL_GRID, 1, "predictions", err));
    MDL_TRY(mdl_alloc(&grid->last, n_row, sizeof *grid->last, "predictions", err));
    MDL_TRY(mdl_alloc(&grid->last_y, n_row, sizeof *grid->last_y, "predictions", err));
    MDL_TRY(mdl_alloc(&grid->last_s, n_row, sizeof *grid->last_s, "predictions", err));
    MDL_TRY(mdl_alloc(&grid->octaves, n_row, sizeof *grid->octaves, "predictions", err));
    for (int64_t i = 0; i < n; i++)
        end = fmax(end, log2(curves[i].points[curves[i].n_point - 1].ratio));
    for (int64_t i = 0; i < n; i++)
        put_on_grid(grid, &curves[i], i, end);
done:
    if (rc != MDL_OK)
        mdl_pool_grid_free(grid);
    return rc;
}

void mdl_pool_grid_free(mdl_pool_grid_t *grid)
{
    free(grid->y);
    free(grid->s);
    free(grid->measured);
    free(grid->last);
    free(grid->last_y);
    free(grid->last_s);
    free(grid->octaves);
    *grid = (mdl_pool_grid_t){0};
}
