/* Scores that need no training, for the candidates of a pool. */
#include "core/text.h"
#include "regress/pool.h"

#include <stdlib.h>

/* Fills pool->score by the name that of gives each candidate; returns the first one without a
 * score, -1 if there is none. */
static int64_t fill(const mdl_scores_t *scores, mdl_pool_t *pool, int by_encoder)
{
    for (int64_t i = 0; i < pool->n; i++) {
        const char *name = by_encoder ? pool->ve_name[pool->ve[i]] : pool->curves[i]->model;
        int64_t at = mdl_scores_find(scores, pool->task, name);
        if (at < 0)
            return i;
        pool->score[i] = scores->score[at];
    }
    return -1;
}

int mdl_pool_take_scores(mdl_pool_t *pool, const mdl_scores_t *scores, mdl_error_t *err)
{
    if (scores->n_model == 0)
        return MDL_OK;
    int rc = mdl_alloc(&pool->score, (size_t)pool->n, sizeof *pool->score, "scores", err);
    if (rc != MDL_OK || fill(scores, pool, 0) < 0)
        return rc;
    int64_t missing = fill(scores, pool, 1);
    if (missing >= 0)
        return mdl_fail(err, MDL_E_INPUT,
                        "--scores: task %s: no score of %s, nor of its encoder; give one of every "
                        "candidate or of every encoder",
                        pool->task, pool->curves[missing]->model);
    return MDL_OK;
}
