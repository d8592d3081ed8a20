#include "models/encoder_vit.h"

#include <stdio.h>

#define CLIP_BLOCK                                                                                 \
    .block = "encoder.layers.", .norm1 = "layer_norm1", .query = "self_attn.q_proj",               \
    .key = "self_attn.k_proj", .value = "self_attn.v_proj", .projection = "self_attn.out_proj",    \
    .norm2 = "layer_norm2", .up = "mlp.fc1", .down = "mlp.fc2"

#define DINOV2_AROUND                                                                              \
    .family = MDL_VISION_DINOV2, .patch = "embeddings.patch_embeddings.projection",                \
    .patch_biased = 1, .class_token = "embeddings.cls_token",                                      \
    .position = "embeddings.position_embeddings", .n_leading = 1, .last_norm = "layernorm",        \
    .block = "encoder.layer.", .norm1 = "norm1", .scale1 = "layer_scale1.lambda1",                 \
    .norm2 = "norm2", .up = "mlp.fc1", .down = "mlp.fc2", .scale2 = "layer_scale2.lambda1",        \
    .ignored = {"embeddings.mask_token"}

static const mdl_vit_layout_t layouts[] = {
    {.family = MDL_VISION_CLIP,
     .patch = "embeddings.patch_embedding",
     .class_token = "embeddings.class_embedding",
     .position = "embeddings.position_embedding.weight",
     .pre_norm = "pre_layrnorm", /* so spelt */
     .last_norm = "post_layernorm",
     CLIP_BLOCK,
     .ignored = {"embeddings.position_ids"}},
    {.family = MDL_VISION_SIGLIP,
     .patch = "embeddings.patch_embedding",
     .patch_biased = 1,
     .position = "embeddings.position_embedding.weight",
     .last_norm = "post_layernorm",
     CLIP_BLOCK,
     .ignored = {"embeddings.position_ids"}},
    {DINOV2_AROUND, /* as first published */
     .query = "attention.attention.query", .key = "attention.attention.key",
     .value = "attention.attention.value", .projection = "attention.output.dense",
     .gate_up = "mlp.weights_in", .gated_down = "mlp.weights_out"},
    {DINOV2_AROUND, /* as transformers 5 writes it */
     .query = "attention.q_proj", .key = "attention.k_proj", .value = "attention.v_proj",
     .projection = "attention.o_proj", .gate = "mlp.gate_proj", .gated_up = "mlp.up_proj",
     .gated_down = "mlp.down_proj"},
    {.family = MDL_VISION_INTERNVIT, /* as transformers writes it */
     .patch = "embeddings.patch_embeddings.projection",
     .patch_biased = 1,
     .class_token = "embeddings.cls_token",
     .position = "embeddings.position_embeddings",
     .n_leading = 1,
     .last_norm = "layernorm",
     .block = "encoder.layer.",
     .norm1 = "layernorm_before",
     .query = "attention.q_proj",
     .key = "attention.k_proj",
     .value = "attention.v_proj",
     .projection = "attention.projection_layer",
     .scale1 = "lambda_1",
     .norm2 = "layernorm_after",
     .up = "mlp.fc1",
     .down = "mlp.fc2",
     .scale2 = "lambda_2",
     .ignored = {"embeddings.mask_token"}},
    {.family = MDL_VISION_INTERNVIT, /* as first published */
     .patch = "embeddings.patch_embedding",
     .patch_biased = 1,
     .class_token = "embeddings.class_embedding",
     .position = "embeddings.position_embedding",
     .n_leading = 1,
     .block = "encoder.layers.",
     .norm1 = "norm1",
     .qkv = "attn.qkv",
     .projection = "attn.proj",
     .scale1 = "ls1",
     .norm2 = "norm2",
     .up = "mlp.fc1",
     .down = "mlp.fc2",
     .scale2 = "ls2"},
    {.family = MDL_VISION_EVA02,
     .patch = "patch_embed.proj",
     .patch_biased = 1,
     .class_token = "cls_token",
     .position = "pos_embed",
     .n_leading = 1,
     .last_norm = "norm",
     .block = "blocks.",
     .norm1 = "norm1",
     .query = "attn.q_proj",
     .key = "attn.k_proj",
     .value = "attn.v_proj",
     .key_unbiased = 1,
     .attention_norm = "attn.norm",
     .projection = "attn.proj",
     .norm2 = "norm2",
     .up = "mlp.fc1",
     .down = "mlp.fc2",
     .gate = "mlp.fc1_g",
     .gated_up = "mlp.fc1_x",
     .gated_down = "mlp.fc2",
     .mlp_norm = "mlp.norm",
     .ignored = {"head.weight", "head.bias"}},
};
enum { N_LAYOUT = sizeof layouts / sizeof layouts[0] };

int mdl_vit_find_layout(const mdl_model_files_t *files, const char *folder,
                        const mdl_vision_config_t *config, const mdl_vit_layout_t **layout,
                        char prefix[MDL_TENSOR_NAME], mdl_error_t *err)
{
    char name[2 * MDL_TENSOR_NAME] = "";
    for (int i = 0; i < N_LAYOUT; i++) {
        const mdl_vit_layout_t *candidate = &layouts[i];
        if (candidate->family != config->family)
            continue;
        snprintf(name, sizeof name, "%s.weight", candidate->patch);
        int n_found = mdl_tensor_prefix(files, name, prefix);
        if (n_found > 1)
            return mdl_fail(err, MDL_E_INPUT,
                            "%s: the weights hold %d vision encoders (%d tensors end with %s)",
                            folder, n_found, n_found, name);
        snprintf(name, sizeof name, "%s%s0.%s.weight", n_found == 1 ? prefix : "", candidate->block,
                 candidate->projection);
        if (n_found == 1 && mdl_tensor_find(files, name) != NULL) {
            *layout = candidate;
            return MDL_OK;
        }
    }
    return mdl_fail(err, MDL_E_INPUT,
                    "%s: the weights have no tensor %s; its config.json belongs to another model",
                    folder, name);
}
