/* A mixture of Gaussians with full covariances, fitted by expectation maximisation in the log
 * domain, as scikit-learn's GaussianMixture does it: from hard clusters, until the mean log
 * likelihood gains less than 0.001 or for 100 rounds. */
#ifndef MDL_SCORE_MIXTURE_H
#define MDL_SCORE_MIXTURE_H

#include "core/error.h"

#include <stdint.h>

/* Hard clusters of x: [n_row, n_dim] into n_part parts: k-means++ (Arthur and Vassilvitskii 2007),
 * drawn by Philox from seed, then Lloyd's rounds until nothing moves or for 300 rounds; a part that
 * empties takes the row that lies furthest from its own part's mean. part: [n_row]. n_part must be
 * at most n_row. Not collective. Returns MDL_E_MEMORY. */
int mdl_mixture_start(const double *x, int64_t n_row, int64_t n_dim, int64_t n_part, uint64_t seed,
                      int32_t *part, mdl_error_t *err);

/* Fits the mixture from the hard clusters and gives each row's probability of each part.
 * ridge > 0 is added to the variances. posterior: [n_row, n_part]. *log_likelihood: mean over the
 * rows under the parameters behind posterior. Not collective. Returns MDL_E_INPUT when a covariance
 * isn't positive (a larger ridge is due), or MDL_E_MEMORY. */
int mdl_mixture_fit(const double *x, int64_t n_row, int64_t n_dim, int64_t n_part,
                    const int32_t *part, double ridge, double *posterior, double *log_likelihood,
                    mdl_error_t *err);

#endif
