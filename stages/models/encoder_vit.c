#include "models/encoder_vit.h"

#include "kernels/full_attention.h"
#include "kernels/patches.h"
#include "kernels/resize_cubic.h"
#include "kernels/rope_pairs.h"
#include "kernels/rows.h"
#include "kernels/swiglu.h"

#include <stdlib.h>
#include <string.h>

#define ROPE_THETA 10000.0

/* The sizes of one forward pass and its scratch. */
typedef struct {
    int64_t n_image, height, width, n_patch, n_token, n_row, n_wide;
    float *storage;  /* all of the below in one allocation */
    float *stream;   /* [n_row, d], the residual stream of n_row = n_image * n_token */
    float *branch;   /* [n_row, d] */
    float *wide;     /* [n_row, n_wide]: queries, keys and values, then the MLP's middle */
    float *middle;   /* [n_row, f] */
    float *score;    /* [n_token, n_token] */
    float *patch;    /* [n_patch, 3 * patch * patch] */
    float *position; /* [n_token, d] */
    float *cosine;   /* [n_patch, d / n_head / 2] */
    float *sine;
} pass_t;

static int begin_pass(const mdl_vit_t *vit, pass_t *pass, mdl_error_t *err)
{
    const mdl_vision_config_t *config = &vit->config;
    int64_t d = config->n_feat, f = config->n_mlp_feat, size = config->patch_size;
    int64_t n_up = config->gated_mlp ? 2 * f : f;
    pass->n_patch = (pass->height / size) * (pass->width / size);
    pass->n_token = pass->n_patch + vit->has_class_token;
    pass->n_row = pass->n_image * pass->n_token;
    pass->n_wide = n_up > 3 * d ? n_up : 3 * d;
    int64_t n_rope = config->family == MDL_VISION_EVA02 ? d / config->n_head / 2 : 0;
    const struct {
        float **place;
        int64_t n_value;
    } parts[] = {{&pass->stream, pass->n_row * d},
                 {&pass->branch, pass->n_row * d},
                 {&pass->wide, pass->n_row * pass->n_wide},
                 {&pass->middle, pass->n_row * f},
                 {&pass->score, pass->n_token * pass->n_token},
                 {&pass->patch, pass->n_patch * 3 * size * size},
                 {&pass->position, pass->n_token * d},
                 {&pass->cosine, pass->n_patch * n_rope},
                 {&pass->sine, pass->n_patch * n_rope}};
    enum { N_PART = sizeof parts / sizeof parts[0] };
    int64_t n_value = 0;
    for (int i = 0; i < N_PART; i++)
        n_value += parts[i].n_value;
    int rc = mdl_alloc(&pass->storage, (size_t)n_value, sizeof(float),
                       "a pass of a vision encoder; encode fewer images at a time", err);
    if (rc != MDL_OK)
        return rc;
    float *next = pass->storage;
    for (int i = 0; i < N_PART; i++) {
        *parts[i].place = next;
        next += parts[i].n_value;
    }
    return MDL_OK;
}

/* The positions for this size of images, interpolated where it isn't the one trained on. */
static void place_positions(const mdl_vit_t *vit, pass_t *pass)
{
    const mdl_vision_config_t *config = &vit->config;
    int64_t d = config->n_feat, n_grid = config->image_size / config->patch_size;
    int64_t n_height = pass->height / config->patch_size;
    int64_t n_width = pass->width / config->patch_size, n_before = vit->has_class_token * d;
    memcpy(pass->position, vit->position, (size_t)n_before * sizeof(float));
    if (n_height == n_grid && n_width == n_grid)
        memcpy(pass->position, vit->position, (size_t)(pass->n_token * d) * sizeof(float));
    else
        mdl_resize_cubic(pass->position + n_before, n_height, n_width, vit->position + n_before,
                         n_grid, n_grid, d);
    if (config->family == MDL_VISION_EVA02)
        mdl_rope_pairs_table(pass->cosine, pass->sine, n_height, n_width,
                             (float)config->rope_height / (float)n_height,
                             (float)config->rope_width / (float)n_width, d / config->n_head,
                             ROPE_THETA);
}

