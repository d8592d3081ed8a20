/* Measures a trained candidate on the eval samples of its corpus. */
#ifndef MDL_MODELS_NATIVE_SCORE_H
#define MDL_MODELS_NATIVE_SCORE_H

#include "models/native_run.h"

/* The standard error of an error rate of n_wrong in n answers: sqrt(p (1 - p) / n) with
 * p = n_wrong / n; where that would be 0 (none or all wrong), p = (n_wrong + 1) / (n + 2),
 * Laplace's rule of succession. */
double mdl_native_stderr(int64_t n_wrong, int64_t n);

/* Answers every eval sample greedily and fills point's error (share of answers that aren't exactly
 * right, white space at the ends apart), error_stderr and loss (nats a scored token). Packs of
 * samples (trainer.pack_length; of one each where it is 0) are dealt over the ranks, and the same
 * ones whatever their number, which has no bearing on the numbers' bits.
 * Collective over run->group. Returns MDL_E_AGAIN when stopped, MDL_E_TRAINER for a loss that isn't
 * finite, MDL_E_INPUT, MDL_E_MEMORY. */
int mdl_native_score(mdl_native_run_t *run, mdl_point_t *point, mdl_error_t *err);

#endif
