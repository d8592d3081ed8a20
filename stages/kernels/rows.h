/* Small operations on each row of a matrix. */
#ifndef MDL_KERNELS_ROWS_H
#define MDL_KERNELS_ROWS_H

#include <stdint.h>

/* Each row of x [n_row, n_feat] = bias [n_feat]. */
void mdl_rows_set(float *x, const float *bias, int64_t n_row, int64_t n_feat);

/* x [n_row, n_feat] += bias [n_feat]. */
void mdl_rows_add(float *x, const float *bias, int64_t n_row, int64_t n_feat);

/* x [n_row, n_feat] += y [n_row, n_feat] * scale [n_feat]; scale NULL stands for 1. */
void mdl_rows_add_scaled(float *x, const float *y, const float *scale, int64_t n_row,
                         int64_t n_feat);

/* sum [n_feat] += the rows of x [n_row, n_feat]. */
void mdl_rows_sum(float *sum, const float *x, int64_t n_row, int64_t n_feat);

/* out [n_feat] = mean of the rows of x [n_row, n_feat]. */
void mdl_rows_mean(float *out, const float *x, int64_t n_row, int64_t n_feat);

/* Row to[i] of out = scale * row from[i] of in, i = 0 .. n_row - 1; rows have n_feat numbers, to
 * and from are [n_row]. NULL stands for 0, 1, 2, ... */
void mdl_rows_move(float *out, const int32_t *to, const float *in, const int32_t *from,
                   int64_t n_row, int64_t n_feat, float scale);

/* Row to[i] of out = scale * row from[i] of table, a table of float32, or of bfloat16
 * (kernels/bfloat16.h). */
void mdl_rows_embed(float *out, const int32_t *to, const void *table, const int32_t *from,
                    int64_t n_row, int64_t n_feat, float scale);
void mdl_rows_embed_bfloat16(float *out, const int32_t *to, const void *table, const int32_t *from,
                             int64_t n_row, int64_t n_feat, float scale);

/* at [n_row] = column of the largest number of each row of x [n_row, n_feat], the first of
 * equals. */
void mdl_rows_largest(int32_t *at, const float *x, int64_t n_row, int64_t n_feat);

#endif
