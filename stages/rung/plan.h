/* Which rung to run, from what, and whether there is anything to do. */
#ifndef MDL_RUNG_PLAN_H
#define MDL_RUNG_PLAN_H

#include "core/stage.h"
#include "models/halving.h"
#include "rung/rung.h"

typedef struct {
    int64_t number;      /* of the rung, from 1 */
    int nothing_to_do;   /* the log said why */
    char *candidates;    /* path */
    char *previous;      /* path, NULL for rung 1 */
    char *output;        /* path */
    char *configuration; /* the text in provenance */
    mdl_provenance_t provenance;
} mdl_rung_plan_t;

mdl_halving_t mdl_rung_halving(const mdl_study_t *study);

/* Decides on rank 0 and tells all. Freed with mdl_rung_plan_free. Collective over stage->comm.
 * Returns MDL_E_MISSING with the command to run when an input isn't there, or MDL_E_USAGE. */
int mdl_rung_plan(mdl_stage_t *stage, const mdl_study_t *study, const mdl_rung_options_t *options,
                  mdl_rung_plan_t *plan, mdl_error_t *err);
void mdl_rung_plan_free(mdl_rung_plan_t *plan);

#endif
