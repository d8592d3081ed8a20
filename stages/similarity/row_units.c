#include "similarity/row_units.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_UNITS = 128, FEWEST_UNITS = 16, MOST_VALUES = 1 << 16, MOST_SIDE = 32 };

static int64_t n_value_of_unit(const mdl_cka_task_t *task)
{
    return 2 * task->n_pair + task->n_model;
}

int64_t mdl_row_units_rows(int n_model, int64_t n_sample)
{
    int64_t most = MOST_VALUES / (2 * mdl_cka_pair(n_model, 0) + n_model), n_row = MDL_REAL_PANEL;
    most = most > MOST_UNITS ? MOST_UNITS : most < FEWEST_UNITS ? FEWEST_UNITS : most;
    while (n_row * most < n_sample)
        n_row *= 2;
    return n_row;
}

int mdl_row_units_init(mdl_row_units_t *units, const mdl_means_t *means, mdl_error_t *err)
{
    const mdl_cka_task_t *task = means->task;
    *units = (mdl_row_units_t){.means = means,
                               .n_row = mdl_row_units_rows(task->n_model, task->n_sample)};
    units->n_unit = (task->n_sample + units->n_row - 1) / units->n_row;
    return mdl_alloc(&units->sums, (size_t)task->n_pair, sizeof(double), "sums of products", err);
}

int mdl_row_units_init_sample(mdl_row_units_t *units, const mdl_means_t *means, int64_t n,
                              mdl_error_t *err)
{
    *units = (mdl_row_units_t){.means = means, .n_row = 1, .n_unit = n, .is_sample = 1};
    return mdl_alloc(&units->sums, (size_t)means->task->n_pair, sizeof(double), "sums of products",
                     err);
}

void mdl_row_units_free(mdl_row_units_t *units)
{
    free(units->sums);
    *units = (mdl_row_units_t){0};
}

int64_t mdl_row_units_n_value(const mdl_row_units_t *units)
{
    return units->n_unit == 0 ? 0 : units->n_unit * n_value_of_unit(units->means->task);
}

/* A tile goes in squares that belong to one unit by their rows and to one by their columns. */
void mdl_row_units_add_tile(const mdl_row_units_t *units, const mdl_tile_t *tile, const void *stack,
                            int64_t stride, double *total, double *values)
{
    const mdl_cka_task_t *task = units->means->task;
    int64_t side = units->n_row < MOST_SIDE ? units->n_row : MOST_SIDE;
    int64_t n_value = n_value_of_unit(task), rows = mdl_real_padded(tile->n_i);
    int64_t ld = mdl_real_padded(tile->n_j);
    for (int64_t i = 0; i < rows; i += side) {
        double *left = values + (tile->i + i) / units->n_row * n_value;
        for (int64_t j = 0; j < ld && (tile->i != tile->j || j <= i); j += side) {
            double *right = values + (tile->j + j) / units->n_row * n_value;
            double *sums = units->sums;
            memset(sums, 0, (size_t)task->n_pair * sizeof *sums);
            task->real->block_products(
                (const char *)stack + (size_t)(i * ld + j) * task->real->size, task->n_model,
                stride, rows - i < side ? rows - i : side, ld, ld - j < side ? ld - j : side, sums);
            for (int64_t pair = 0; pair < task->n_pair; pair++) {
                total[pair] += sums[pair];
                left[pair] += sums[pair];
                right[pair] += sums[pair];
            }
        }
    }
}

void mdl_row_units_add_own(const mdl_row_units_t *units, int64_t i, int64_t n, const double *own,
                           double *values)
{
    const mdl_cka_task_t *task = units->means->task;
    int biased = task->settings->estimator == MDL_CKA_BIASED;
    int64_t tile = units->means->tile;
    for (int64_t k = 0; k < n; k++) {
        double *unit = values + (i + k) / units->n_row * n_value_of_unit(task);
        for (int a = 0; a < task->n_model; a++) {
            unit[2 * task->n_pair + a] += own[a * tile + k];
            for (int b = 0; b <= a; b++) {
                double product = own[a * tile + k] * own[b * tile + k];
                int64_t pair = mdl_cka_pair(a, b);
                unit[task->n_pair + pair] += product;
                unit[pair] -= biased ? 2 * product : 0;
            }
        }
    }
}

/* What a unit's rows change of a pair's HSIC: rows i count with all pairs (i, j) and (j, i). */
static double change_of(const mdl_cka_task_t *task, const double *unit, int a, int b,
                        const double *trace)
{
    double n = (double)task->n_sample;
    int64_t pair = mdl_cka_pair(a, b);
    const double *own = unit + 2 * task->n_pair;
    if (task->settings->estimator == MDL_CKA_BIASED)
        return 2 * unit[pair] + unit[task->n_pair + pair];
    return 2 * (unit[pair] - 2 / (n - 2) * unit[task->n_pair + pair] +
                (trace[a] * own[b] + trace[b] * own[a]) / (2 * (n - 1) * (n - 2)));
}

/* The unit's share of all rows of the units. */
static double share_of(const mdl_row_units_t *units, int64_t unit)
{
    int64_t n = units->means->task->n_sample, left = n - unit * units->n_row;
    if (units->is_sample)
        return 1 / (double)units->n_unit;
    return (double)(left < units->n_row ? left : units->n_row) / (double)n;
}

static void finish_pair(const mdl_row_units_t *units, const double *values, const double *trace,
                        int a, int b)
{
    const mdl_cka_task_t *task = units->means->task;
    int64_t n_value = n_value_of_unit(task);
    double weight = units->is_sample ? sqrt((double)task->n_sample / (double)units->n_unit) : 1;
    double total = 0;
    for (int64_t u = 0; u < units->n_unit; u++)
        total += change_of(task, values + u * n_value, a, b, trace);
    for (int64_t u = 0; u < units->n_unit; u++) {
        double change = change_of(task, values + u * n_value, a, b, trace);
        task->sums->unit[u * task->n_pair + mdl_cka_pair(a, b)] =
            mdl_means_scaled(units->means, weight * (change - share_of(units, u) * total), a, b);
    }
}

int mdl_row_units_finish(const mdl_row_units_t *units, const double *values, const double *trace,
                         mdl_error_t *err)
{
    const mdl_cka_task_t *task = units->means->task;
    int rc = mdl_alloc(&task->sums->unit, (size_t)(units->n_unit * task->n_pair), sizeof(double),
                       "sums of units of rows", err);
    if (rc != MDL_OK)
        return rc;
    task->sums->n_unit = units->n_unit;
    for (int a = 0; a < task->n_model; a++)
        for (int b = 0; b <= a; b++)
            finish_pair(units, values, trace, a, b);
    return MDL_OK;
}
