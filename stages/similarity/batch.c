#include "similarity/batch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int mdl_batch_init(mdl_batch_t *batch, const mdl_cka_task_t *task, int64_t max_row,
                   mdl_error_t *err)
{
    *batch = (mdl_batch_t){.task = task, .max_row = max_row, .stride = mdl_real_packed(max_row)};
    if (task->settings->device > 0) {
        mdl_batch_device_plan_t plan = {.device = task->settings->device - 1,
                                        .n_model = task->n_model,
                                        .max_row = max_row,
                                        .max_feat = mdl_cka_max_feat(task),
                                        .is_double = task->real->encoding == MDL_FLOAT64,
                                        .bfloat16 = task->settings->bfloat16};
        return mdl_batch_device_open(&plan, &batch->device, err);
    }
    size_t padded = (size_t)mdl_real_padded(max_row), size = task->real->size;
    int rc;
    MDL_TRY(
        mdl_alloc_aligned(&batch->work, (size_t)mdl_real_work(max_row), size, "packed rows", err));
    MDL_TRY(mdl_alloc_aligned(&batch->gram, padded * padded, size, "a Gram matrix", err));
    MDL_TRY(mdl_alloc(&batch->row, padded, sizeof(double), "row sums", err));
    MDL_TRY(mdl_alloc(&batch->centred, (size_t)task->n_model * (size_t)batch->stride, size,
                      "centred Gram matrices", err));
done:
    return rc;
}

void mdl_batch_free(mdl_batch_t *batch)
{
    mdl_batch_device_close(batch->device);
    free(batch->work);
    free(batch->gram);
    free(batch->row);
    free(batch->centred);
    *batch = (mdl_batch_t){0};
}

/* The squared lengths of the rows are the diagonal of the linear Gram matrix. */
static void to_rbf(mdl_batch_t *batch, int model, int64_t n_row, int exponent)
{
    const mdl_cka_task_t *task = batch->task;
    int64_t ld = mdl_real_padded(n_row);
    for (int64_t i = 0; i < n_row; i++)
        batch->row[i] = mdl_real_get(task->real, batch->gram, i * ld + i);
    double gamma = ldexp(task->gamma[model], 2 * (task->exponent[model] - exponent));
    task->real->rbf(batch->gram, n_row, n_row, batch->row, batch->row, gamma);
}

int mdl_batch_take(mdl_batch_t *batch, int model, int64_t first, int64_t n_row, const void *x,
                   double *values, mdl_error_t *err)
{
    const mdl_cka_task_t *task = batch->task;
    const mdl_real_t *real = task->real;
    const mdl_rows_t *rows = &task->models[model];
    double *power = values + task->n_pair, *exponents = power + task->n_model;
    int exponent;
    if (batch->device != NULL)
        return mdl_batch_device_take(batch->device, model, n_row, rows->n_feat, x,
                                     task->gamma != NULL ? task->gamma[model] : 0,
                                     task->gamma != NULL ? task->exponent[model] : 0, err);
    int64_t bad = real->batch_gram(x, n_row, rows->n_feat, batch->work, batch->gram, &exponent);
    if (bad >= 0)
        return mdl_cka_refuse_value(rows, first, bad, err);
    if (task->gamma != NULL) {
        to_rbf(batch, model, n_row, exponent);
        exponent = 0;
    }
    char *centred = (char *)batch->centred + (size_t)(model * batch->stride) * real->size;
    power[model] = 2 * real->u_centre(batch->gram, n_row, batch->row, centred) /
                   ((double)n_row * (double)(n_row - 3));
    exponents[model] = exponent;
    return MDL_OK;
}

static int finish_on_device(mdl_batch_t *batch, int64_t first, int64_t n_row, double *values,
                            mdl_error_t *err)
{
    const mdl_cka_task_t *task = batch->task;
    double *power = values + task->n_pair, *exponent = power + task->n_model;
    int64_t *bad = NULL;
    int rc;
    MDL_TRY(mdl_alloc(&bad, (size_t)task->n_model, sizeof *bad, "indices", err));
    MDL_TRY(mdl_batch_device_finish(batch->device, n_row, values, power, exponent, bad, err));
    for (int a = 0; rc == MDL_OK && a < task->n_model; a++) {
        if (bad[a] >= 0)
            rc = mdl_cka_refuse_value(&task->models[a], first, bad[a], err);
        if (task->gamma != NULL)
            exponent[a] = 0;
    }
done:
    free(bad);
    return rc;
}

int mdl_batch_finish(mdl_batch_t *batch, int64_t first, int64_t n_row, double *values,
                     mdl_error_t *err)
{
    const mdl_cka_task_t *task = batch->task;
    if (batch->device != NULL)
        return finish_on_device(batch, first, n_row, values, err);
    double scale = 2 / ((double)n_row * (double)(n_row - 3));
    task->real->products(batch->centred, task->n_model, batch->stride, mdl_real_packed(n_row),
                         values);
    for (int64_t pair = 0; pair < task->n_pair; pair++)
        values[pair] *= scale;
    return MDL_OK;
}

/* A model without variance so far takes the other's power of two. */
void mdl_batch_add(const mdl_cka_task_t *task, double *into, const double *values)
{
    int n_model = task->n_model;
    double *power = into + task->n_pair, *exponent = power + n_model;
    const double *more_power = values + task->n_pair, *more_exponent = more_power + n_model;
    for (int a = 0; a < n_model; a++) {
        if (power[a] == 0)
            exponent[a] = more_exponent[a];
        power[a] += ldexp(more_power[a], 4 * (int)(exponent[a] - more_exponent[a]));
    }
    for (int a = 0; a < n_model; a++) {
        int shift_a = (int)(exponent[a] - more_exponent[a]);
        for (int b = 0; b <= a; b++) {
            int shift = 2 * (shift_a + (int)(exponent[b] - more_exponent[b]));
            int64_t pair = mdl_cka_pair(a, b);
            into[pair] += shift == 0 ? values[pair] : ldexp(values[pair], shift);
        }
    }
}

void mdl_batch_unscale(const mdl_cka_task_t *task, const double *total, double *values, int64_t n)
{
    enum { FAR = 50 }; /* beyond 1e15 or under 1e-15 */
    int n_model = task->n_model;
    const double *common = total + task->n_pair + n_model;
    for (int64_t k = 0; k < n; k++) {
        double *hsic = values + k * mdl_batch_n_value(task);
        double *power = hsic + task->n_pair, *exponent = power + n_model;
        for (int a = 0; a < n_model; a++) {
            double wanted = fabs(common[a]) > FAR ? common[a] : 0;
            exponent[a] = wanted - exponent[a];
            power[a] = ldexp(power[a], 4 * (int)exponent[a]);
        }
        for (int a = 0; a < n_model; a++)
            for (int b = 0; b <= a; b++)
                hsic[mdl_cka_pair(a, b)] =
                    ldexp(hsic[mdl_cka_pair(a, b)], 2 * (int)(exponent[a] + exponent[b]));
    }
}
