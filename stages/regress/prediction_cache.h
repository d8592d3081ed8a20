/* Predictions that a sweep has made already: settings that differ in what comes later train the
 * same candidates to the same ratios first. */
#ifndef MDL_REGRESS_PREDICTION_CACHE_H
#define MDL_REGRESS_PREDICTION_CACHE_H

#include "regress/pool.h"

typedef struct mdl_prediction_cache mdl_prediction_cache_t;

/* Room for predictions of pools of up to n_max candidates, 32 MB in all; a new one takes the place
 * of an older one. Freed with mdl_prediction_cache_free. Not collective. Returns MDL_E_MEMORY. */
int mdl_prediction_cache_new(int64_t n_max, mdl_prediction_cache_t **cache, mdl_error_t *err);
void mdl_prediction_cache_free(mdl_prediction_cache_t *cache);

/* As mdl_predict on curves[n], which are those of candidates index[n] of the pool, each trained to
 * reached[index[k]]. What is kept goes by the pool's address: pools live as long as the cache. Not
 * collective. Returns what mdl_predict does. */
int mdl_prediction_cache_predict(mdl_prediction_cache_t *cache, const mdl_pool_t *pool,
                                 const mdl_predict_settings_t *settings, const int64_t *index,
                                 const double *reached, const mdl_predict_curve_t *curves,
                                 int64_t n, mdl_prediction_t *predictions, mdl_error_t *err);

#endif
