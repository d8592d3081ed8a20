/* LogME: the evidence of a Bayesian linear model from features to labels (You, Liu, Wang, Long
 * 2021, ICML, arXiv 2102.11005, Algorithm 1 and equation 2). */
#ifndef MDL_SCORE_LOGME_H
#define MDL_SCORE_LOGME_H

#include "core/error.h"

#include <stdint.h>

/* Mean over the classes of (log evidence of "row i is of the class", as 0 or 1) / n_sample, each at
 * the prior and noise that maximise it, found by the fixed point of the paper until it stands still
 * (the published program stops at 1 in 1,000). Features are taken as they are: not centred, no
 * intercept. With more features than rows, the features' null space counts as the prior has it.
 * features: [n_sample, n_feat], row-major, finite; overwritten. class_of: [n_sample], 0 to
 * n_class - 1. Not collective. Returns MDL_E_INPUT or MDL_E_MEMORY. */
int mdl_logme(double *features, int64_t n_sample, int64_t n_feat, const int32_t *class_of,
              int64_t n_class, double *score, mdl_error_t *err);

#endif
