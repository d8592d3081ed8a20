#include "regress/pool.h"

#include "core/log.h"
#include "regress/pool_distance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int64_t find_name(const char *const *names, int64_t n, const char *name)
{
    for (int64_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

/* The curves of the task that can be used: of one kind, and with a point at ratio 1. */
static void choose_curves(const mdl_curve_table_t *table, int64_t task, int warn, mdl_pool_t *pool)
{
    const int64_t first = table->first[task], end = table->first[task + 1];
    int is_checkpoint = 1;
    int64_t n_other = 0;
    for (int64_t c = first; c < end; c++)
        is_checkpoint &= table->curves[c].is_checkpoint;
    pool->kind = is_checkpoint ? MDL_CURVE_CHECKPOINT : MDL_CURVE_FRESH;
    pool->task = table->curves[first].task;
    for (int64_t c = first; c < end; c++) {
        const mdl_curve_t *curve = &table->curves[c];
        if (curve->is_checkpoint != is_checkpoint)
            n_other++;
        else if (curve->points[curve->n_point - 1].ratio >= 1 - 1e-6)
            pool->curves[pool->n++] = curve;
        else if (warn)
            mdl_log(MDL_LOG_WARN, "task %s: %s is left out: no point at ratio 1", curve->task,
                    curve->model);
    }
    if (warn && n_other > 0)
        mdl_log(MDL_LOG_WARN,
                "task %s: the checkpoints of %lld models are left out: they are not mixed with "
                "runs of their own",
                pool->task, (long long)n_other);
}

static void number_models(mdl_pool_t *pool)
{
    for (int64_t i = 0; i < pool->n; i++) {
        const mdl_curve_t *curve = pool->curves[i];
        const char *ve = curve->ve != NULL ? curve->ve : curve->model;
        pool->ve[i] = find_name(pool->ve_name, pool->n_ve, ve);
        if (pool->ve[i] < 0) {
            pool->ve[i] = pool->n_ve;
            pool->ve_name[pool->n_ve++] = ve;
        }
        if (curve->llm == NULL)
            continue;
        pool->llm[i] = find_name(pool->llm_name, pool->n_llm, curve->llm);
        if (pool->llm[i] < 0) {
            pool->llm[i] = pool->n_llm;
            pool->llm_name[pool->n_llm++] = curve->llm;
        }
    }
}

static void note_finals(mdl_pool_t *pool, int warn)
{
    int64_t n_with = 0, n_without = 0;
    for (int64_t i = 0; i < pool->n; i++)
        for (int k = 0; k < pool->curves[i]->n_point; k++)
            *(pool->curves[i]->points[k].train_seconds > 0 ? &n_with : &n_without) += 1;
    pool->has_seconds = n_without == 0;
    if (warn && n_with > 0 && n_without > 0)
        mdl_log(MDL_LOG_WARN,
                "task %s: %lld of %lld points have no seconds, so that its costs are counted in "
                "ratios",
                pool->task, (long long)n_without, (long long)(n_with + n_without));
    for (int64_t i = 0; i < pool->n; i++) {
        const mdl_point_t *last = &pool->curves[i]->points[pool->curves[i]->n_point - 1];
        pool->final_error[i] = last->error;
        pool->final_seconds[i] = pool->has_seconds ? last->train_seconds : 1;
    }
}

int mdl_pool_make(const mdl_curve_table_t *table, int64_t task, const mdl_alike_t *alike, int warn,
                  mdl_pool_t *pool, mdl_error_t *err)
{
    size_t n = (size_t)(table->first[task + 1] - table->first[task]);
    int rc;
    *pool = (mdl_pool_t){.alike = alike};
    MDL_TRY(mdl_alloc(&pool->curves, n, sizeof *pool->curves, "curves", err));
    MDL_TRY(mdl_alloc(&pool->final_error, n, sizeof(double), "errors", err));
    MDL_TRY(mdl_alloc(&pool->final_seconds, n, sizeof(double), "seconds", err));
    MDL_TRY(mdl_alloc(&pool->ve, n, sizeof(int64_t), "encoders", err));
    MDL_TRY(mdl_alloc(&pool->llm, n, sizeof(int64_t), "language models", err));
    MDL_TRY(mdl_alloc(&pool->ve_name, n, sizeof(char *), "names", err));
    MDL_TRY(mdl_alloc(&pool->llm_name, n, sizeof(char *), "names", err));
    choose_curves(table, task, warn, pool);
    if (pool->n == 0) {
        if (warn)
            mdl_log(MDL_LOG_WARN, "task %s is left out: no model has a point at ratio 1",
                    pool->task);
        goto done;
    }
    if (pool->n == 1 && warn)
        mdl_log(MDL_LOG_WARN, "task %s has one model, %s: it has no ranking", pool->task,
                pool->curves[0]->model);
    number_models(pool);
    note_finals(pool, warn);
    rc = mdl_pool_measure_distance(pool, err);
done:
    if (rc != MDL_OK)
        mdl_pool_free(pool);
    return rc;
}

void mdl_pool_free(mdl_pool_t *pool)
{
    free(pool->curves);
    free(pool->final_error);
    free(pool->final_seconds);
    free(pool->ve);
    free(pool->llm);
    free(pool->ve_name);
    free(pool->llm_name);
    free(pool->distance);
    free(pool->score);
    *pool = (mdl_pool_t){0};
}

static double between(double from, double to, double share)
{
    return from + share * (to - from);
}

mdl_point_t mdl_pool_point(const mdl_pool_t *pool, int64_t i, double ratio)
{
    const mdl_curve_t *curve = pool->curves[i];
    const mdl_point_t *points = curve->points;
    int above = 0;
    while (above < curve->n_point - 1 && points[above].ratio < ratio * (1 - 1e-6))
        above++;
    const mdl_point_t *b = &points[above], *a = &points[above > 0 ? above - 1 : 0];
    if (above == 0 || b->ratio <= ratio * (1 + 1e-6))
        return *b;
    double share = log(ratio / a->ratio) / log(b->ratio / a->ratio);
    int positive = a->error > 0 && b->error > 0;
    return (mdl_point_t){
        .ratio = ratio,
        .error = positive ? exp(between(log(a->error), log(b->error), share))
                          : between(a->error, b->error, share),
        .error_stderr = between(a->error_stderr, b->error_stderr, share),
        .loss = between(a->loss, b->loss, share),
        .train_seconds =
            between(a->train_seconds, b->train_seconds, (ratio - a->ratio) / (b->ratio - a->ratio)),
        .evaluate_seconds = NAN,
    };
}

double mdl_pool_seconds(const mdl_pool_t *pool, int64_t i, double ratio)
{
    const mdl_point_t point = mdl_pool_point(pool, i, ratio);
    return pool->has_seconds ? point.train_seconds : point.ratio;
}
