/* Tiles of the kernel matrices of all rows, and sums of their products over all pairs of models, on
 * a CUDA device: what similarity/gram.c does on the CPU. Built without MORDAL_ENABLE_CUDA nothing
 * can be opened. Not collective, all of it. */
#ifndef MDL_KERNELS_GRAM_DEVICE_H
#define MDL_KERNELS_GRAM_DEVICE_H

#include "kernels/rows_device.h"

typedef struct mdl_gram_device mdl_gram_device_t;

typedef struct {
    mdl_rows_device_plan_t rows;
    const double *gamma; /* [n_model] of the RBF kernel in the units of scaled rows, or NULL: the
                            linear kernel */
    int drop_diagonal;   /* linear kernel: what is on its diagonal isn't summed */
    int64_t n_column;    /* of a part, whose products are summed by themselves: a power of two, at
                            most the least one that isn't below the tile, and 2048 */
} mdl_gram_device_plan_t;

/* What a tile leaves, borrowed until the next is started. */
typedef struct {
    int64_t n_row, n_column;  /* of a part of the tile; the last ones may be smaller */
    int64_t n_down, n_across; /* parts */
    const double *sums; /* [n_down, n_across, n_model (n_model + 1) / 2] products over each part */
    const double
        *lines; /* RBF kernel, whose values are less 1: [n_model, 2, tile] sums of rows, then
                   of columns; linear kernel, tile on the diagonal: [n_model, tile] that */
} mdl_gram_tile_t;

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

/* RBF kernel: the values of the rows apart, block number n_block of the rows, with the n_j rows of
 * block j (role 1), less 1, less own: [n_model, n_apart] and less columns: [n_model, n_j], stride
 * apart; their products over these rows are summed for each of the rows apart: sums: [n_apart,
 * n_pair]. Waits for them; no tile may be started and not finished. */
int mdl_gram_device_sample(mdl_gram_device_t *gram, int64_t block_j, int64_t n_j, const double *own,
                           const double *columns, int64_t stride, double *sums, mdl_error_t *err);

/* Waits for the tile. */
int mdl_gram_device_finish(mdl_gram_device_t *gram, mdl_gram_tile_t *tile, mdl_error_t *err);

#endif
