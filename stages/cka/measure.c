/* What the measures' settings mean; measure_grid.c computes them. */
#include "cka/measure.h"

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

double mdl_measure_memory(mdl_measure_t measure, const mdl_rows_t *models, int n_model,
                          int64_t n_sample, int n_rank)
{
    double held = 0, widest = 0, largest = 0, n = (double)n_sample;
    for (int a = 0; a < n_model; a++) {
        double d = (double)models[a].n_feat, r = fmin(n, d);
        held += n * r + (measure == MDL_MEASURE_PWCCA ? r * d : 0);
        widest = fmax(widest, n * d);
        largest = fmax(largest, r * r);
    }
    return 8 * (held + 2 * widest + 5 * largest) / n_rank;
}
