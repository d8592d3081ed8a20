#include "models/encoder_vit.h"

#include "kernels/resize_cubic.h"

#include <stdlib.h>
#include <string.h>

/* The sizes of one forward pass and its scratch. */
typedef struct {
    int64_t n_image, height, width, n_patch, n_token, n_row, n_wide;
    void *storage;   /* the backend's, all of the below in one allocation */
    float *pixel;    /* [n_image, 3, height, width] */
    float *stream;   /* [n_row, d], the residual stream of n_row = n_image * n_token */
    float *branch;   /* [n_row, d] */
    float *wide;     /* [n_row, n_wide]: queries, keys and values, then the MLP's middle */
    float *middle;   /* [n_row, f] */
    float *score;    /* [n_token, n_token] */
    float *patch;    /* [n_patch, 3 * patch * patch] */
    float *position; /* [n_token, d] */
    float *pooled;   /* [n_image, d] */
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
    const struct {
        float **place;
        int64_t n_value;
    } parts[] = {{&pass->pixel, pass->n_image * 3 * pass->height * pass->width},
                 {&pass->stream, pass->n_row * d},
                 {&pass->branch, pass->n_row * d},
                 {&pass->wide, pass->n_row * pass->n_wide},
                 {&pass->middle, pass->n_row * f},
                 {&pass->score, pass->n_token * pass->n_token},
                 {&pass->patch, pass->n_patch * 3 * size * size},
                 {&pass->position, pass->n_token * d},
                 {&pass->pooled, pass->n_image * d}};
    enum { N_PART = sizeof parts / sizeof parts[0] };
    int64_t n_value = 0;
    for (int i = 0; i < N_PART; i++)
        n_value += parts[i].n_value;
    int rc = vit->backend->alloc(&pass->storage, (size_t)n_value * sizeof(float),
                                 "a pass of a vision encoder", err);
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
static int place_positions(const mdl_vit_t *vit, const pass_t *pass, mdl_error_t *err)
{
    const mdl_vision_config_t *config = &vit->config;
    const mdl_backend_t *be = vit->backend;
    int64_t d = config->n_feat, n_grid = config->image_size / config->patch_size;
    int64_t n_height = pass->height / config->patch_size;
    int64_t n_width = pass->width / config->patch_size, n_before = vit->has_class_token * d;
    size_t n_trained = (size_t)(n_before + n_grid * n_grid * d);
    size_t n_placed = (size_t)(pass->n_token * d);
    float *trained = NULL;
    int rc = MDL_OK;
    if (n_height == n_grid && n_width == n_grid) {
        be->copy(pass->position, vit->position, n_trained * sizeof *trained);
        return MDL_OK;
    }
    MDL_TRY(mdl_alloc(&trained, n_trained + n_placed, sizeof *trained, "positions", err));
    float *placed = trained + n_trained;
    MDL_TRY(be->download(trained, vit->position, n_trained * sizeof *trained, err));
    memcpy(placed, trained, (size_t)n_before * sizeof *trained);
    mdl_resize_cubic(placed + n_before, n_height, n_width, trained + n_before, n_grid, n_grid, d);
    rc = be->upload(pass->position, placed, n_placed * sizeof *placed, err);
done:
    free(trained);
    return rc;
}

static int embed(const mdl_vit_t *vit, const pass_t *pass, const float *pixel, mdl_error_t *err)
{
    const mdl_vision_config_t *config = &vit->config;
    const mdl_backend_t *be = vit->backend;
    int64_t d = config->n_feat, n_pixel = pass->height * pass->width, size = config->patch_size;
    mdl_image_layout_t layout = {3, pass->height, pass->width, n_pixel, pass->width, 1};
    int rc =
        be->upload(pass->pixel, pixel, (size_t)(pass->n_image * 3 * n_pixel) * sizeof *pixel, err);
    for (int64_t image = 0; rc == MDL_OK && image < pass->n_image; image++) {
        float *x = pass->stream + image * pass->n_token * d;
        be->patches(pass->patch, pass->pixel + image * 3 * n_pixel, &layout, size);
        mdl_affine_linear(be, x + vit->has_class_token * d, pass->patch, &vit->patch, pass->n_patch,
                          d, 3 * size * size);
        if (vit->has_class_token)
            be->copy(x, vit->class_token, (size_t)d * sizeof *x);
        be->vector_add(x, pass->position, pass->n_token * d);
    }
    if (rc == MDL_OK && vit->pre_norm.weight != NULL)
        mdl_affine_norm(be, pass->stream, pass->stream, &vit->pre_norm, pass->n_row, d,
                        config->norm_eps);
    return rc;
}

static void attend(const mdl_vit_t *vit, const mdl_vit_block_t *block, const pass_t *pass)
{
    const mdl_vision_config_t *config = &vit->config;
    const mdl_backend_t *be = vit->backend;
    int64_t d = config->n_feat, ld = 3 * d, n_token = pass->n_token;
    const mdl_full_attention_t shape = {pass->n_image,      n_token, n_token, config->n_head,
                                        d / config->n_head, ld,      ld};
    mdl_affine_norm(be, pass->branch, pass->stream, &block->norm1, pass->n_row, d,
                    config->norm_eps);
    mdl_affine_linear(be, pass->wide, pass->branch, &block->qkv, pass->n_row, ld, d);
    /* EVA-02 turns queries and keys, but for the class token's */
    for (int64_t image = 0; vit->cosine != NULL && image < pass->n_image; image++)
        be->rope_pairs_forward(pass->wide + (image * n_token + vit->has_class_token) * ld,
                               vit->cosine, vit->sine, pass->n_patch, 2 * shape.n_head,
                               shape.n_head_feat, ld);
    be->full_attention_forward(pass->branch, pass->score, pass->wide, pass->wide + d,
                               pass->wide + 2 * d, &shape);
    if (config->attention_norm)
        mdl_affine_norm(be, pass->branch, pass->branch, &block->attention_norm, pass->n_row, d,
                        config->norm_eps);
    mdl_affine_linear(be, pass->wide, pass->branch, &block->projection, pass->n_row, d, d);
    be->rows_add_scaled(pass->stream, pass->wide, block->scale1, pass->n_row, d);
}

static void feed_forward(const mdl_vit_t *vit, const mdl_vit_block_t *block, const pass_t *pass)
{
    const mdl_vision_config_t *config = &vit->config;
    const mdl_backend_t *be = vit->backend;
    int64_t d = config->n_feat, f = config->n_mlp_feat, n_row = pass->n_row;
    mdl_affine_norm(be, pass->branch, pass->stream, &block->norm2, n_row, d, config->norm_eps);
    mdl_affine_linear(be, pass->wide, pass->branch, &block->up, n_row,
                      config->gated_mlp ? 2 * f : f, d);
    if (config->gated_mlp)
        be->swiglu_forward(pass->middle, pass->wide, n_row, f);
    else
        mdl_activation_forward(be, pass->middle, pass->wide, n_row * f, config->activation);
    if (config->mlp_norm)
        mdl_affine_norm(be, pass->middle, pass->middle, &block->mlp_norm, n_row, f,
                        config->norm_eps);
    mdl_affine_linear(be, pass->branch, pass->middle, &block->down, n_row, d, f);
    be->rows_add_scaled(pass->stream, pass->branch, block->scale2, n_row, d);
}

/* SigLIP's pooled output of the tokens x [n_token, d] of one image; pass's rows of it are scratch.
 */
static void pool(const mdl_vit_t *vit, const pass_t *pass, const float *x, float *pooled)
{
    const mdl_vision_config_t *config = &vit->config;
    const mdl_backend_t *be = vit->backend;
    const mdl_vit_head_t *head = &vit->head;
    int64_t d = config->n_feat, f = config->n_mlp_feat, n_token = pass->n_token;
    const mdl_full_attention_t shape = {1, 1,    n_token, config->n_head, d / config->n_head,
                                        d, 2 * d};
    mdl_affine_t key_value = mdl_affine_from_row(be, &head->qkv, d, d);
    float *q = pass->branch, *y = pass->middle, *kv = pass->wide;
    mdl_affine_linear(be, q, head->probe, &head->qkv, 1, d, d);
    mdl_affine_linear(be, kv, x, &key_value, n_token, 2 * d, d);
    be->full_attention_forward(pooled, pass->score, q, kv, kv + d, &shape);
    mdl_affine_linear(be, q, pooled, &head->projection, 1, d, d);
    mdl_affine_norm(be, pooled, q, &head->norm, 1, d, config->norm_eps);
    mdl_affine_linear(be, kv, pooled, &head->up, 1, f, d);
    mdl_activation_forward(be, y, kv, f, config->activation);
    mdl_affine_linear(be, pooled, y, &head->down, 1, d, f);
    be->rows_add_scaled(pooled, q, NULL, 1, d);
}

/* What follows the last block, which left its output in the stream. */
static int finish(const mdl_vit_t *vit, const pass_t *pass, const mdl_encoder_output_t *output,
                  mdl_error_t *err)
{
    const mdl_vision_config_t *config = &vit->config;
    const mdl_backend_t *be = vit->backend;
    int64_t d = config->n_feat;
    size_t n_feat_byte = (size_t)d * sizeof(float);
    int pools_before_norm = config->family == MDL_VISION_CLIP, rc = MDL_OK;
    float *x = pass->stream;
    if (vit->last_norm.weight != NULL && !pools_before_norm)
        mdl_affine_norm(be, x, x, &vit->last_norm, pass->n_row, d, config->norm_eps);
    if (output->last != NULL)
        MDL_TRY(be->download(output->last, x, (size_t)pass->n_row * n_feat_byte, err));
    if (output->pooled == NULL)
        goto done;
    for (int64_t image = 0; image < pass->n_image; image++) {
        const float *tokens = x + image * pass->n_token * d;
        float *pooled = pass->pooled + image * d;
        if (config->pooling_head)
            pool(vit, pass, tokens, pooled);
        else if (pools_before_norm)
            mdl_affine_norm(be, pooled, tokens, &vit->last_norm, 1, d, config->norm_eps);
        else
            be->copy(pooled, tokens, n_feat_byte);
    }
    rc = be->download(output->pooled, pass->pooled, (size_t)pass->n_image * n_feat_byte, err);
done:
    return rc;
}

static int take_state(const mdl_vit_t *vit, const pass_t *pass, const mdl_encoder_output_t *output,
                      int64_t state, mdl_error_t *err)
{
    if (output->state == NULL || output->state[state] == NULL)
        return MDL_OK;
    return vit->backend->download(output->state[state], pass->stream,
                                  (size_t)(pass->n_row * vit->config.n_feat) * sizeof(float), err);
}

int mdl_vit_forward(const mdl_vit_t *vit, const float *pixel, int64_t n_image, int64_t height,
                    int64_t width, const mdl_encoder_output_t *output, mdl_error_t *err)
{
    pass_t pass = {.n_image = n_image, .height = height, .width = width};
    int64_t n_layer = vit->config.n_layer;
    int whole = output->last != NULL || output->pooled != NULL, rc;
    while (!whole && n_layer > 0 && (output->state == NULL || output->state[n_layer] == NULL))
        n_layer--;
    MDL_TRY(begin_pass(vit, &pass, err));
    MDL_TRY(place_positions(vit, &pass, err));
    MDL_TRY(embed(vit, &pass, pixel, err));
    MDL_TRY(take_state(vit, &pass, output, 0, err));
    for (int64_t layer = 0; layer < n_layer; layer++) {
        attend(vit, &vit->block[layer], &pass);
        feed_forward(vit, &vit->block[layer], &pass);
        MDL_TRY(take_state(vit, &pass, output, layer + 1, err));
    }
    if (whole)
        rc = finish(vit, &pass, output, err);
done:
    vit->backend->release(pass.storage);
    return rc;
}
