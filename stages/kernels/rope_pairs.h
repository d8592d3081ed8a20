/* Rotary position embedding in two dimensions (Fang et al. 2023, arXiv 2303.11331, section 2.1) on
 * neighbouring features: the first half of a head turns with the row of the patch, the second with
 * its column. */
#ifndef MDL_KERNELS_ROPE_PAIRS_H
#define MDL_KERNELS_ROPE_PAIRS_H

#include <stdint.h>

/* cosine, sine [n_height * n_width, n_head_feat / 2] of row * row_step * f_i, then of
 * column * column_step * f_i, where f_i = theta^(-i / (n_head_feat / 4)). */
void mdl_rope_pairs_table(float *cosine, float *sine, int64_t n_height, int64_t n_width,
                          float row_step, float column_step, int64_t n_head_feat, double theta);

/* Rotates the pairs (2i, 2i + 1) of x [n_row, n_head, n_head_feat] in place; rows are ld_x apart.
 * cosine, sine [n_row, n_head_feat / 2]. */
void mdl_rope_pairs_forward(float *x, const float *cosine, const float *sine, int64_t n_row,
                            int64_t n_head, int64_t n_head_feat, int64_t ld_x);

#endif
