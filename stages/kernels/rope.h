/* Rotary position embedding (Su et al. 2021, arXiv 2104.09864, equation 34) on the two halves of
 * a head, as Hugging Face checkpoints lay them out. */
#ifndef MDL_KERNELS_ROPE_H
#define MDL_KERNELS_ROPE_H

#include <stdint.h>

/* cosine, sine [n_position, n_frequency] of position * frequency, frequency [n_frequency]. */
void mdl_rope_table(float *cosine, float *sine, const float *frequency, int64_t n_position,
                    int64_t n_frequency);

/* Rotates x [n_row, n_head, n_head_feat] in place; rows are ld_x apart. cosine and sine
 * [n_row, n_head_feat / 2] start at the position of the first row. */
void mdl_rope_forward(float *x, const float *cosine, const float *sine, int64_t n_row,
                      int64_t n_head, int64_t n_head_feat, int64_t ld_x);

/* Turns the gradient dx back in place: the rotation's transpose, shapes as in the forward. */
void mdl_rope_backward(float *dx, const float *cosine, const float *sine, int64_t n_row,
                       int64_t n_head, int64_t n_head_feat, int64_t ld_dx);

#endif