static void embed(const mdl_vit_t *vit, const pass_t *pass, const float *pixel)
{
    const mdl_vision_config_t *config = &vit->config;
    int64_t d = config->n_feat, n_pixel = pass->height * pass->width, size = config->patch_size;
    mdl_image_layout_t layout = {3, pass->height, pass->width, n_pixel, pass->width, 1};
    for (int64_t image = 0; image < pass->n_image; image++) {
        float *x = pass->stream + image * pass->n_token * d;
        mdl_patches(pass->patch, pixel + image * 3 * n_pixel, &layout, size);
        mdl_affine_linear(x + vit->has_class_token * d, pass->patch, &vit->patch, pass->n_patch, d,
                          3 * size * size);
        if (vit->has_class_token)
            memcpy(x, vit->class_token, (size_t)d * sizeof *x);
        mdl_rows_add(x, pass->position, 1, pass->n_token * d);
    }
    if (vit->pre_norm.weight != NULL)
        mdl_affine_norm(pass->stream, pass->stream, &vit->pre_norm, pass->n_row, d,
                        config->norm_eps);
}

static void attend(const mdl_vit_t *vit, const mdl_vit_block_t *block, const pass_t *pass)
{
    const mdl_vision_config_t *config = &vit->config;
    int64_t d = config->n_feat, n_head = config->n_head, n_head_feat = d / n_head, ld = 3 * d;
    mdl_affine_norm(pass->branch, pass->stream, &block->norm1, pass->n_row, d, config->norm_eps);
    mdl_affine_linear(pass->wide, pass->branch, &block->qkv, pass->n_row, ld, d);
    for (int64_t image = 0; image < pass->n_image; image++) {
        float *qkv = pass->wide + image * pass->n_token * ld;
        if (config->family == MDL_VISION_EVA02) /* queries and keys, but for the class token's */
            mdl_rope_pairs_forward(qkv + vit->has_class_token * ld, pass->cosine, pass->sine,
                                   pass->n_patch, 2 * n_head, n_head_feat, ld);
        mdl_full_attention_forward(pass->branch + image * pass->n_token * d, pass->score, qkv, ld,
                                   qkv + d, qkv + 2 * d, ld, n_head, n_head_feat, pass->n_token,
                                   pass->n_token);
    }
    if (config->attention_norm)
        mdl_affine_norm(pass->branch, pass->branch, &block->attention_norm, pass->n_row, d,
                        config->norm_eps);
    mdl_affine_linear(pass->wide, pass->branch, &block->projection, pass->n_row, d, d);
    mdl_rows_add_scaled(pass->stream, pass->wide, block->scale1, pass->n_row, d);
}

static void feed_forward(const mdl_vit_t *vit, const mdl_vit_block_t *block, const pass_t *pass)
{
    const mdl_vision_config_t *config = &vit->config;
    int64_t d = config->n_feat, f = config->n_mlp_feat;
    mdl_affine_norm(pass->branch, pass->stream, &block->norm2, pass->n_row, d, config->norm_eps);
    mdl_affine_linear(pass->wide, pass->branch, &block->up, pass->n_row,
                      config->gated_mlp ? 2 * f : f, d);
    if (config->gated_mlp)
        mdl_swiglu_forward(pass->middle, pass->wide, pass->n_row, f);
    else
        mdl_activation_forward(pass->middle, pass->wide, pass->n_row * f, config->activation);
    if (config->mlp_norm)
        mdl_affine_norm(pass->middle, pass->middle, &block->mlp_norm, pass->n_row, f,
                        config->norm_eps);
    mdl_affine_linear(pass->branch, pass->middle, &block->down, pass->n_row, d, f);
    mdl_rows_add_scaled(pass->stream, pass->branch, block->scale2, pass->n_row, d);
}

