/* Tiles of the kernel matrices of all rows, and sums of their products over all pairs of models, on
 * a CUDA device: what cka/gram.c does on the CPU. Built without MORDAL_ENABLE_CUDA nothing can be
 * opened. Not collective, all of it. */
#ifndef MDL_KERNELS_GRAM_DEVICE_H
#define MDL_KERNELS_GRAM_DEVICE_H

#include "kernels/rows_device.h"

typedef struct mdl_gram_device mdl_gram_device_t;

typedef struct {
    mdl_rows_device_plan_t rows;
    const double *gamma; /* [n_model] of the RBF kernel in the units of scaled rows, or NULL: the
                            linear kernel */
    int drop_diagonal;   /* linear kernel: what is on its diagonal isn't summed */
} mdl_gram_device_plan_t;

/* Memory on the device with n_block blocks of rows there, in bytes, beside CUDA's own. */
double mdl_gram_device_bytes(const mdl_gram_device_plan_t *plan, int64_t n_block);

/* plan's arrays are copied. *gram is NULL when it fails. Returns MDL_E_MEMORY, MDL_E_USAGE for what
 * is too large for cuBLAS, MDL_E_INTERNAL naming CUDA's error. */
int mdl_gram_device_open(const mdl_gram_device_plan_t *plan, mdl_gram_device_t **gram,
                         mdl_error_t *err);
void mdl_gram_device_close(mdl_gram_device_t *gram);

/* Its rows; gram's. */
mdl_rows_device_t *mdl_gram_device_rows(mdl_gram_device_t *gram);

/* Starts on the tile of n_i rows of block i (role 0) by n_j rows of block j (role 1; the same block
 * for i == j), which are there for every model. Of a tile on the diagonal only the lower triangle
 * counts. Other blocks may be put before mdl_gram_device_finish. */
int mdl_gram_device_start(mdl_gram_device_t *gram, int64_t block_i, int64_t n_i, int64_t block_j,
                          int64_t n_j, mdl_error_t *err);

/* Waits for the tile. products: [n_model (n_model + 1) / 2] packed sums of products over it.
 * *lines: [n_model, 2, tile], borrowed until the next start. RBF kernel, whose values are less 1:
 * sums of rows and of columns. Linear kernel: of a tile on the diagonal the diagonal, and nothing.
 */
int mdl_gram_device_finish(mdl_gram_device_t *gram, double *products, const double **lines,
                           mdl_error_t *err);

#endif
