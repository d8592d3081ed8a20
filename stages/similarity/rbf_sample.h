/* Evenly spaced rows that the standard error of the full estimators with the RBF kernel comes from:
 * what each adds to the HSICs, once the sums of the kernel matrices' rows are known, so in a pass
 * of its own. docs/numerics.md derives it. */
#ifndef MDL_SIMILARITY_RBF_SAMPLE_H
#define MDL_SIMILARITY_RBF_SAMPLE_H

#include "similarity/full_device.h"

/* The kernel matrix is centred by its row sums r and their total R: k_ij - r_i / row - r_j / row +
 * R / total; HSIC is the sum of the products over scale. */
typedef struct {
    double row, total, scale;
} mdl_rbf_weights_t;

mdl_rbf_weights_t mdl_rbf_weights(const mdl_cka_task_t *task);

/* Rows that are taken of n_sample: one of 32, at least 128 and at most 1024, fewer for many models.
 */
int64_t mdl_rbf_sample_size(int n_model, int64_t n_sample);

/* Sets the units of the task's sums to the sampled rows, which stand for all. device: opened for
 * Gram tiles, or NULL: the CPU. row_sum: [n_model, n_sample] of the kernel matrices less 1, with
 * zeros on the diagonal. Collective over comm. Returns MDL_E_MEMORY, MDL_E_AGAIN, or what reading
 * returns. */
int mdl_rbf_sample_run(MPI_Comm comm, const mdl_means_t *means, mdl_full_device_t *device,
                       const double *row_sum, mdl_error_t *err);

#endif
