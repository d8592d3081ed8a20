#include "regress/search.h"

#include "core/text.h"
#include "models/random_uniform.h"
#include "regress/search_state.h"
#include "regress/tau.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int mdl_search_new(int64_t n_max, mdl_search_t **search, mdl_error_t *err)
{
    size_t n = (size_t)n_max;
    mdl_search_t *s = NULL;
    int rc;
    *search = NULL;
    MDL_TRY(mdl_alloc(&s, 1, sizeof *s, "a search", err));
    s->n_max = n_max;
    MDL_TRY(mdl_alloc(&s->reached, n, sizeof *s->reached, "ratios", err));
    MDL_TRY(mdl_alloc(&s->score, n, sizeof *s->score, "scores", err));
    MDL_TRY(mdl_alloc(&s->target, n, sizeof *s->target, "ratios", err));
    MDL_TRY(mdl_alloc(&s->draw, n, sizeof *s->draw, "draws", err));
    MDL_TRY(mdl_alloc(&s->cluster, n, sizeof *s->cluster, "clusters", err));
    MDL_TRY(mdl_alloc(&s->medoid, n, sizeof *s->medoid, "medoids", err));
    MDL_TRY(mdl_alloc(&s->rank, 2 * n, sizeof *s->rank, "ranks", err));
    MDL_TRY(mdl_alloc(&s->keep, n, sizeof *s->keep, "flags", err));
    MDL_TRY(mdl_alloc(&s->index, n, sizeof *s->index, "indices", err));
    MDL_TRY(mdl_alloc(&s->points, n * MDL_ROUNDS_MAX_POINT, sizeof *s->points, "points", err));
    MDL_TRY(mdl_alloc(&s->curves, n, sizeof *s->curves, "curves", err));
    MDL_TRY(mdl_alloc(&s->predictions, n, sizeof *s->predictions, "predictions", err));
    MDL_TRY(mdl_rounds_space_new(n_max, &s->rounds, err));
    MDL_TRY(mdl_prediction_cache_new(n_max, &s->cache, err));
    *search = s;
    s = NULL;
done:
    mdl_search_free(s);
    return rc;
}

void mdl_search_free(mdl_search_t *search)
{
    if (search == NULL)
        return;
    free(search->reached);
    free(search->score);
    free(search->target);
    free(search->draw);
    free(search->cluster);
    free(search->medoid);
    free(search->rank);
    free(search->keep);
    free(search->index);
    free(search->points);
    free(search->curves);
    free(search->predictions);
    mdl_rounds_space_free(search->rounds);
    mdl_prediction_cache_free(search->cache);
    free(search);
}

double mdl_search_train(mdl_search_t *search, int64_t i, double ratio)
{
    const mdl_point_t point = mdl_pool_point(search->pool, i, ratio);
    search->reached[i] = fmax(search->reached[i], point.ratio);
    return point.error;
}

int mdl_search_list(const mdl_search_t *search, int64_t i, double ratio, mdl_point_t *points)
{
    const double divisor = mdl_search_value(search, MDL_KEY_DIVISOR);
    const double lowest = search->pool->curves[i]->points[0].ratio * (1 - 1e-6);
    int n = 1;
    for (double next = ratio / divisor; next >= lowest && n < MDL_ROUNDS_MAX_POINT; next /= divisor)
        n++;
    for (int k = n - 1; k >= 0; k--, ratio /= divisor)
        points[k] = mdl_pool_point(search->pool, i, ratio);
    return n;
}

mdl_predict_settings_t mdl_search_predict_settings(const mdl_search_t *search)
{
    return (mdl_predict_settings_t){
        .method = (mdl_method_t)mdl_search_value(search, MDL_KEY_METHOD),
        .confidence = mdl_search_value(search, MDL_KEY_CONFIDENCE),
        .divisor = mdl_search_value(search, MDL_KEY_DIVISOR),
        .min_points = (int64_t)mdl_search_value(search, MDL_KEY_POINTS),
        .max_points = (int64_t)mdl_search_value(search, MDL_KEY_MAX_POINTS),
        .tolerance = mdl_search_value(search, MDL_KEY_TOLERANCE)};
}