/* SigLIP's pooled output of the tokens x [n_token, d] of one image; pass's rows of it are scratch.
 */
static void pool(const mdl_vit_t *vit, const pass_t *pass, const float *x, float *pooled)
{
    const mdl_vision_config_t *config = &vit->config;
    const mdl_vit_head_t *head = &vit->head;
    int64_t d = config->n_feat, f = config->n_mlp_feat, n_token = pass->n_token;
    mdl_affine_t query = head->qkv;
    mdl_affine_t key_value = {head->qkv.weight + d * d, head->qkv.bias + d};
    float *q = pass->branch, *y = pass->middle, *kv = pass->wide;
    mdl_affine_linear(q, head->probe, &query, 1, d, d);
    mdl_affine_linear(kv, x, &key_value, n_token, 2 * d, d);
    mdl_full_attention_forward(pooled, pass->score, q, d, kv, kv + d, 2 * d, config->n_head,
                               d / config->n_head, 1, n_token);
    mdl_affine_linear(q, pooled, &head->projection, 1, d, d);
    mdl_affine_norm(pooled, q, &head->norm, 1, d, config->norm_eps);
    mdl_affine_linear(kv, pooled, &head->up, 1, f, d);
    mdl_activation_forward(y, kv, f, config->activation);
    mdl_affine_linear(pooled, y, &head->down, 1, d, f);
    mdl_rows_add_scaled(pooled, q, NULL, 1, d);
}

/* What follows the last block, which left its output in the stream. */
static void finish(const mdl_vit_t *vit, const pass_t *pass, const mdl_encoder_output_t *output)
{
    const mdl_vision_config_t *config = &vit->config;
    int64_t d = config->n_feat;
    int pools_before_norm = config->family == MDL_VISION_CLIP;
    float *x = pass->stream;
    if (vit->last_norm.weight != NULL && !pools_before_norm)
        mdl_affine_norm(x, x, &vit->last_norm, pass->n_row, d, config->norm_eps);
    if (output->last != NULL)
        memcpy(output->last, x, (size_t)(pass->n_row * d) * sizeof *x);
    for (int64_t image = 0; image < pass->n_image && output->pooled != NULL; image++) {
        const float *tokens = x + image * pass->n_token * d;
        float *pooled = output->pooled + image * d;
        if (config->pooling_head)
            pool(vit, pass, tokens, pooled);
        else if (pools_before_norm)
            mdl_affine_norm(pooled, tokens, &vit->last_norm, 1, d, config->norm_eps);
        else
            memcpy(pooled, tokens, (size_t)d * sizeof *pooled);
    }
}

static void copy_state(const mdl_vit_t *vit, const pass_t *pass, const mdl_encoder_output_t *output,
                       int64_t state)
{
    if (output->state != NULL && output->state[state] != NULL)
        memcpy(output->state[state], pass->stream,
               (size_t)(pass->n_row * vit->config.n_feat) * sizeof(float));
}

int mdl_vit_forward(const mdl_vit_t *vit, const float *pixel, int64_t n_image, int64_t height,
                    int64_t width, const mdl_encoder_output_t *output, mdl_error_t *err)
{
    pass_t pass = {.n_image = n_image, .height = height, .width = width};
    int64_t n_layer = vit->config.n_layer;
    int whole = output->last != NULL || output->pooled != NULL;
    while (!whole && n_layer > 0 && (output->state == NULL || output->state[n_layer] == NULL))
        n_layer--;
    int rc = begin_pass(vit, &pass, err);
    if (rc != MDL_OK)
        return rc;
    place_positions(vit, &pass);
    embed(vit, &pass, pixel);
    copy_state(vit, &pass, output, 0);
    for (int64_t layer = 0; layer < n_layer; layer++) {
        attend(vit, &vit->block[layer], &pass);
        feed_forward(vit, &vit->block[layer], &pass);
        copy_state(vit, &pass, output, layer + 1);
    }
    if (whole)
        finish(vit, &pass, output);
    free(pass.storage);
    return MDL_OK;
}
