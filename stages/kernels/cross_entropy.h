/* Softmax and cross entropy in one pass over the logits. */
#ifndef MDL_KERNELS_CROSS_ENTROPY_H
#define MDL_KERNELS_CROSS_ENTROPY_H

#include <stdint.h>

/* Adds the sum over rows of -log softmax(logit [n_row, n_class])[target [n_row]] to *loss_sum.
 * Writes the log of each row's sum of exponentials to log_sum [n_row]. */
void mdl_cross_entropy_forward(double *loss_sum, float *log_sum, const float *logit,
                               const int32_t *target, int64_t n_row, int64_t n_class);

/* dlogit [n_row, n_class] is set to scale * (softmax(logit) - one at target); dlogit may be
 * logit. */
void mdl_cross_entropy_backward(float *dlogit, const float *logit, const float *log_sum,
                                const int32_t *target, int64_t n_row, int64_t n_class, float scale);

#endif
