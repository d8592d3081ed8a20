/* The sums of the full estimators on a CUDA device, which blocks of rows are read to as they are
 * needed. */
#ifndef MDL_SIMILARITY_FULL_DEVICE_H
#define MDL_SIMILARITY_FULL_DEVICE_H

#include "kernels/feature_device.h"
#include "kernels/gram_device.h"
#include "similarity/row_units.h"

typedef struct {
    const mdl_means_t *means;
    mdl_gram_device_t *gram; /* one of the two */
    mdl_feature_device_t *feature;
} mdl_full_device_t;

enum { MDL_CKA_STRIP = 2048 }; /* columns of a block of covariances at most */

/* Rows of a block on a device: many keep it busy, fewer let ranks share the tiles out evenly. */
int64_t mdl_full_device_tile(int n_model, int64_t n_sample);

/* Columns of a part of a tile, for units of n_row rows; 0: no units. */
int64_t mdl_full_device_column(int64_t tile, int64_t n_row);

/* Opens the settings' device for tiles of Gram matrices, whose products are summed for every unit,
 * or for blocks of covariances of at most max_col columns and n_sampled rows of
 * mdl_row_sample_t. means are borrowed. Freed with
 * mdl_full_device_close, also after a failure. Not collective. Returns MDL_E_MEMORY, MDL_E_USAGE,
 * MDL_E_INTERNAL. */
int mdl_full_device_open_gram(mdl_full_device_t *device, const mdl_means_t *means,
                              const mdl_row_units_t *units, mdl_error_t *err);
int mdl_full_device_open_feature(mdl_full_device_t *device, const mdl_means_t *means,
                                 int64_t max_col, int64_t n_sampled, mdl_error_t *err);
void mdl_full_device_close(mdl_full_device_t *device);

/* As mdl_row_units_add_tile for the tile of rows i by rows j, j <= i; without units only total.
 * *lines as of mdl_gram_tile_t. Meanwhile the rows of the tile that comes next are read, unless
 * next_i is beyond the last. Not collective. Returns what reading returns. */
int mdl_full_device_products(mdl_full_device_t *device, const mdl_row_units_t *units, int64_t i,
                             int64_t j, int64_t next_i, int64_t next_j, double *total,
                             double *values, const double **lines, mdl_error_t *err);

/* With the RBF kernel: where a model's rows of mdl_rbf_sample_run are to be read to, and that they
 * were; then values: [n, n_pair] sums over a block of rows of the products of their kernel values
 * less 1, less own: [n_model, n] and less subtract: [n_model, n_sample]. Not collective. Returns
 * what reading returns. */
int mdl_full_device_sample_place(mdl_full_device_t *device, int model, void **x, mdl_error_t *err);
int mdl_full_device_sample_take(mdl_full_device_t *device, int model, int64_t n, mdl_error_t *err);
int mdl_full_device_sample(mdl_full_device_t *device, int64_t block, const double *own,
                           const double *subtract, double *values, mdl_error_t *err);

/* The values of mdl_feature_device_finish for a block over all rows. Not collective. Returns what
 * reading returns. */
int mdl_full_device_covariance(mdl_full_device_t *device, const mdl_feature_block_t *block,
                               double *values, mdl_error_t *err);

#endif
