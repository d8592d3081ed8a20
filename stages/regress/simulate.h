/* Simulated searches on measured curves: `mordal simulate`. docs/simulation.md. */
#ifndef MDL_REGRESS_SIMULATE_H
#define MDL_REGRESS_SIMULATE_H

#include "core/stage.h"

typedef struct {
    int simulate;                 /* --simulate */
    const char *strategy, *sweep; /* NULL = paper; one setting */
    const char *scores;           /* FILE for the strategy score, NULL = none */
    const char *similarity;       /* first file, NULL = none; more of them are the arguments */
    int64_t n_seed;
    const char *output; /* OUT.h5, with OUT.svg beside it; NULL = print only */
} mdl_simulate_options_t;

/* Runs every setting of the sweep on every task of the curves, with every seed, settings and tasks
 * shared out over the ranks; prints CSV and writes table and picture. The table doesn't depend on
 * the number of ranks. method: NULL = the strategy's. Collective over stage->comm. Returns
 * MDL_E_USAGE, MDL_E_INPUT, and what reading and writing give. */
int mdl_simulate_run(mdl_stage_t *stage, const mdl_simulate_options_t *options, const char *curves,
                     const char *method, mdl_error_t *err);

#endif
