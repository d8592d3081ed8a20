/* Small operations on each row of a matrix. */
#ifndef MDL_KERNELS_ROWS_H
#define MDL_KERNELS_ROWS_H

#include <stdint.h>

/* x [n_row, n_feat] += bias [n_feat]. */
void mdl_rows_add(float *x, const float *bias, int64_t n_row, int64_t n_feat);

/* x [n_row, n_feat] += y [n_row, n_feat] * scale [n_feat]; scale NULL stands for 1. */
void mdl_rows_add_scaled(float *x, const float *y, const float *scale, int64_t n_row,
                         int64_t n_feat);

/* out [n_feat] = mean of the rows of x [n_row, n_feat]. */
void mdl_rows_mean(float *out, const float *x, int64_t n_row, int64_t n_feat);

#endif
