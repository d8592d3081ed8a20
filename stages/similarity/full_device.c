#include "similarity/full_device.h"

#include "similarity/rbf_sample.h"

#include <stdlib.h>

int64_t mdl_full_device_tile(int n_model, int64_t n_sample)
{
    const int64_t most_values = (int64_t)1 << 28; /* of a tile of all models */
    int64_t tile = n_sample >= 16384 ? 2048 : n_sample >= 4096 ? 1024 : 256;
    while (tile > 256 && n_model * tile * tile > most_values)
        tile /= 2;
    return tile < n_sample ? tile : n_sample;
}

/* n_feat: [n_model] to be filled. */
static mdl_rows_device_plan_t plan_of(const mdl_means_t *means, int64_t *n_feat)
{
    const mdl_cka_task_t *task = means->task;
    const mdl_cka_settings_t *settings = task->settings;
    for (int a = 0; a < task->n_model; a++)
        n_feat[a] = task->models[a].n_feat;
    return (mdl_rows_device_plan_t){.device = settings->device - 1,
                                    .n_sharer = settings->n_sharer,
                                    .n_model = task->n_model,
                                    .n_feat = n_feat,
                                    .tile = means->tile,
                                    .n_block = means->n_tile,
                                    .is_double = settings->precision == MDL_FLOAT64,
                                    .bfloat16 = settings->bfloat16,
                                    .reference = means->reference,
                                    .mean = means->mean,
                                    .exponent = means->exponent};
}

int64_t mdl_full_device_column(int64_t tile, int64_t n_row)
{
    int64_t n = 8;
    while (n < 2048 && n < tile && (n_row == 0 || n < n_row))
        n *= 2;
    return n;
}

int mdl_full_device_open_gram(mdl_full_device_t *device, const mdl_means_t *means,
                              const mdl_row_units_t *units, mdl_error_t *err)
{
    int64_t *n_feat = NULL;
    const mdl_cka_task_t *task = means->task;
    *device = (mdl_full_device_t){.means = means};
    int rc = mdl_alloc(&n_feat, (size_t)task->n_model, sizeof *n_feat, "widths", err);
    if (rc != MDL_OK)
        return rc;
    mdl_gram_device_plan_t plan = {.rows = plan_of(means, n_feat),
                                   .gamma = task->gamma,
                                   .drop_diagonal = task->settings->estimator == MDL_CKA_UNBIASED,
                                   .n_column = mdl_full_device_column(means->tile, units->n_row)};
    if (task->gamma != NULL)
        plan.rows.n_apart = mdl_rbf_sample_size(task->n_model, task->n_sample);
    rc = mdl_gram_device_open(&plan, &device->gram, err);
    free(n_feat);
    return rc;
}

int mdl_full_device_open_feature(mdl_full_device_t *device, const mdl_means_t *means,
                                 int64_t max_col, int64_t n_sampled, mdl_error_t *err)
{
    int64_t *n_feat = NULL;
    *device = (mdl_full_device_t){.means = means};
    int rc = mdl_alloc(&n_feat, (size_t)means->task->n_model, sizeof *n_feat, "widths", err);
    if (rc != MDL_OK)
        return rc;
    mdl_feature_device_plan_t plan = {.rows = plan_of(means, n_feat),
                                      .max_col = max_col,
                                      .n_sample = means->task->n_sample,
                                      .n_sampled = n_sampled};
    rc = mdl_feature_device_open(&plan, &device->feature, err);
    free(n_feat);
    return rc;
}

void mdl_full_device_close(mdl_full_device_t *device)
{
    mdl_gram_device_close(device->gram);
    mdl_feature_device_close(device->feature);
    *device = (mdl_full_device_t){0};
}

/* Reads a block of a model to the device unless it is there. */
static int load(const mdl_full_device_t *device, int model, int64_t block, int role,
                mdl_error_t *err)
{
    const mdl_means_t *means = device->means;
    const mdl_rows_t *from = &means->task->models[model];
    mdl_rows_device_t *rows = device->gram != NULL ? mdl_gram_device_rows(device->gram)
                                                   : mdl_feature_device_rows(device->feature);
    int64_t n_row = mdl_means_rows(means, block);
    void *x;
    int rc = mdl_rows_device_want(rows, model, block, role, &x, err);
    if (rc != MDL_OK || x == NULL)
        return rc;
    rc = from->read(from, block * means->tile, n_row, means->task->real->encoding, x, err);
    return rc == MDL_OK ? mdl_rows_device_put(rows, model, block, role, n_row, err) : rc;
}

