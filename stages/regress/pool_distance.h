/* What pool.c leaves to pool_alike.c. */
#ifndef MDL_REGRESS_POOL_DISTANCE_H
#define MDL_REGRESS_POOL_DISTANCE_H

#include "regress/pool.h"

/* Fills pool->distance from its similarities; leaves NULL without. Not collective.
 * Returns MDL_E_INPUT when a model has no similarity. */
int mdl_pool_measure_distance(mdl_pool_t *pool, mdl_error_t *err);

#endif
