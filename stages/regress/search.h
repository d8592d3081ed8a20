/* A simulated search: a strategy on the curves of one task, without training. */
#ifndef MDL_REGRESS_SEARCH_H
#define MDL_REGRESS_SEARCH_H

#include "regress/pool.h"
#include "regress/strategy.h"

typedef struct {
    int64_t choice;    /* candidate */
    double regret;     /* error of the choice less the best error, at ratio 1 */
    double relative;   /* regret in units of the median candidate's, at most 3; 0 for one model */
    double tau;        /* weighted Kendall tau of the final ranking; NaN for a constant one */
    int top1;          /* the choice has the best error */
    int within_stderr; /* ... or one within a standard error of it */
    double cost;       /* share of the seconds that all candidates take to ratio 1 */
} mdl_outcome_t;

typedef struct mdl_search mdl_search_t;

/* Working space for searches of pools of up to n_max candidates. Freed with mdl_search_free.
 * Not collective. Returns MDL_E_MEMORY. */
int mdl_search_new(int64_t n_max, mdl_search_t **search, mdl_error_t *err);
void mdl_search_free(mdl_search_t *search);

/* Runs one search. setting: resolved. seed counts for strategies that draw (RANDOM, and the row and
 * column of ADDITIVE). Not collective. Returns MDL_E_INPUT when the strategy can't be used on the
 * pool, or what prediction gives. */
int mdl_search_run(mdl_search_t *search, const mdl_pool_t *pool, const mdl_setting_t *setting,
                   uint64_t seed, mdl_outcome_t *outcome, mdl_error_t *err);

#endif
