/* The optimiser. */
#ifndef MDL_KERNELS_ADAM_H
#define MDL_KERNELS_ADAM_H

#include <stdint.h>

/* One step of Adam (Kingma and Ba 2015, arXiv 1412.6980, algorithm 1, as PyTorch computes it:
 * bias-corrected moments, eps outside the root, no weight decay) on param [n_param] with its
 * gradient grad and moments m, v [n_param], which start at zero. step counts from 1.
 * Not collective. */
void mdl_adam_step(float *param, const float *grad, float *m, float *v, int64_t n_param,
                   int64_t step, double lr, double beta1, double beta2, double eps);

#endif