int mdl_search_predict(mdl_search_t *search, int64_t n, mdl_error_t *err)
{
    const mdl_predict_settings_t settings = mdl_search_predict_settings(search);
    for (int64_t k = 0; k < n; k++) {
        const int64_t i = search->index[k];
        mdl_point_t *points = search->points + k * MDL_ROUNDS_MAX_POINT;
        int n_point = mdl_search_list(search, i, search->reached[i], points);
        search->curves[k] = (mdl_predict_curve_t){points, n_point, search->pool->kind};
    }
    return mdl_prediction_cache_predict(search->cache, search->pool, &settings, search->index,
                                        search->reached, search->curves, n, search->predictions,
                                        err);
}

static int64_t lowest(const double *values, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (values[i] < values[best])
            best = i;
    return best;
}

/* All candidates, or a drawn share of them (at least one), to ratio 1; the rest ties behind. */
static void train_share(mdl_search_t *search, double share, int64_t *choice)
{
    const int64_t n = search->pool->n;
    int64_t wanted = (int64_t)ceil(share * (double)n - 1e-9);
    double worst = 0;
    mdl_random_uniform(search->draw, n, 1, search->seed, 0);
    for (int64_t i = 0; i < n; i++)
        worst = fmax(worst, search->pool->final_error[i]);
    for (int64_t i = 0; i < n; i++) {
        int64_t before = 0;
        for (int64_t j = 0; j < n; j++)
            before +=
                search->draw[j] < search->draw[i] || (search->draw[j] == search->draw[i] && j < i);
        search->score[i] = before < wanted || (wanted == 0 && before == 0)
                               ? mdl_search_train(search, i, 1)
                               : worst + 1;
    }
    *choice = lowest(search->score, n);
}

static double median(const double *values, int64_t n, double *sorted)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t at = i;
        for (; at > 0 && sorted[at - 1] > values[i]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = values[i];
    }
    return n % 2 == 1 ? sorted[n / 2] : 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]);
}

static void judge(mdl_search_t *search, int64_t choice, mdl_outcome_t *outcome)
{
    const mdl_pool_t *pool = search->pool;
    const double *final = pool->final_error;
    int64_t best = lowest(final, pool->n);
    double spent = 0, all = 0, middle = median(final, pool->n, search->target);
    const mdl_curve_t *curve = pool->curves[best];
    double stderr_ = curve->points[curve->n_point - 1].error_stderr;
    double regret = final[choice] - final[best];
    for (int64_t i = 0; i < pool->n; i++) {
        all += pool->final_seconds[i];
        if (search->reached[i] > 0)
            spent += mdl_pool_seconds(pool, i, search->reached[i]);
    }
    *outcome = (mdl_outcome_t){
        .choice = choice,
        .regret = regret,
        .relative = regret > 0 ? fmin(3, regret / (middle - final[best])) : 0,
        .tau = mdl_weighted_tau(search->score, final, pool->n, search->rank),
        .top1 = regret <= 0,
        .within_stderr = regret <= (stderr_ > 0 ? stderr_ : 0),
        .cost = spent / all,
    };
}

int mdl_search_run(mdl_search_t *search, const mdl_pool_t *pool, const mdl_setting_t *setting,
                   uint64_t seed, mdl_outcome_t *outcome, mdl_error_t *err)
{
    int64_t choice = 0;
    int rc = MDL_OK;
    if (pool->n > search->n_max)
        return mdl_fail(err, MDL_E_INTERNAL, "a pool of %lld candidates", (long long)pool->n);
    search->pool = pool;
    search->setting = *setting;
    search->seed = seed;
    memset(search->reached, 0, (size_t)pool->n * sizeof *search->reached);
    switch ((mdl_strategy_t)setting->value[MDL_KEY_STRATEGY]) {
    case MDL_STRATEGY_PAPER:
    case MDL_STRATEGY_HALVING:
        rc = mdl_search_paper(search, &choice, err);
        break;
    case MDL_STRATEGY_INTERVAL:
    case MDL_STRATEGY_CROSS:
        rc = mdl_search_rounds(search, &choice, err);
        break;
    case MDL_STRATEGY_ADDITIVE:
        rc = mdl_search_additive(search, &choice, err);
        break;
    case MDL_STRATEGY_SCORE:
        rc = mdl_search_score(search, &choice, err);
        break;
    case MDL_STRATEGY_RANDOM:
        train_share(search, mdl_search_value(search, MDL_KEY_SHARE), &choice);
        break;
    default:
        train_share(search, 1, &choice);
    }
    if (rc != MDL_OK)
        return mdl_error_prefix(err, "task %s", pool->task);
    judge(search, choice, outcome);
    return MDL_OK;
}
