/* What the measures' settings mean; measure_grid.c computes them. */
#include "similarity/measure.h"

#include "mpi/grid.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {"cka", "svcca", "procrustes", "pwcca"};

const char *mdl_measure_name(mdl_measure_t measure)
{
    return names[measure];
}

int mdl_measure_find(const char *name, mdl_measure_t *measure)
{
    for (int m = 0; m < MDL_MEASURE_N; m++) {
        if (strcmp(names[m], name) == 0) {
            *measure = (mdl_measure_t)m;
            return 1;
        }
    }
    return 0;
}

int mdl_measure_read_grid(const char *text, mdl_measure_settings_t *settings, mdl_error_t *err)
{
    int n_read = 0;
    settings->grid_rows = settings->grid_cols = 0;
    if (text == NULL)
        return MDL_OK;
    if (strlen(text) < 12 &&
        sscanf(text, "%5dx%5d%n", &settings->grid_rows, &settings->grid_cols, &n_read) == 2 &&
        text[n_read] == '\0' && settings->grid_rows > 0 && settings->grid_cols > 0)
        return MDL_OK;
    return mdl_fail(err, MDL_E_USAGE,
                    "--grid %s: give the ranks down and across the process grid, such as 2x4",
                    text);
}

/* Numbers of an n_row x n_col matrix that the first rank of a grid has: whole blocks. */
static double part_of(double n_row, double n_col, int grid_rows, int grid_cols)
{
    double rows = ceil(n_row / MDL_GRID_BLOCK / grid_rows) * MDL_GRID_BLOCK;
    double cols = ceil(n_col / MDL_GRID_BLOCK / grid_cols) * MDL_GRID_BLOCK;
    return fmin(rows, n_row) * fmin(cols, n_col);
}

double mdl_measure_memory(const mdl_measure_settings_t *settings, const mdl_rows_t *models,
                          int n_model, int64_t n_sample, int n_rank)
{
    double held = 0, widest = 0, largest = 0, row = 0, n = (double)n_sample;
    int p = settings->grid_rows, q = settings->grid_cols;
    if (p == 0)
        mdl_grid_square(n_rank, &p, &q);
    for (int a = 0; a < n_model; a++) {
        double d = (double)models[a].n_feat, r = fmin(n, d);
        held += part_of(n, r, p, q);
        if (settings->measure == MDL_MEASURE_PWCCA)
            held += part_of(r, d, p, q);
        widest = fmax(widest, part_of(n, d, p, q));
        largest = fmax(largest, part_of(r, r, p, q));
        row = fmax(row, d);
    }
    return 8 * (held + 2 * widest + 5 * largest + fmax(MDL_MEASURE_PIECE, row));
}
