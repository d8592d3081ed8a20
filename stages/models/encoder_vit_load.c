#include "models/encoder_vit.h"

#include "kernels/rope_pairs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROPE_THETA 10000.0

/* What the list of tensors is made from. */
typedef struct {
    mdl_vit_t *vit;
    const mdl_vit_layout_t *layout;
    const char *prefix;
    mdl_tensor_list_t list;
} loading_t;

/* Angles of a place in a head of EVA-02. */
static int64_t n_rope(const mdl_vit_t *vit)
{
    return vit->config.n_feat / vit->config.n_head / 2;
}

static void want_embedding(loading_t *loading)
{
    mdl_vit_t *vit = loading->vit;
    const mdl_vit_layout_t *layout = loading->layout;
    int64_t d = vit->config.n_feat, size = vit->config.patch_size;
    int64_t n_grid = vit->config.image_size / size;
    const int64_t patch[4] = {d, 3, size, size};
    const int64_t token[3] = {1, 1, d};
    const int64_t position[3] = {1, n_grid * n_grid + vit->has_class_token, d};
    int skip = 1 - layout->n_leading;
    mdl_tensor_list_want_matrix(&loading->list, &vit->patch.weight, 4, patch, "%s%s.weight",
                                loading->prefix, layout->patch);
    if (layout->patch_biased)
        mdl_tensor_list_want(&loading->list, &vit->patch.bias, 1, &d, "%s%s.bias", loading->prefix,
                             layout->patch);
    if (layout->class_token != NULL) /* [d] where positions are [n, d] */
        mdl_tensor_list_want(&loading->list, &vit->class_token, 3 - 2 * skip, token + 2 * skip,
                             "%s%s", loading->prefix, layout->class_token);
    mdl_tensor_list_want(&loading->list, &vit->position, 3 - skip, position + skip, "%s%s",
                         loading->prefix, layout->position);
    if (vit->config.family == MDL_VISION_EVA02) {
        mdl_tensor_list_zeros(&loading->list, &vit->cosine, n_grid * n_grid * n_rope(vit));
        mdl_tensor_list_zeros(&loading->list, &vit->sine, n_grid * n_grid * n_rope(vit));
    }
    if (layout->pre_norm != NULL)
        mdl_affine_want_norm(&loading->list, &vit->pre_norm, d, "%s%s", loading->prefix,
                             layout->pre_norm);
    if (layout->last_norm != NULL && vit->config.last_norm)
        mdl_affine_want_norm(&loading->list, &vit->last_norm, d, "%s%s", loading->prefix,
                             layout->last_norm);
}

/* The three parts one below the other; begin is what the names of the block begin with. */
static void want_qkv(loading_t *loading, mdl_affine_t *qkv, const char *begin)
{
    const mdl_vit_layout_t *layout = loading->layout;
    const char *const part[3] = {layout->query, layout->key, layout->value};
    int64_t d = loading->vit->config.n_feat;
    const int64_t all[2] = {3 * d, d}, one[2] = {d, d};
    int biased = loading->vit->config.qkv_bias;
    if (layout->qkv != NULL) {
        mdl_tensor_list_want_matrix(&loading->list, &qkv->weight, 2, all, "%s%s.weight", begin,
                                    layout->qkv);
        if (biased)
            mdl_tensor_list_want(&loading->list, &qkv->bias, 1, all, "%s%s.bias", begin,
                                 layout->qkv);
        return;
    }
    for (int i = 0; i < 3; i++)
        mdl_tensor_list_want_matrix(&loading->list, i == 0 ? &qkv->weight : NULL, 2, one,
                                    "%s%s.weight", begin, part[i]);
    for (int i = 0; i < 3 && biased; i++) {
        if (i == 1 && layout->key_unbiased)
            mdl_tensor_list_zeros(&loading->list, NULL, d);
        else
            mdl_tensor_list_want(&loading->list, i == 0 ? &qkv->bias : NULL, 1, one, "%s%s.bias",
                                 begin, part[i]);
    }
}

/* Gate and up one below the other, whether they are one tensor or two. */
static void want_gated(loading_t *loading, mdl_affine_t *up, const char *begin)
{
    const mdl_vit_layout_t *layout = loading->layout;
    int64_t d = loading->vit->config.n_feat, f = loading->vit->config.n_mlp_feat;
    const int64_t one[2] = {f, d};
    mdl_tensor_list_t *list = &loading->list;
    if (layout->gate_up != NULL) {
        mdl_affine_want_linear(list, up, 2 * f, d, "%s%s", begin, layout->gate_up);
        return;
    }
    mdl_tensor_list_want_matrix(list, &up->weight, 2, one, "%s%s.weight", begin, layout->gate);
    mdl_tensor_list_want_matrix(list, NULL, 2, one, "%s%s.weight", begin, layout->gated_up);
    mdl_tensor_list_want(list, &up->bias, 1, one, "%s%s.bias", begin, layout->gate);
    mdl_tensor_list_want(list, NULL, 1, one, "%s%s.bias", begin, layout->gated_up);
}

