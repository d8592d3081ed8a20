/* The strategies interval and cross on measured curves, and the additive baseline. */
#include "core/text.h"
#include "models/random_uniform.h"
#include "regress/search_state.h"

#include <math.h>
#include <string.h>

/* R, R/u, ... down to the start, ascending. */
static int make_marks(const mdl_search_t *search, double marks[MDL_ROUNDS_MAX_POINT])
{
    double start = mdl_search_value(search, MDL_KEY_START_RATIO);
    double ratio = mdl_search_value(search, MDL_KEY_MAX_RATIO);
    int n = 0;
    while (n < MDL_ROUNDS_MAX_POINT && (n == 0 || ratio >= start * (1 - 1e-6))) {
        memmove(marks + 1, marks, (size_t)n * sizeof *marks);
        marks[0] = ratio;
        ratio /= mdl_search_value(search, MDL_KEY_DIVISOR);
        n++;
    }
    return n;
}

static int train(void *context, const int64_t *index, int64_t n, double ratio, mdl_error_t *err)
{
    (void)err;
    for (int64_t k = 0; k < n; k++)
        mdl_search_train(context, index[k], ratio);
    return MDL_OK;
}

static int list(void *context, int64_t candidate, double ratio, mdl_point_t *points)
{
    return mdl_search_list(context, candidate, ratio, points);
}

static int foresee(void *context, const int64_t *index, const double *ratio,
                   const mdl_predict_curve_t *curves, int64_t n, mdl_prediction_t *predictions,
                   mdl_error_t *err)
{
    mdl_search_t *search = context;
    const mdl_predict_settings_t settings = mdl_search_predict_settings(search);
    return mdl_prediction_cache_predict(search->cache, search->pool, &settings, index, ratio,
                                        curves, n, predictions, err);
}

/* The medoids of the clusters come first where distances are known. */
static int choose_first(mdl_search_t *search, mdl_rounds_t *rounds, mdl_error_t *err)
{
    int64_t n_cluster;
    if (search->pool->distance == NULL || mdl_search_value(search, MDL_KEY_CLUSTERS) == 0)
        return MDL_OK;
    int rc = mdl_pool_cluster(search->pool, mdl_search_value(search, MDL_KEY_T_VE),
                              mdl_search_value(search, MDL_KEY_T_LLM), search->cluster,
                              search->medoid, &n_cluster, err);
    memset(search->keep, 0, (size_t)search->pool->n);
    for (int64_t k = 0; rc == MDL_OK && k < n_cluster; k++)
        search->keep[search->medoid[k]] = 1;
    rounds->first = search->keep;
    return rc;
}

int mdl_search_rounds(mdl_search_t *search, int64_t *choice, mdl_error_t *err)
{
    const mdl_pool_t *pool = search->pool;
    double marks[MDL_ROUNDS_MAX_POINT];
    mdl_rounds_t rounds = {.n = pool->n,
                           .n_ve = pool->n_ve,
                           .n_llm = pool->n_llm,
                           .ve = pool->ve,
                           .llm = pool->llm,
                           .work = pool->final_seconds,
                           .predict = mdl_search_predict_settings(search),
                           .kind = pool->kind,
                           .context = search,
                           .train = train,
                           .list = list,
                           .foresee = foresee};
    rounds.interval = (mdl_interval_t){.marks = marks,
                                       .n_mark = make_marks(search, marks),
                                       .confidence = mdl_search_value(search, MDL_KEY_CONFIDENCE),
                                       .distance = pool->distance,
                                       .floor = mdl_search_value(search, MDL_KEY_FLOOR)};
    if (mdl_search_value(search, MDL_KEY_STRATEGY) == MDL_STRATEGY_CROSS)
        return mdl_rounds_cross(&rounds, search->rounds, search->score, choice, err);
    int rc = choose_first(search, &rounds, err);
    if (rc != MDL_OK)
        return rc;
    return mdl_rounds_interval(&rounds, search->rounds, search->score, choice, err);
}

/* The candidate of an encoder and a language model. */
static int64_t pair(const mdl_pool_t *pool, int64_t ve, int64_t llm)
{
    int64_t i = 0;
    while (pool->ve[i] != ve || pool->llm[i] != llm)
        i++;
    return i;
}

int mdl_search_additive(mdl_search_t *search, int64_t *choice, mdl_error_t *err)
{
    const mdl_pool_t *pool = search->pool;
    float draw[2];
    if (pool->n_llm == 0 || pool->n != pool->n_ve * pool->n_llm)
        return mdl_fail(err, MDL_E_INPUT,
                        "strategy additive needs every pair of encoder and language model, columns "
                        "ve and llm");
    mdl_random_uniform(draw, 2, 1, search->seed, 1);
    int64_t row = (int64_t)((draw[0] + 1) / 2 * (float)pool->n_ve) % pool->n_ve;
    int64_t column = (int64_t)((draw[1] + 1) / 2 * (float)pool->n_llm) % pool->n_llm;
    double corner = mdl_search_train(search, pair(pool, row, column), 1);
    *choice = 0;
    for (int64_t i = 0; i < pool->n; i++) {
        double by_ve = mdl_search_train(search, pair(pool, pool->ve[i], column), 1);
        double by_llm = mdl_search_train(search, pair(pool, row, pool->llm[i]), 1);
        search->score[i] = by_ve + by_llm - corner;
        if (search->score[i] < search->score[*choice])
            *choice = i;
    }
    return MDL_OK;
}
