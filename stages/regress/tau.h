/* How well one ranking agrees with another. */
#ifndef MDL_REGRESS_TAU_H
#define MDL_REGRESS_TAU_H

#include <stdint.h>

/* Kendall's tau of a and b, [n] each, lower is better, with hyperbolic weights 1 / (1 + rank) added
 * for a pair and averaged over the rankings by a and by b (Vigna 2015; the default of
 * scipy.stats.weightedtau on -a and -b). rank: [2 n], working space. NaN when one is constant.
 * Not collective. */
double mdl_weighted_tau(const double *a, const double *b, int64_t n, int32_t *rank);

#endif