static void want_block(loading_t *loading, int64_t layer)
{
    const mdl_vit_layout_t *layout = loading->layout;
    const mdl_vision_config_t *config = &loading->vit->config;
    mdl_vit_block_t *block = &loading->vit->block[layer];
    mdl_tensor_list_t *list = &loading->list;
    int64_t d = config->n_feat, f = config->n_mlp_feat;
    char begin[MDL_TENSOR_NAME];
    snprintf(begin, sizeof begin, "%.80s%s%lld.", loading->prefix, layout->block, (long long)layer);
    mdl_affine_want_norm(list, &block->norm1, d, "%s%s", begin, layout->norm1);
    want_qkv(loading, &block->qkv, begin);
    if (config->attention_norm)
        mdl_affine_want_norm(list, &block->attention_norm, d, "%s%s", begin,
                             layout->attention_norm);
    mdl_affine_want_linear(list, &block->projection, d, d, "%s%s", begin, layout->projection);
    if (layout->scale1 != NULL)
        mdl_tensor_list_want(list, &block->scale1, 1, &d, "%s%s", begin, layout->scale1);
    mdl_affine_want_norm(list, &block->norm2, d, "%s%s", begin, layout->norm2);
    if (config->gated_mlp)
        want_gated(loading, &block->up, begin);
    else
        mdl_affine_want_linear(list, &block->up, f, d, "%s%s", begin, layout->up);
    if (config->mlp_norm)
        mdl_affine_want_norm(list, &block->mlp_norm, f, "%s%s", begin, layout->mlp_norm);
    mdl_affine_want_linear(list, &block->down, d, f, "%s%s", begin,
                           config->gated_mlp ? layout->gated_down : layout->down);
    if (layout->scale2 != NULL)
        mdl_tensor_list_want(list, &block->scale2, 1, &d, "%s%s", begin, layout->scale2);
}

static void want_head(loading_t *loading)
{
    mdl_vit_head_t *head = &loading->vit->head;
    mdl_tensor_list_t *list = &loading->list;
    const char *prefix = loading->prefix;
    int64_t d = loading->vit->config.n_feat, f = loading->vit->config.n_mlp_feat;
    const int64_t probe[3] = {1, 1, d}, qkv[2] = {3 * d, d};
    mdl_tensor_list_want(list, &head->probe, 3, probe, "%shead.probe", prefix);
    mdl_tensor_list_want_matrix(list, &head->qkv.weight, 2, qkv, "%shead.attention.in_proj_weight",
                                prefix);
    mdl_tensor_list_want(list, &head->qkv.bias, 1, qkv, "%shead.attention.in_proj_bias", prefix);
    mdl_affine_want_linear(list, &head->projection, d, d, "%shead.attention.out_proj", prefix);
    mdl_affine_want_norm(list, &head->norm, d, "%shead.layernorm", prefix);
    mdl_affine_want_linear(list, &head->up, f, d, "%shead.mlp.fc1", prefix);
    mdl_affine_want_linear(list, &head->down, d, f, "%shead.mlp.fc2", prefix);
}

/* EVA-02 takes images of one size, so that the angles of its places are known. */
static int set_angles(mdl_vit_t *vit, mdl_error_t *err)
{
    const mdl_vision_config_t *config = &vit->config;
    int64_t n_grid = config->image_size / config->patch_size, n = n_grid * n_grid * n_rope(vit);
    size_t n_byte = (size_t)n * sizeof(float);
    float *angle = NULL;
    int rc = mdl_alloc(&angle, 2, n_byte, "angles", err);
    if (rc != MDL_OK)
        return rc;
    mdl_rope_pairs_table(angle, angle + n, n_grid, n_grid,
                         (float)config->rope_height / (float)n_grid,
                         (float)config->rope_width / (float)n_grid, 2 * n_rope(vit), ROPE_THETA);
    rc = vit->backend->upload(vit->cosine, angle, n_byte, err);
    if (rc == MDL_OK)
        rc = vit->backend->upload(vit->sine, angle + n, n_byte, err);
    free(angle);
    return rc;
}

int mdl_vit_load(const mdl_backend_t *backend, const mdl_model_files_t *files, const char *folder,
                 const mdl_vision_config_t *config, mdl_vit_t **vit, mdl_error_t *err)
{
    int rc = MDL_OK;
    char prefix[MDL_TENSOR_NAME] = "";
    loading_t loading = {.prefix = prefix, .list.backend = backend};
    *vit = NULL;
    MDL_TRY(mdl_vit_find_layout(files, folder, config, &loading.layout, prefix, err));
    MDL_TRY(mdl_alloc(&loading.vit, 1, sizeof *loading.vit, "a vision encoder", err));
    loading.vit->config = *config;
    loading.vit->backend = backend;
    loading.vit->has_class_token = loading.layout->class_token != NULL;
    MDL_TRY(mdl_alloc(&loading.vit->block, (size_t)config->n_layer, sizeof(mdl_vit_block_t),
                      "the blocks of a vision encoder", err));
    want_embedding(&loading);
    for (int64_t layer = 0; layer < config->n_layer; layer++)
        want_block(&loading, layer);
    if (config->pooling_head)
        want_head(&loading);
    MDL_TRY(mdl_tensor_list_read(&loading.list, files, folder, prefix, loading.layout->ignored, 2,
                                 &loading.vit->storage, err));
    if (config->family == MDL_VISION_EVA02)
        MDL_TRY(set_angles(loading.vit, err));
    *vit = loading.vit;
    loading.vit = NULL;
done:
    free(loading.list.item);
    mdl_vit_free(loading.vit);
    return rc;
}

void mdl_vit_free(mdl_vit_t *vit)
{
    if (vit == NULL)
        return;
    vit->backend->release(vit->storage);
    free(vit->block);
    free(vit);
}
