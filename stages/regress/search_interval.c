/* The interval strategy, alone and along a row and a column, and the additive baseline. */
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

/* The candidate of an encoder and a language model, -1 if there is none. */
static int64_t pair(const mdl_pool_t *pool, int64_t ve, int64_t llm)
{
    for (int64_t i = 0; i < pool->n; i++)
        if (pool->ve[i] == ve && pool->llm[i] == llm)
            return i;
    return -1;
}

/* Some candidates that are searched among themselves. */
typedef struct {
    const int64_t *members; /* [n], in the pool */
    int64_t n;
    mdl_interval_t interval;
} group_t;

/* The first round: the medoids of the clusters where distances are known, else everybody. */
static int choose_first(mdl_search_t *search, const group_t *group, mdl_error_t *err)
{
    const double mark = group->interval.marks[0];
    int64_t n_cluster;
    int rc;
    for (int64_t k = 0; k < group->n; k++)
        search->target[k] = mark;
    if (group->interval.distance == NULL || mdl_search_value(search, MDL_KEY_CLUSTERS) == 0)
        return MDL_OK;
    MDL_TRY(mdl_pool_cluster(search->pool, mdl_search_value(search, MDL_KEY_T_VE),
                             mdl_search_value(search, MDL_KEY_T_LLM), search->cluster,
                             search->medoid, &n_cluster, err));
    memset(search->target, 0, (size_t)group->n * sizeof *search->target);
    for (int64_t k = 0; k < n_cluster; k++)
        search->target[search->medoid[k]] = mark;
done:
    return rc;
}

/* Trains those with a target and sets everybody's belief. */
static int measure(mdl_search_t *search, const group_t *group, mdl_error_t *err)
{
    int64_t n_trained = 0;
    int rc;
    for (int64_t k = 0; k < group->n; k++) {
        int64_t i = group->members[k];
        if (search->target[k] > 0)
            mdl_search_train(search, i, search->target[k]);
        if (search->reached[i] <= 0)
            continue;
        search->rank[n_trained] = (int32_t)k;
        search->index[n_trained++] = i;
    }
    MDL_TRY(mdl_search_predict(search, n_trained, err));
    memset(search->beliefs, 0, (size_t)group->n * sizeof *search->beliefs);
    for (int64_t t = 0; t < n_trained; t++) {
        const mdl_predict_curve_t *curve = &search->curves[t];
        const mdl_point_t *last = &curve->points[curve->n_point - 1];
        search->beliefs[search->rank[t]] =
            (mdl_belief_t){.log_error = log(search->predictions[t].predicted),
                           .sigma = search->predictions[t].sigma_own,
                           .ratio = last->ratio,
                           .error = last->error};
    }
    mdl_interval_borrow(&group->interval, search->beliefs, group->n);
done:
    return rc;
}

/* Searches among the members; sets their scores and *choice. */
static int search_group(mdl_search_t *search, const int64_t *members, int64_t n,
                        const double *distance, int64_t *choice, mdl_error_t *err)
{
    double marks[MDL_SEARCH_MAX_POINT];
    const group_t group = {members,
                           n,
                           {.marks = marks,
                            .n_mark = make_marks(search, marks),
                            .confidence = mdl_search_value(search, MDL_KEY_CONFIDENCE),
                            .distance = distance}};
    int round = 0, rc;
    MDL_TRY(choose_first(search, &group, err));
    do
        MDL_TRY(measure(search, &group, err));
    while (mdl_interval_next(&group.interval, search->beliefs, n, &round, search->target,
                             search->keep));
    for (int64_t k = 0; k < n; k++)
        search->score[members[k]] = search->beliefs[k].log_error;
    *choice = members[mdl_interval_leader(search->beliefs, n)];
done:
    return rc;
}

int mdl_search_interval(mdl_search_t *search, int64_t *choice, mdl_error_t *err)
{
    for (int64_t i = 0; i < search->pool->n; i++)
        search->members[i] = i;
    return search_group(search, search->members, search->pool->n, search->pool->distance, choice,
                        err);
}

/* The candidates of one encoder (or of one language model); returns their number. */
static int64_t list_members(mdl_search_t *search, const int64_t *of, int64_t which)
{
    int64_t n = 0;
    for (int64_t i = 0; i < search->pool->n; i++)
        if (of[i] == which)
            search->members[n++] = i;
    return n;
}

static int check_matrix(const mdl_pool_t *pool, const char *strategy, mdl_error_t *err)
{
    if (pool->n_llm == 0 || pool->n != pool->n_ve * pool->n_llm)
        return mdl_fail(err, MDL_E_INPUT,
                        "strategy %s needs every pair of encoder and language model, columns ve "
                        "and llm",
                        strategy);
    return MDL_OK;
}

static int64_t cheapest_column(const mdl_pool_t *pool)
{
    int64_t cheapest = 0;
    double least = INFINITY;
    for (int64_t l = 0; l < pool->n_llm; l++) {
        double sum = 0;
        for (int64_t i = 0; i < pool->n; i++)
            sum += pool->llm[i] == l ? pool->final_seconds[i] : 0;
        if (sum < least) {
            least = sum;
            cheapest = l;
        }
    }
    return cheapest;
}

/* The encoders with the cheapest language model first, then the best one's pairs; the rest is added
 * up from both, in log error. */
int mdl_search_cross(mdl_search_t *search, int64_t *choice, mdl_error_t *err)
{
    const mdl_pool_t *pool = search->pool;
    int64_t column, corner, n;
    int rc;
    MDL_TRY(check_matrix(pool, "cross", err));
    column = cheapest_column(pool);
    n = list_members(search, pool->llm, column);
    MDL_TRY(search_group(search, search->members, n, NULL, &corner, err));
    n = list_members(search, pool->ve, pool->ve[corner]);
    MDL_TRY(search_group(search, search->members, n, NULL, choice, err));
    for (int64_t i = 0; i < pool->n; i++)
        if (pool->llm[i] != column && pool->ve[i] != pool->ve[corner])
            search->score[i] = search->score[pair(pool, pool->ve[i], column)] +
                               search->score[pair(pool, pool->ve[corner], pool->llm[i])] -
                               search->score[corner];
done:
    return rc;
}

int mdl_search_additive(mdl_search_t *search, int64_t *choice, mdl_error_t *err)
{
    const mdl_pool_t *pool = search->pool;
    float draw[2];
    int rc = check_matrix(pool, "additive", err);
    if (rc != MDL_OK)
        return rc;
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
