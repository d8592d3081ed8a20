/* The state of a simulated search, for the files that implement strategies. */
#ifndef MDL_REGRESS_SEARCH_STATE_H
#define MDL_REGRESS_SEARCH_STATE_H

#include "regress/interval.h"
#include "regress/prediction_cache.h"
#include "regress/search.h"

enum { MDL_SEARCH_MAX_POINT = 64 };

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
    int64_t *members;              /* [n] candidates of a group */
    mdl_point_t *points;           /* [n, MDL_SEARCH_MAX_POINT] */
    mdl_predict_curve_t *curves;   /* [n] */
    mdl_prediction_t *predictions; /* [n] */
    mdl_belief_t *beliefs;         /* [n] */
    mdl_prediction_cache_t *cache;
};

/* The value of a key in the setting. */
static inline double mdl_search_value(const mdl_search_t *search, mdl_key_t key)
{
    return search->setting.value[key];
}

/* Trains candidate i to ratio, from wherever it is; returns the error there. */
double mdl_search_train(mdl_search_t *search, int64_t i, double ratio);

/* Predicts n candidates of search->index from their points at the ratio reached, its divisor-th
 * part and so on down: predictions [n]. Returns what mdl_predict gives. */
int mdl_search_predict(mdl_search_t *search, int64_t n, mdl_error_t *err);

/* The strategies: each sets score and *choice. */
int mdl_search_paper(mdl_search_t *search, int64_t *choice, mdl_error_t *err);
int mdl_search_interval(mdl_search_t *search, int64_t *choice, mdl_error_t *err);
int mdl_search_cross(mdl_search_t *search, int64_t *choice, mdl_error_t *err);
int mdl_search_score(mdl_search_t *search, int64_t *choice, mdl_error_t *err);
int mdl_search_additive(mdl_search_t *search, int64_t *choice, mdl_error_t *err);

#endif
