/* The state of a simulated search, for the files that implement strategies. */
#ifndef MDL_REGRESS_SEARCH_STATE_H
#define MDL_REGRESS_SEARCH_STATE_H

#include "regress/prediction_cache.h"
#include "regress/rounds.h"
#include "regress/search.h"

struct mdl_search {
    int64_t n_max;
    const mdl_pool_t *pool;
    mdl_setting_t setting;
    uint64_t seed;
    double *reached;               /* [n] ratio trained to, 0 = never */
    double *score;                 /* [n] the final ranking, lower is better */
    double *target;                /* [n] */
    float *draw;                   /* [n] */
    int32_t *cluster, *medoid;     /* [n] */
    int32_t *rank;                 /* [2 n] */
    uint8_t *keep;                 /* [n] */
    int64_t *index;                /* [n] candidates of curves */
    mdl_point_t *points;           /* [n, MDL_ROUNDS_MAX_POINT] */
    mdl_predict_curve_t *curves;   /* [n] */
    mdl_prediction_t *predictions; /* [n] */
    mdl_rounds_space_t *rounds;
    mdl_prediction_cache_t *cache;
};

/* The value of a key in the setting. */
static inline double mdl_search_value(const mdl_search_t *search, mdl_key_t key)
{
    return search->setting.value[key];
}

/* Trains candidate i to ratio, from wherever it is; returns the error there. */
double mdl_search_train(mdl_search_t *search, int64_t i, double ratio);

/* The points of candidate i up to ratio, its divisor-th part and so on down, ascending, at most
 * MDL_ROUNDS_MAX_POINT; returns their number. */
int mdl_search_list(const mdl_search_t *search, int64_t i, double ratio, mdl_point_t *points);

/* The settings of prediction in the search's setting. */
mdl_predict_settings_t mdl_search_predict_settings(const mdl_search_t *search);

/* Predicts n candidates of search->index from their points at the ratio reached, its divisor-th
 * part and so on down: predictions [n]. Returns what mdl_predict gives. */
int mdl_search_predict(mdl_search_t *search, int64_t n, mdl_error_t *err);

/* The strategies: each sets score and *choice. */
int mdl_search_paper(mdl_search_t *search, int64_t *choice, mdl_error_t *err);
int mdl_search_rounds(mdl_search_t *search, int64_t *choice, mdl_error_t *err);
int mdl_search_score(mdl_search_t *search, int64_t *choice, mdl_error_t *err);
int mdl_search_additive(mdl_search_t *search, int64_t *choice, mdl_error_t *err);

#endif
