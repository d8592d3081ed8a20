#include "models/decoder_tensors.h"

#include "kernels/bfloat16.h"

#include <stdio.h>

enum { N_BLOCK_TENSOR = 16 }; /* at most: six norms, seven matrices, three biases */

size_t mdl_wanted_most(const mdl_model_config_t *config)
{
    return 3 + (size_t)config->n_layer * N_BLOCK_TENSOR;
}

int64_t mdl_wanted_n_value(const mdl_wanted_t *item)
{
    return item->dims[0] * (item->n_dim == 2 ? item->dims[1] : 1);
}

size_t mdl_wanted_size(const mdl_wanted_t *item)
{
    return item->bfloat16 ? sizeof(mdl_bfloat16_t) : sizeof(float);
}

/* Where the next tensor goes. */
static void *next_place(const mdl_wanted_list_t *list)
{
    return list->base != NULL ? list->base + list->n_taken : NULL;
}

/* The next tensor of the list, a vector where n_row is 0. */
static mdl_wanted_t *add(mdl_wanted_list_t *list, int64_t n_row, int64_t n_col, const char *name)
{
    mdl_wanted_t *item = &list->item[list->n++];
    snprintf(item->name, sizeof item->name, "%s", name);
    item->n_dim = n_row > 0 ? 2 : 1;
    item->dims[0] = n_row > 0 ? n_row : n_col;
    item->dims[1] = n_col;
    item->bfloat16 = list->bfloat16 && n_row > 0;
    return item;
}

static void *want(mdl_wanted_list_t *list, int64_t n_row, int64_t n_col, const char *name)
{
    mdl_wanted_t *item = add(list, n_row, n_col, name);
    item->first = 0;
    item->n = mdl_wanted_n_value(item);
    item->out = next_place(list);
    item->on_host = 0;
    list->n_taken += (size_t)item->n * mdl_wanted_size(item);
    return item->out;
}

/* The weight of a norm: 1 + w in families whose files hold w. */
static void *want_norm(mdl_wanted_list_t *list, const mdl_model_config_t *config, int64_t n_feat,
                       const char *name)
{
    list->item[list->n].offset = config->norm_from_one ? 1.0f : 0.0f;
    return want(list, 0, n_feat, name);
}

/* Where a norm stands in a block decides its name: Gemma 3 calls the one after attention as
 * others call the one before the MLP. */
static void want_norms(mdl_wanted_list_t *list, const mdl_model_config_t *config, int64_t layer,
                       mdl_block_weights_t *block)
{
    const struct {
        float **out;
        int64_t n_feat;
        int present;
        const char *name;
    } norms[] = {
        {&block->norm_attention, config->n_feat, 1, "input_layernorm"},
        {&block->norm_mlp, config->n_feat, 1,
         config->output_normed ? "pre_feedforward_layernorm" : "post_attention_layernorm"},
        {&block->norm_attention_output, config->n_feat, config->output_normed,
         "post_attention_layernorm"},
        {&block->norm_mlp_output, config->n_feat, config->output_normed,
         "post_feedforward_layernorm"},
        {&block->norm_q, config->n_head_feat, config->head_normed, "self_attn.q_norm"},
        {&block->norm_k, config->n_head_feat, config->head_normed, "self_attn.k_norm"},
    };
    char name[96];
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++) {
        if (!norms[i].present)
            continue;
        snprintf(name, sizeof name, "model.layers.%d.%s.weight", (int)layer, norms[i].name);
        *norms[i].out = want_norm(list, config, norms[i].n_feat, name);
    }
}

/* A matrix behind those of its block so far; what this rank keeps of it goes into its part. */
static void want_sharded(mdl_wanted_list_t *list, const mdl_decoder_t *decoder, int64_t layer,
                         int64_t n_row, int64_t n_col, const char *name)
{
    mdl_wanted_t *item = add(list, n_row, n_col, name);
    size_t size = mdl_wanted_size(item), begin = list->n_block, own_first, own_end;
    size_t end = begin + (size_t)mdl_wanted_n_value(item) * size;
    list->n_block = end;
    item->on_host = 1;
    item->first = item->n = 0;
    if (decoder->shards == NULL)
        return;
    item->out = mdl_shards_own(decoder->shards, layer, &own_first, &own_end);
    size_t first = begin > own_first ? begin : own_first, last = end < own_end ? end : own_end;
    if (last <= first)
        return;
    item->first = (int64_t)((first - begin) / size);
    item->n = (int64_t)((last - first) / size);
    item->out += first - own_first;
}

static void want_bias(mdl_wanted_list_t *list, const mdl_model_config_t *config, int64_t layer,
                      mdl_linear_t linear)
{
    char name[96];
    snprintf(name, sizeof name, "model.layers.%d.%s.bias", (int)layer, mdl_linear_path(linear));
    want(list, 0, mdl_linear_n_out(config, linear), name);
}

static void want_matrix(mdl_wanted_list_t *list, const mdl_decoder_t *decoder, int64_t layer,
                        mdl_linear_t linear)
{
    const mdl_model_config_t *config = &decoder->config;
    int64_t n_row = mdl_linear_n_out(config, linear), n_col = mdl_linear_n_in(config, linear);
    char name[96];
    snprintf(name, sizeof name, "model.layers.%d.%s.weight", (int)layer, mdl_linear_path(linear));
    if (list->sharded)
        want_sharded(list, decoder, layer, n_row, n_col, name);
    else
        want(list, n_row, n_col, name);
}

/* Where the next matrix of block layer is when it computes. */
static void *matrix_place(const mdl_wanted_list_t *list, const mdl_decoder_t *decoder,
                          int64_t layer)
{
    if (!list->sharded)
        return next_place(list);
    return decoder->shards != NULL ? mdl_shards_buffer(decoder->shards, layer) + list->n_block
                                   : NULL;
}

static void want_block(mdl_wanted_list_t *list, mdl_decoder_t *decoder, int64_t layer)
{
    const mdl_model_config_t *config = &decoder->config;
    mdl_block_weights_t *block = &decoder->block[layer];
    list->n_block = 0;
    want_norms(list, config, layer, block);
    for (int i = 0; i < MDL_N_GROUP; i++) {
        mdl_linear_group_t group = (mdl_linear_group_t)i;
        block->weight[group] = matrix_place(list, decoder, layer);
        for (int linear = (int)mdl_group_first(config, group);
             linear <= (int)mdl_group_last(config, group); linear++)
            want_matrix(list, decoder, layer, (mdl_linear_t)linear);
    }
    if (!config->qkv_biased)
        return;
    block->bias_qkv = next_place(list);
    for (int linear = (int)mdl_group_first(config, MDL_GROUP_QKV);
         linear <= (int)mdl_group_last(config, MDL_GROUP_QKV); linear++)
        want_bias(list, config, layer, (mdl_linear_t)linear);
}

void mdl_wanted_list(mdl_wanted_list_t *list, mdl_decoder_t *decoder)
{
    const mdl_model_config_t *config = &decoder->config;
    list->n = 0;
    list->n_taken = 0;
    decoder->embedding = want(list, config->n_vocab, config->n_feat, "model.embed_tokens.weight");
    decoder->head = config->tied_head
                        ? decoder->embedding
                        : want(list, config->n_vocab, config->n_feat, "lm_head.weight");
    decoder->norm = want_norm(list, config, config->n_feat, "model.norm.weight");
    for (int64_t layer = 0; layer < config->n_layer; layer++)
        want_block(list, decoder, layer);
}
