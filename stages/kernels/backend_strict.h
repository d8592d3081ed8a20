/* What the files of the strict backend share; what it is: kernels/backend.h. */
#ifndef MDL_KERNELS_BACKEND_STRICT_H
#define MDL_KERNELS_BACKEND_STRICT_H

#include "kernels/backend.h"

/* Where the n_byte bytes behind a caller's address really are; NULL stays NULL. Ends the program
 * when the backend hasn't them. */
void *mdl_strict_find(const char *operation, const void *address, size_t n_byte);

/* n numbers of the type that p points to, or n_row rows of n_col that are ld apart. */
#define AT(p, n)                  mdl_strict_find(__func__, p, (size_t)(n) * sizeof *(p))
#define ROWS(p, n_row, n_col, ld) AT(p, (n_row) > 0 ? ((n_row)-1) * (ld) + (n_col) : 0)

/* backend_strict_vision.c: the operations of vision encoders. */
void mdl_strict_layernorm_forward(float *out, const float *in, const float *weight,
                                  const float *bias, int64_t n_row, int64_t n_feat, float eps);
void mdl_strict_rope_pairs_forward(float *x, const float *cosine, const float *sine, int64_t n_row,
                                   int64_t n_head, int64_t n_head_feat, int64_t ld_x);
void mdl_strict_full_attention_forward(float *out, float *score, const float *q, const float *k,
                                       const float *v, const mdl_full_attention_t *shape);
void mdl_strict_patches(float *out, const float *image, const mdl_image_layout_t *layout,
                        int64_t patch);
void mdl_strict_depthwise_conv_forward(float *out, const float *in, const float *weight,
                                       const float *bias, int64_t height, int64_t width,
                                       int64_t n_channel, int64_t width_k);
void mdl_strict_gelu_tanh_forward(float *out, const float *in, int64_t n_value);
void mdl_strict_gelu_quick_forward(float *out, const float *in, int64_t n_value);
void mdl_strict_rows_mean(float *out, const float *x, int64_t n_row, int64_t n_feat);

#endif
