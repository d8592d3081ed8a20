/* The rounds of a study: the strategies interval and cross with real training. */
#ifndef MDL_REGRESS_ROUNDS_STUDY_H
#define MDL_REGRESS_ROUNDS_STUDY_H

#include "core/stage.h"
#include "io/candidates_file.h"
#include "models/sweep.h"
#include "regress/rounds.h"

typedef struct {
    int64_t choice;            /* in the zoo; this and the rest on rank 0 alone */
    double *score;             /* [n_candidate] logarithm of the error expected at ratio 1 */
    mdl_decision_t *decisions; /* [n_decision] in the order in which they were made */
    int64_t n_decision;
} mdl_study_rounds_t;

/* Runs the study's rounds over all candidates of the zoo. Rank 0 decides, all train. results:
 * [n_candidate] what was measured of each, zeros where it was never trained, the same on all ranks.
 * Similarities are taken from the study's cka/ where they are there. A dry run prints what the
 * first round will train, and no more. Freed with mdl_study_rounds_free. Collective over
 * stage->comm. Returns MDL_E_AGAIN when it was stopped (run again, it goes on from the candidates'
 * checkpoints and decides the same), MDL_E_TRAINER when all failed, and what reading and prediction
 * give. */
int mdl_study_rounds_run(mdl_stage_t *stage, const mdl_study_t *study, const mdl_candidates_t *zoo,
                         const mdl_predict_settings_t *predict, mdl_sweep_result_t *results,
                         mdl_study_rounds_t *rounds, mdl_error_t *err);
void mdl_study_rounds_free(mdl_study_rounds_t *rounds);

#endif
