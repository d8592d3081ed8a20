/* The paper's search, and plain halving as its special case. */
#include "core/text.h"
#include "models/halving.h"
#include "regress/search_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One rung in the form that the decision of mordal-rung takes. */
static int rung_alloc(mdl_rung_t *rung, int64_t n, mdl_error_t *err)
{
    size_t count = (size_t)n;
    int rc;
    MDL_TRY(mdl_alloc(&rung->candidate, count, sizeof *rung->candidate, "a rung", err));
    MDL_TRY(mdl_alloc(&rung->reason, count, sizeof *rung->reason, "a rung", err));
    MDL_TRY(mdl_alloc(&rung->cluster, count, sizeof *rung->cluster, "a rung", err));
    MDL_TRY(mdl_alloc(&rung->error, count, sizeof *rung->error, "a rung", err));
    MDL_TRY(mdl_alloc(&rung->loss, count, sizeof *rung->loss, "a rung", err));
    MDL_TRY(mdl_alloc(&rung->promoted, count, sizeof *rung->promoted, "a rung", err));
    MDL_TRY(mdl_alloc(&rung->failed, count, sizeof *rung->failed, "a rung", err));
    rung->n_candidate = n;
done:
    return rc;
}

/* Trains the rung's medoids and lets mordal-rung's rule decide. A cluster that is dropped ranks
 * behind those that live and those that were dropped later: score = -rung, then its error. */
static int run_rung(mdl_search_t *search, const mdl_halving_t *halving, mdl_rung_t *rung,
                    mdl_error_t *err)
{
    const double ratio = mdl_halving_ratio(halving, rung->rung);
    for (int64_t k = 0; k < rung->n_candidate; k++) {
        int64_t i = search->medoid[rung->cluster[k]];
        rung->candidate[k] = search->pool->curves[i]->model;
        rung->error[k] = mdl_search_train(search, i, fmin(ratio, halving->max_ratio));
        rung->loss[k] = NAN;
    }
    free(rung->note);
    return mdl_halving_promote(halving, rung, err);
}

/* Candidates of dropped clusters get their final score: above 10, the later dropped the lower,
 * then by the medoid's error. */
static int64_t drop(mdl_search_t *search, mdl_rung_t *rung)
{
    int64_t n_left = 0;
    for (int64_t k = 0; k < rung->n_candidate; k++) {
        if (rung->promoted[k]) {
            rung->cluster[n_left++] = rung->cluster[k];
            continue;
        }
        for (int64_t i = 0; i < search->pool->n; i++)
            if (search->cluster[i] == rung->cluster[k]) {
                double error = rung->error[k];
                search->score[i] = 1e6 / (double)rung->rung + error / (1 + error);
                search->keep[i] = 0;
            }
    }
    return n_left;
}

/* Halving over the clusters: keep[i] = 0 for candidates of those that were dropped. */
static int halve(mdl_search_t *search, int64_t n_cluster, mdl_error_t *err)
{
    const mdl_halving_t halving = {.start_ratio = mdl_search_value(search, MDL_KEY_START_RATIO),
                                   .eta = mdl_search_value(search, MDL_KEY_ETA),
                                   .max_ratio = mdl_search_value(search, MDL_KEY_MAX_RATIO),
                                   .keep = (int64_t)mdl_search_value(search, MDL_KEY_KEEP)};
    mdl_rung_t rung = {.rung = 1};
    int rc;
    memset(search->keep, 1, (size_t)search->pool->n);
    if (mdl_search_value(search, MDL_KEY_HALVING) == 0 || n_cluster <= halving.keep)
        return MDL_OK;
    MDL_TRY(rung_alloc(&rung, n_cluster, err));
    for (int32_t k = 0; k < n_cluster; k++)
        rung.cluster[k] = k;
    for (; !rung.finished; rung.rung++) {
        MDL_TRY(run_rung(search, &halving, &rung, err));
        rung.n_candidate = drop(search, &rung);
    }
done:
    mdl_rung_free(&rung);
    return rc;
}

static int cluster(mdl_search_t *search, int64_t *n_cluster, mdl_error_t *err)
{
    *n_cluster = search->pool->n;
    if (mdl_search_value(search, MDL_KEY_CLUSTERS) != 0)
        return mdl_pool_cluster(search->pool, mdl_search_value(search, MDL_KEY_T_VE),
                                mdl_search_value(search, MDL_KEY_T_LLM), search->cluster,
                                search->medoid, n_cluster, err);
    for (int32_t i = 0; i < search->pool->n; i++)
        search->cluster[i] = search->medoid[i] = i;
    return MDL_OK;
}

/* All candidates that live are trained to R and predicted; the lowest predicted error is chosen. */
int mdl_search_paper(mdl_search_t *search, int64_t *choice, mdl_error_t *err)
{
    const double max_ratio = mdl_search_value(search, MDL_KEY_MAX_RATIO);
    const int predicts = mdl_search_value(search, MDL_KEY_PREDICTION) != 0;
    int64_t n_cluster, n_left = 0;
    int rc;
    MDL_TRY(cluster(search, &n_cluster, err));
    MDL_TRY(halve(search, n_cluster, err));
    *choice = -1;
    for (int64_t i = 0; i < search->pool->n; i++)
        if (search->keep[i]) {
            search->score[i] = mdl_search_train(search, i, max_ratio);
            search->index[n_left++] = i;
        }
    if (predicts)
        MDL_TRY(mdl_search_predict(search, n_left, err));
    for (int64_t k = 0; k < n_left; k++) {
        int64_t i = search->index[k];
        if (predicts)
            search->score[i] = search->predictions[k].predicted;
        if (*choice < 0 || search->score[i] < search->score[*choice])
            *choice = i;
    }
done:
    return rc;
}
