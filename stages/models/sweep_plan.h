/* What a sweep will do, for --dry-run. */
#ifndef MDL_MODELS_SWEEP_PLAN_H
#define MDL_MODELS_SWEEP_PLAN_H

#include "models/sweep.h"

/* Prints candidates, ratios, predicted training seconds (those of the processor, also for
 * GPUs), groups and memory to stdout. from: the ratio that each candidate is trained to already,
 * [n]. Call on rank 0 alone. */
void mdl_sweep_print_plan(const mdl_study_t *study, mdl_trainer_t *trainer,
                          const mdl_sweep_t *sweep, const mdl_candidate_t *candidates,
                          const double *from, int64_t n, int n_rank);

#endif
