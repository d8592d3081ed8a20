/* One rung of successive halving over the candidate clusters of a study. */
#ifndef MDL_RUNG_RUNG_H
#define MDL_RUNG_RUNG_H

#include "core/stage.h"

typedef struct {
    int64_t rung;                               /* --rung; 0 = the next one */
    const char *backend;                        /* NULL = the study's trainer.backend */
    const char *candidates, *previous, *output; /* by hand; NULL = the study's own files */
} mdl_rung_options_t;

/* Trains each cluster's medoid candidate to the rung's ratio, measures it and promotes the best.
 * Collective over stage->comm. Returns MDL_E_AGAIN when it was stopped (every candidate keeps its
 * checkpoint), MDL_E_TRAINER when all candidates failed, and what its inputs give. */
int mdl_rung_run(mdl_stage_t *stage, const mdl_rung_options_t *options, mdl_error_t *err);

#endif