static int load_tile(const mdl_full_device_t *device, int64_t i, int64_t j, mdl_error_t *err)
{
    int rc = MDL_OK;
    for (int a = 0; rc == MDL_OK && a < device->means->task->n_model; a++) {
        rc = load(device, a, i, 0, err);
        if (rc == MDL_OK && i != j)
            rc = load(device, a, j, 1, err);
    }
    return rc;
}

/* A part of a tile belongs to one unit by its rows and to one by its columns. */
static void add_parts(const mdl_full_device_t *device, const mdl_row_units_t *units, int64_t i,
                      int64_t j, const mdl_gram_tile_t *tile, double *total, double *values)
{
    int64_t n_pair = device->means->task->n_pair, side = device->means->tile;
    int64_t n_value = units->n_unit > 0 ? mdl_row_units_n_value(units) / units->n_unit : 0;
    const double *sums = tile->sums;
    for (int64_t d = 0; d < tile->n_down; d++) {
        for (int64_t c = 0; c < tile->n_across; c++, sums += n_pair) {
            for (int64_t pair = 0; pair < n_pair; pair++)
                total[pair] += sums[pair];
            if (units->n_unit == 0)
                continue;
            double *left = values + (i * side + d * tile->n_row) / units->n_row * n_value;
            double *right = values + (j * side + c * tile->n_column) / units->n_row * n_value;
            for (int64_t pair = 0; pair < n_pair; pair++) {
                left[pair] += sums[pair];
                right[pair] += sums[pair];
            }
        }
    }
}

int mdl_full_device_products(mdl_full_device_t *device, const mdl_row_units_t *units, int64_t i,
                             int64_t j, int64_t next_i, int64_t next_j, double *total,
                             double *values, const double **lines, mdl_error_t *err)
{
    const mdl_means_t *means = device->means;
    mdl_gram_tile_t tile;
    int rc = load_tile(device, i, j, err);
    if (rc == MDL_OK)
        rc = mdl_gram_device_start(device->gram, i, mdl_means_rows(means, i), j,
                                   mdl_means_rows(means, j), err);
    if (rc == MDL_OK && next_i < means->n_tile)
        rc = load_tile(device, next_i, next_j, err);
    if (rc == MDL_OK)
        rc = mdl_gram_device_finish(device->gram, &tile, err);
    if (rc == MDL_OK) {
        add_parts(device, units, i, j, &tile, total, values);
        *lines = tile.lines;
    }
    return rc;
}

/* They are the block beyond the last. */
int mdl_full_device_sample_place(mdl_full_device_t *device, int model, void **x, mdl_error_t *err)
{
    return mdl_rows_device_want(mdl_gram_device_rows(device->gram), model, device->means->n_tile, 0,
                                x, err);
}

int mdl_full_device_sample_take(mdl_full_device_t *device, int model, int64_t n, mdl_error_t *err)
{
    return mdl_rows_device_put(mdl_gram_device_rows(device->gram), model, device->means->n_tile, 0,
                               n, err);
}

int mdl_full_device_sample(mdl_full_device_t *device, int64_t block, const double *own,
                           const double *subtract, double *values, mdl_error_t *err)
{
    const mdl_means_t *means = device->means;
    int rc = MDL_OK;
    for (int a = 0; rc == MDL_OK && a < means->task->n_model; a++)
        rc = load(device, a, block, 1, err);
    if (rc != MDL_OK)
        return rc;
    return mdl_gram_device_sample(device->gram, block, mdl_means_rows(means, block), own,
                                  subtract + block * means->tile, means->task->n_sample, values,
                                  err);
}

int mdl_full_device_covariance(mdl_full_device_t *device, const mdl_feature_block_t *block,
                               double *values, mdl_error_t *err)
{
    const mdl_means_t *means = device->means;
    int rc = mdl_feature_device_start(device->feature, block, err);
    for (int64_t t = 0; rc == MDL_OK && t < means->n_tile; t++) {
        rc = load(device, block->a, t, 0, err);
        if (rc == MDL_OK && block->a != block->b)
            rc = load(device, block->b, t, 1, err);
        if (rc == MDL_OK)
            rc = mdl_feature_device_add(device->feature, t, mdl_means_rows(means, t), err);
    }
    return rc == MDL_OK ? mdl_feature_device_finish(device->feature, values, err) : rc;
}
