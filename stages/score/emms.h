/* EMMS: how well a linear map of the features meets a blend of label embeddings (Meng, Shao, Peng,
 * Jiang, Zhang, Qiao, Luo 2023, NeurIPS, arXiv 2308.06262, equation 4). */
#ifndef MDL_SCORE_EMMS_H
#define MDL_SCORE_EMMS_H

#include "core/error.h"

#include <stdint.h>

/* Minus the mean squared residual of min over W and t of |X W - sum_k t_k Z_k|^2, t >= 0 and
 * sum t = 1: the weighted linear square regression. Both are centred, and each label embedding is
 * scaled to a mean square of 1, so that none is preferred for being small. The minimum over W is
 * exact for any t, so what is left is a convex problem in the n_label weights, solved to rounding.
 * features: [n_sample, n_feat], row-major, finite; overwritten. labels: [n_label] embeddings
 * [n_sample, n_dim]; overwritten. weight: t, [n_label]. Not collective. Returns MDL_E_INPUT when
 * there are as many independent features as rows (any label is met then) or an embedding is the
 * same in all rows, or MDL_E_MEMORY. */
int mdl_emms(double *features, int64_t n_sample, int64_t n_feat, double *const *labels,
             int64_t n_label, int64_t n_dim, double *weight, double *score, mdl_error_t *err);

#endif
