/* The baseline that believes scores which need no training. */
#include "regress/search_state.h"

#include <math.h>

/* 1 when candidate i goes before j: by score, then the cheaper, then the first. */
static int precedes(const mdl_pool_t *pool, int64_t i, int64_t j)
{
    if (pool->score[i] != pool->score[j])
        return pool->score[i] > pool->score[j];
    if (pool->final_seconds[i] != pool->final_seconds[j])
        return pool->final_seconds[i] < pool->final_seconds[j];
    return i < j;
}

/* Ranks by score alone, or trains a share of the best ones to ratio 1 and takes the best of those;
 * the rest keeps its order behind them. */
int mdl_search_score(mdl_search_t *search, int64_t *choice, mdl_error_t *err)
{
    const mdl_pool_t *pool = search->pool;
    int64_t wanted =
        (int64_t)ceil(mdl_search_value(search, MDL_KEY_SHARE) * (double)pool->n - 1e-9);
    const double behind = wanted > 0 ? 1e6 : 0; /* no error is as large */
    if (pool->score == NULL)
        return mdl_fail(err, MDL_E_USAGE, "strategy score needs --scores FILE");
    *choice = 0;
    for (int64_t i = 0; i < pool->n; i++) {
        int64_t place = 0;
        for (int64_t j = 0; j < pool->n; j++)
            place += precedes(pool, j, i);
        search->score[i] =
            place < wanted ? mdl_search_train(search, i, 1) : behind - pool->score[i];
        if (wanted > 0 ? search->score[i] < search->score[*choice] : place == 0)
            *choice = i;
    }
    return MDL_OK;
}
