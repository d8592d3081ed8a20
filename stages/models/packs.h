/* Which samples of a step pass through the decoder together. */
#ifndef MDL_MODELS_PACKS_H
#define MDL_MODELS_PACKS_H

#include "core/error.h"

#include <stdint.h>

typedef struct {
    int64_t n;        /* samples */
    int64_t n_pack;   /* 1 .. n */
    int64_t *begin;   /* [n + 1], pack p has member[begin[p]] .. member[begin[p + 1] - 1] */
    int64_t *member;  /* [n], the samples, pack by pack and rising within each */
    int64_t *pack_of; /* [n] */
    int64_t n_leaf;   /* the least power of two >= n */
    int64_t *room;    /* [2 n_leaf], scratch: a tree over the packs' room */
} mdl_packs_t;

/* Makes room for n samples. Freed by mdl_packs_free, also after a failure. Not collective. Returns
 * MDL_E_MEMORY. */
int mdl_packs_new(mdl_packs_t *packs, int64_t n, mdl_error_t *err);
void mdl_packs_free(mdl_packs_t *packs);

/* Puts every sample, in order, into the first pack that has room for its length [n] (first fit;
 * Johnson et al. 1974, SIAM J. Comput. 3, 299). A longer one than capacity is alone; with capacity
 * 0 each is alone, pack i holds sample i. Not collective. */
void mdl_packs_fill(mdl_packs_t *packs, const int64_t *length, int64_t capacity);

#endif
