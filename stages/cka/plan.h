/* What a comparison will cost by each route, and which route is the cheapest. */
#ifndef MDL_CKA_PLAN_H
#define MDL_CKA_PLAN_H

#include "similarity/archives.h"
#include "similarity/similarity.h"

typedef enum { MDL_PLAN_MINIBATCH, MDL_PLAN_GRAM, MDL_PLAN_FEATURE, MDL_PLAN_N } mdl_plan_route_t;

/* "minibatch", "gram", "feature". */
const char *mdl_plan_route_name(mdl_plan_route_t route);

typedef struct {
    double n_item; /* batches, tiles or blocks: the units that ranks share out */
    const char *item;
    double flops, bytes_read;                    /* of all ranks */
    double memory_per_rank, bytes_sent_per_rank; /* bytes; each rank's own part of the exchange */
} mdl_cka_plan_t;

/* Counts work and memory of a route for the opened archives. Not collective. */
mdl_cka_plan_t mdl_cka_plan(mdl_plan_route_t route, const mdl_cka_settings_t *settings,
                            const mdl_cka_archives_t *archives, int n_rank);

/* The route that the settings take: the minibatch estimator has its own; the full ones take tiles
 * of the Gram matrices or, with the linear kernel and many rows, blocks of the covariances,
 * whichever needs fewer operations. The same on every machine. Not collective. */
mdl_plan_route_t mdl_cka_route(const mdl_cka_settings_t *settings,
                               const mdl_cka_archives_t *archives);

/* Prints when --stop clusters (settings->stopping) looks, and what it may save. One rank only. */
void mdl_cka_plan_print_stop(const mdl_cka_settings_t *settings,
                             const mdl_cka_archives_t *archives);

/* Prints what the Gram cache saves: kept: [n_model] models whose matrices are there already; those
 * of the others are kept in folder, unless it is NULL. One rank only. */
void mdl_cka_plan_print_cache(const mdl_cka_settings_t *settings,
                              const mdl_cka_archives_t *archives, const char *folder,
                              const char *kept);

/* Prints every route's plan for output with the seconds on n_rank ranks, predicted from a matrix
 * product and from rows that are read here, and which one the settings take. One rank only.
 * Returns what reading returns. */
int mdl_cka_plan_print(const mdl_cka_settings_t *settings, mdl_plan_route_t chosen,
                       const mdl_cka_archives_t *archives, int n_rank, const char *output,
                       mdl_error_t *err);

#endif
