#include "kernels/backend_strict.h"

#include "kernels/depthwise_conv.h"
#include "kernels/gelu.h"
#include "kernels/gelu_quick.h"
#include "kernels/layernorm.h"
#include "kernels/rope_pairs.h"
#include "kernels/rows.h"

void mdl_strict_layernorm_forward(float *out, const float *in, const float *weight,
                                  const float *bias, int64_t n_row, int64_t n_feat, float eps)
{
    mdl_layernorm_forward(AT(out, n_row * n_feat), AT(in, n_row * n_feat), AT(weight, n_feat),
                          AT(bias, n_feat), n_row, n_feat, eps);
}

void mdl_strict_rope_pairs_forward(float *x, const float *cosine, const float *sine, int64_t n_row,
                                   int64_t n_head, int64_t n_head_feat, int64_t ld_x)
{
    int64_t n_table = n_row * (n_head_feat / 2);
    mdl_rope_pairs_forward(ROWS(x, n_row, n_head * n_head_feat, ld_x), AT(cosine, n_table),
                           AT(sine, n_table), n_row, n_head, n_head_feat, ld_x);
}

void mdl_strict_full_attention_forward(float *out, float *score, const float *q, const float *k,
                                       const float *v, const mdl_full_attention_t *shape)
{
    int64_t n_query = shape->n_image * shape->n_query, n_key = shape->n_image * shape->n_key;
    int64_t n_col = shape->n_head * shape->n_head_feat;
    mdl_full_attention_forward(AT(out, n_query * n_col), AT(score, shape->n_query * shape->n_key),
                               ROWS(q, n_query, n_col, shape->ld_q),
                               ROWS(k, n_key, n_col, shape->ld_kv),
                               ROWS(v, n_key, n_col, shape->ld_kv), shape);
}

void mdl_strict_patches(float *out, const float *image, const mdl_image_layout_t *layout,
                        int64_t patch)
{
    int64_t n_patch = (layout->height / patch) * (layout->width / patch);
    int64_t last = (layout->n_channel - 1) * layout->channel_step +
                   (layout->height - 1) * layout->row_step +
                   (layout->width - 1) * layout->column_step;
    mdl_patches(AT(out, n_patch * layout->n_channel * patch * patch), AT(image, last + 1), layout,
                patch);
}

void mdl_strict_depthwise_conv_forward(float *out, const float *in, const float *weight,
                                       const float *bias, int64_t height, int64_t width,
                                       int64_t n_channel, int64_t width_k)
{
    int64_t n_value = height * width * n_channel;
    mdl_depthwise_conv_forward(AT(out, n_value), AT(in, n_value),
                               AT(weight, width_k * width_k * n_channel), AT(bias, n_channel),
                               height, width, n_channel, width_k);
}

void mdl_strict_gelu_tanh_forward(float *out, const float *in, int64_t n_value)
{
    mdl_gelu_tanh_forward(AT(out, n_value), AT(in, n_value), n_value);
}

void mdl_strict_gelu_quick_forward(float *out, const float *in, int64_t n_value)
{
    mdl_gelu_quick_forward(AT(out, n_value), AT(in, n_value), n_value);
}

void mdl_strict_rows_mean(float *out, const float *x, int64_t n_row, int64_t n_feat)
{
    mdl_rows_mean(AT(out, n_feat), AT(x, n_row * n_feat), n_row, n_feat);
}
