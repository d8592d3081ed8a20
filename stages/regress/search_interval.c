/* The interval strategy and the additive baseline on measured curves. */
#include "core/text.h"
#include "models/random_uniform.h"
#include "regress/search_state.h"

#include <math.h>
#include <string.h>

/* R, R/u, ... down to the start, ascending. */
static int make_marks(const mdl_search_t *search, double marks[MDL_SEARCH_MAX_POINT])
{
    double start = mdl_search_value(search, MDL_KEY_START_RATIO);
    double ratio = mdl_search_value(search, MDL_KEY_MAX_RATIO);
    int n = 0;
    while (n < MDL_SEARCH_MAX_POINT && (n == 0 || ratio >= start * (1 - 1e-6))) {
        memmove(marks + 1, marks, (size_t)n * sizeof *marks);
        marks[0] = ratio;
        ratio /= mdl_search_value(search, MDL_KEY_DIVISOR);
        n++;
    }
    return n;
}

/* The first round: the medoids of the clusters, or everybody. */
static int choose_first(mdl_search_t *search, double mark, mdl_error_t *err)
{
    const int64_t n = search->pool->n;
    int64_t n_cluster = n;
    int rc;
    for (int64_t i = 0; i < n; i++)
        search->target[i] = mark;
    if (mdl_search_value(search, MDL_KEY_CLUSTERS) == 0 || search->pool->distance == NULL)
        return MDL_OK;
    MDL_TRY(mdl_pool_cluster(search->pool, mdl_search_value(search, MDL_KEY_T_VE),
                             mdl_search_value(search, MDL_KEY_T_LLM), search->cluster,
                             search->medoid, &n_cluster, err));
    memset(search->target, 0, (size_t)n * sizeof *search->target);
    for (int64_t k = 0; k < n_cluster; k++)
        search->target[search->medoid[k]] = mark;
done:
    return rc;
}

/* Trains those with a target and sets everybody's belief. */
static int measure(mdl_search_t *search, const mdl_interval_t *interval, mdl_error_t *err)
{
    const int64_t n = search->pool->n;
    int64_t n_trained = 0;
    int rc;
    for (int64_t i = 0; i < n; i++) {
        if (search->target[i] > 0)
            mdl_search_train(search, i, search->target[i]);
        if (search->reached[i] > 0)
            search->index[n_trained++] = i;
    }
    MDL_TRY(mdl_search_predict(search, n_trained, err));
    memset(search->beliefs, 0, (size_t)n * sizeof *search->beliefs);
    for (int64_t k = 0; k < n_trained; k++) {
        const mdl_predict_curve_t *curve = &search->curves[k];
        const mdl_point_t *last = &curve->points[curve->n_point - 1];
        search->beliefs[search->index[k]] =
            (mdl_belief_t){.log_error = log(search->predictions[k].predicted),
                           .sigma = search->predictions[k].sigma_own,
                           .ratio = last->ratio,
                           .error = last->error};
    }
    mdl_interval_borrow(interval, search->beliefs, n);
done:
    return rc;
}

int mdl_search_interval(mdl_search_t *search, int64_t *choice, mdl_error_t *err)
{
    const int64_t n = search->pool->n;
    double marks[MDL_SEARCH_MAX_POINT];
    const mdl_interval_t interval = {.marks = marks,
                                     .n_mark = make_marks(search, marks),
                                     .confidence = mdl_search_value(search, MDL_KEY_CONFIDENCE),
                                     .distance = search->pool->distance};
    int round = 0, rc;
    MDL_TRY(choose_first(search, marks[0], err));
    do
        MDL_TRY(measure(search, &interval, err));
    while (mdl_interval_next(&interval, search->beliefs, n, &round, search->target, search->keep));
    for (int64_t i = 0; i < n; i++)
        search->score[i] = search->beliefs[i].log_error;
    *choice = mdl_interval_leader(search->beliefs, n);
done:
    return rc;
}

/* The candidate of an encoder and a language model, -1 if there is none. */
static int64_t pair(const mdl_pool_t *pool, int64_t ve, int64_t llm)
{
    for (int64_t i = 0; i < pool->n; i++)
        if (pool->ve[i] == ve && pool->llm[i] == llm)
            return i;
    return -1;
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
