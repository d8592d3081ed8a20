/* NLEEP: LEEP on the parts of a mixture of Gaussians fitted to the features (Li, Jia, Sang, Zhu,
 * Green, Wang, Gong 2021, CVPR, arXiv 2011.11200, section 3.2). */
#ifndef MDL_SCORE_NLEEP_H
#define MDL_SCORE_NLEEP_H

#include "core/error.h"

#include <stdint.h>

/* Centred features are cut to the fewest principal components that hold more than 80 % of the
 * variance; a mixture of 5 n_class Gaussians, at most n_sample / 2, is fitted to them
 * (score/mixture.h, its ridge a millionth of the components' mean variance); LEEP is taken of each
 * row's probabilities of its parts.
 * features: [n_sample, n_feat], row-major, finite; overwritten. class_of: [n_sample], 0 to
 * n_class - 1. seed: of the mixture's start. Not collective. Returns MDL_E_INPUT (all rows alike)
 * or MDL_E_MEMORY. */
int mdl_nleep(double *features, int64_t n_sample, int64_t n_feat, const int32_t *class_of,
              int64_t n_class, uint64_t seed, double *score, mdl_error_t *err);

#endif
