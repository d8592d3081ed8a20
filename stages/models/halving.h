/* Successive halving over candidate clusters (Jamieson and Talwalkar 2016; Mordal, arXiv
 * 2502.00241, section 4.2): train a few on little, keep the best 1/eta, train these eta times as
 * far. */
#ifndef MDL_MODELS_HALVING_H
#define MDL_MODELS_HALVING_H

#include "io/rung_file.h"

typedef struct {
    double start_ratio, eta, max_ratio; /* b, eta, R */
    int64_t keep;                       /* K clusters */
} mdl_halving_t;

/* The ratio of rung number rung (from 1): b eta^(rung - 1). Not collective. */
double mdl_halving_ratio(const mdl_halving_t *halving, int64_t rung);

/* Sets promoted for the best ceil(n / eta) rows, but never fewer than K, and for K alone when the
 * next rung would pass R: lowest error first, ties by loss, then by name. A failed row is never
 * promoted. Then sets finished (K or fewer go on) and note, which is new memory. Not collective.
 * Returns MDL_E_TRAINER when all rows failed, or MDL_E_MEMORY. */
int mdl_halving_promote(const mdl_halving_t *halving, mdl_rung_t *rung, mdl_error_t *err);

/* The rung of no more than K clusters: nobody is measured, all go on. As above. */
int mdl_halving_pass_all(const mdl_halving_t *halving, mdl_rung_t *rung, mdl_error_t *err);

#endif
