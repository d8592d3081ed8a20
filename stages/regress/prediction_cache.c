#include "regress/prediction_cache.h"

#include "core/text.h"
#include "io/digest.h"

#include <stdlib.h>
#include <string.h>

enum { N_HEAD = 8, N_BYTE = 32 << 20 };

struct mdl_prediction_cache {
    int64_t n_max, n_slot;         /* n_slot is a power of two */
    double *asked;                 /* [N_HEAD + 2 n_max] the key that is looked for */
    double *keys;                  /* [n_slot, N_HEAD + 2 n_max]; keys[0] of a slot is its length */
    mdl_prediction_t *predictions; /* [n_slot, n_max] */
};

static int64_t key_size(int64_t n)
{
    return N_HEAD + 2 * n;
}

int mdl_prediction_cache_new(int64_t n_max, mdl_prediction_cache_t **cache, mdl_error_t *err)
{
    const size_t one =
        (size_t)key_size(n_max) * sizeof(double) + (size_t)n_max * sizeof(mdl_prediction_t);
    mdl_prediction_cache_t *c;
    int rc = mdl_alloc(&c, 1, sizeof *c, "predictions", err);
    if (rc != MDL_OK)
        return rc;
    c->n_max = n_max;
    for (c->n_slot = 1; (size_t)c->n_slot * 2 * one <= N_BYTE;)
        c->n_slot *= 2;
    const size_t n_slot = (size_t)c->n_slot, n_key = (size_t)key_size(n_max);
    MDL_TRY(mdl_alloc(&c->asked, n_key, sizeof(double), "predictions", err));
    MDL_TRY(mdl_alloc(&c->keys, n_slot * n_key, sizeof(double), "predictions", err));
    MDL_TRY(mdl_alloc(&c->predictions, n_slot * (size_t)n_max, sizeof *c->predictions,
                      "predictions", err));
    *cache = c;
    c = NULL;
done:
    mdl_prediction_cache_free(c);
    return rc;
}

void mdl_prediction_cache_free(mdl_prediction_cache_t *cache)
{
    if (cache == NULL)
        return;
    free(cache->asked);
    free(cache->keys);
    free(cache->predictions);
    free(cache);
}

/* Writes the key: its length, the pool, the settings, who was trained how far. */
static int64_t fill_key(double *key, const mdl_pool_t *pool, const mdl_predict_settings_t *s,
                        const int64_t *index, const double *reached, int64_t n)
{
    const uintptr_t address = (uintptr_t)pool;
    key[0] = (double)key_size(n);
    memcpy(&key[1], &address, sizeof address);
    key[2] = s->method;
    key[3] = s->confidence;
    key[4] = s->divisor;
    key[5] = (double)s->min_points;
    key[6] = (double)s->max_points;
    key[7] = s->tolerance;
    for (int64_t k = 0; k < n; k++) {
        key[N_HEAD + 2 * k] = (double)index[k];
        key[N_HEAD + 2 * k + 1] = reached[index[k]];
    }
    return key_size(n);
}

int mdl_prediction_cache_predict(mdl_prediction_cache_t *cache, const mdl_pool_t *pool,
                                 const mdl_predict_settings_t *settings, const int64_t *index,
                                 const double *reached, const mdl_predict_curve_t *curves,
                                 int64_t n, mdl_prediction_t *predictions, mdl_error_t *err)
{
    const size_t n_byte =
        (size_t)fill_key(cache->asked, pool, settings, index, reached, n) * sizeof(double);
    const int64_t slot =
        (int64_t)(mdl_digest_row(cache->asked, n_byte) & (uint64_t)(cache->n_slot - 1));
    double *key = cache->keys + slot * key_size(cache->n_max);
    mdl_prediction_t *kept = cache->predictions + slot * cache->n_max;
    if (memcmp(key, cache->asked, n_byte) == 0) {
        memcpy(predictions, kept, (size_t)n * sizeof *predictions);
        return MDL_OK;
    }
    int rc = mdl_predict(settings, curves, n, predictions, err);
    if (rc == MDL_OK) {
        memcpy(key, cache->asked, n_byte);
        memcpy(kept, predictions, (size_t)n * sizeof *predictions);
    }
    return rc;
}
