#include "similarity/row_sample.h"

#include "similarity/row_units.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int64_t mdl_row_sample_size(int n_model, int64_t n_sample)
{
    enum { ONE_OF = 32, FEWEST = 256, MOST = 1024, MOST_VALUES = 1 << 22 };
    int64_t most = MOST_VALUES / mdl_cka_pair(n_model, 0), n = n_sample / ONE_OF;
    most = most > MOST ? MOST : most < FEWEST ? FEWEST : most;
    n = n > most ? most : n < FEWEST ? FEWEST : n;
    return n < n_sample ? n : n_sample;
}

int mdl_row_sample_init(mdl_row_sample_t *sample, const mdl_means_t *means, int64_t max_strip,
                        mdl_error_t *err)
{
    const mdl_cka_task_t *task = means->task;
    size_t size = task->real->size, feat = (size_t)mdl_cka_max_feat(task);
    *sample =
        (mdl_row_sample_t){.means = means, .n = mdl_row_sample_size(task->n_model, task->n_sample)};
    size_t n = (size_t)sample->n;
    int rc;
    MDL_TRY(mdl_alloc(&sample->x, n * feat, size, "rows of a sample", err));
    MDL_TRY(mdl_alloc(&sample->y, n * feat, size, "rows of a sample", err));
    MDL_TRY(mdl_alloc(&sample->product, n * feat, size, "products of a sample", err));
    MDL_TRY(
        mdl_alloc(&sample->transposed, n * (size_t)max_strip, size, "columns of a sample", err));
done:
    return rc;
}

void mdl_row_sample_free(mdl_row_sample_t *sample)
{
    free(sample->x);
    free(sample->y);
    free(sample->product);
    free(sample->transposed);
    *sample = (mdl_row_sample_t){0};
}

void mdl_row_sample_take(mdl_row_sample_t *sample, int model, int side, int64_t first,
                         int64_t n_row, const void *x)
{
    const mdl_cka_task_t *task = sample->means->task;
    size_t n_byte = (size_t)task->models[model].n_feat * task->real->size;
    char *into = side == 0 ? sample->x : sample->y;
    for (int64_t s = 0; s < sample->n; s++) {
        int64_t row = s * task->n_sample / sample->n - first;
        if (row >= 0 && row < n_row)
            memcpy(into + (size_t)s * n_byte, (const char *)x + (size_t)row * n_byte, n_byte);
    }
}

static double dot(const mdl_real_t *real, const void *x, const void *y, int64_t n)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum += mdl_real_get(real, x, k) * mdl_real_get(real, y, k);
    return sum;
}

static const void *at(const mdl_real_t *real, const void *values, int64_t index)
{
    return (const char *)values + (size_t)index * real->size;
}

void mdl_row_sample_sums(mdl_row_sample_t *sample, const mdl_covariance_t *block, const void *c,
                         double *sums, double *own)
{
    const mdl_cka_task_t *task = sample->means->task;
    const mdl_real_t *real = task->real;
    int64_t n = sample->n, d_x = task->models[block->a].n_feat, d_y = block->d_y;
    int same = block->a == block->b;
    int64_t ld_y = task->models[block->b].n_feat, twice = same ? block->first : 0;
    const void *y = same ? sample->x : sample->y;
    for (int64_t s = 0; s < n; s++)
        for (int64_t k = 0; k < block->n_col; k++)
            memcpy((char *)sample->transposed + (size_t)(k * n + s) * real->size,
                   at(real, sample->x, s * d_x + block->first + k), real->size);
    real->covariance(sample->transposed, n, n, c, d_y, d_y, block->n_col, 0, sample->product);
    for (int64_t s = 0; s < n; s++) {
        const void *left = at(real, sample->product, s * d_y), *right = at(real, y, s * ld_y);
        sums[s] = dot(real, left, right, d_y) + dot(real, left, right, twice);
        if (same && block->first == 0)
            own[s] = dot(real, right, right, ld_y);
    }
}

int mdl_row_sample_finish(const mdl_row_sample_t *sample, const double *sums, const double *own,
                          const double *trace, mdl_error_t *err)
{
    const mdl_cka_task_t *task = sample->means->task;
    mdl_row_units_t units;
    double *values = NULL;
    int rc;
    MDL_TRY(mdl_row_units_init_sample(&units, sample->means, sample->n, err));
    MDL_TRY(mdl_alloc(&values, (size_t)mdl_row_units_n_value(&units), sizeof *values,
                      "sums of rows", err));
    for (int64_t s = 0; s < sample->n; s++) {
        double *unit = values + s * (2 * task->n_pair + task->n_model);
        for (int a = 0; a < task->n_model; a++) {
            unit[2 * task->n_pair + a] = own[a * sample->n + s];
            for (int b = 0; b <= a; b++) {
                int64_t pair = mdl_cka_pair(a, b);
                unit[task->n_pair + pair] = own[a * sample->n + s] * own[b * sample->n + s];
                unit[pair] = sums[pair * sample->n + s] - unit[task->n_pair + pair];
            }
        }
    }
    rc = mdl_row_units_finish(&units, values, trace, err);
done:
    mdl_row_units_free(&units);
    free(values);
    return rc;
}
