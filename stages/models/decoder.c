#include "models/decoder.h"

#include "io/model_files.h"
#include "kernels/bfloat16.h"
#include "models/decoder_weights.h"
#include "models/rope_frequency.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One tensor that the checkpoint must hold. */
typedef struct {
    char name[96];
    int n_dim;
    int64_t dims[2];
    void *out;    /* [product of dims] */
    int bfloat16; /* kept as such, else as float32 */
    float offset; /* added to every value */
} wanted_t;

enum { N_BLOCK_TENSOR = 16 }; /* at most: six norms, seven matrices, three biases */

/* With base NULL it only counts bytes. */
typedef struct {
    int64_t n;
    wanted_t *item;
    int bfloat16; /* how matrices are kept */
    char *base;   /* the decoder's storage */
    size_t n_taken;
} wanted_list_t;

/* Where the next tensor goes. */
static void *next_place(const wanted_list_t *list)
{
    return list->base != NULL ? list->base + list->n_taken : NULL;
}

static int64_t n_value_of(const wanted_t *item)
{
    return item->dims[0] * (item->n_dim == 2 ? item->dims[1] : 1);
}

static size_t n_byte_of(const wanted_t *item)
{
    return (size_t)n_value_of(item) * (item->bfloat16 ? sizeof(mdl_bfloat16_t) : sizeof(float));
}

static void *want(wanted_list_t *list, int64_t n_row, int64_t n_col, const char *name)
{
    wanted_t *item = &list->item[list->n++];
    snprintf(item->name, sizeof item->name, "%s", name);
    item->n_dim = n_row > 0 ? 2 : 1;
    item->dims[0] = n_row > 0 ? n_row : n_col;
    item->dims[1] = n_col;
    item->bfloat16 = list->bfloat16 && n_row > 0;
    item->out = next_place(list);
    list->n_taken += n_byte_of(item);
    return item->out;
}

/* The weight of a norm: 1 + w in families whose files hold w. */
static void *want_norm(wanted_list_t *list, const mdl_model_config_t *config, int64_t n_feat,
                       const char *name)
{
    list->item[list->n].offset = config->norm_from_one ? 1.0f : 0.0f;
    return want(list, 0, n_feat, name);
}

/* Where a norm stands in a block decides its name: Gemma 3 calls the one after attention as
 * others call the one before the MLP. */
static void want_norms(wanted_list_t *list, const mdl_model_config_t *config, int64_t layer,
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

static void want_group(wanted_list_t *list, const mdl_model_config_t *config, int64_t layer,
                       mdl_linear_group_t group, int is_bias)
{
    char name[96];
    for (int i = (int)mdl_group_first(config, group); i <= (int)mdl_group_last(config, group);
         i++) {
        mdl_linear_t linear = (mdl_linear_t)i;
        snprintf(name, sizeof name, "model.layers.%d.%s.%s", (int)layer, mdl_linear_path(linear),
                 is_bias ? "bias" : "weight");
        if (is_bias)
            want(list, 0, mdl_linear_n_out(config, linear), name);
        else
            want(list, mdl_linear_n_out(config, linear), mdl_linear_n_in(config, linear), name);
    }
}

static void want_block(wanted_list_t *list, mdl_decoder_t *decoder, int64_t layer)
{
    const mdl_model_config_t *config = &decoder->config;
    mdl_block_weights_t *block = &decoder->block[layer];
    want_norms(list, config, layer, block);
    for (int group = 0; group < MDL_N_GROUP; group++) {
        block->weight[group] = next_place(list);
        want_group(list, config, layer, (mdl_linear_group_t)group, 0);
    }
    if (config->qkv_biased) {
        block->bias_qkv = next_place(list);
        want_group(list, config, layer, MDL_GROUP_QKV, 1);
    }
}

/* Every tensor that the decoder has, from the start of the list's storage on. */
static void want_all(wanted_list_t *list, mdl_decoder_t *decoder)
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

static int lay_out(mdl_decoder_t *decoder, wanted_list_t *list, mdl_error_t *err)
{
    int rc = MDL_OK;
    const mdl_model_config_t *config = &decoder->config;
    size_t n_wanted = 3 + (size_t)config->n_layer * N_BLOCK_TENSOR;
    MDL_TRY(mdl_alloc(&list->item, n_wanted, sizeof *list->item, "a list of tensors", err));
    MDL_TRY(mdl_alloc(&decoder->block, (size_t)config->n_layer, sizeof *decoder->block,
                      "a decoder's blocks", err));
    MDL_TRY(mdl_alloc(&decoder->frequency, (size_t)config->n_head_feat, sizeof(float),
                      "a decoder's frequencies", err));
    decoder->frequency_local = decoder->frequency + config->n_head_feat / 2;
    list->bfloat16 = decoder->backend->bfloat16;
    want_all(list, decoder);
    MDL_TRY(decoder->backend->alloc(&decoder->storage, list->n_taken, "a decoder's weights", err));
    list->base = decoder->storage;
    want_all(list, decoder);
done:
    return rc;
}

static int is_wanted(const wanted_list_t *list, const char *name)
{
    for (int64_t i = 0; i < list->n; i++)
        if (strcmp(list->item[i].name, name) == 0)
            return 1;
    return 0;
}

/* Derived values that some published files carry: the positions' frequencies, a tied head. */
static int is_redundant(const mdl_model_config_t *config, const char *name)
{
    static const char end[] = "rotary_emb.inv_freq";
    size_t n_name = strlen(name);
    if (n_name >= sizeof end - 1 && strcmp(name + n_name - (sizeof end - 1), end) == 0)
        return 1;
    return config->tied_head && strcmp(name, "lm_head.weight") == 0;
}

/* A tensor that the engine would leave out changes the model: refuse it. */
static int check_unknown(const mdl_model_files_t *files, const mdl_decoder_t *decoder,
                         const wanted_list_t *list, const char *folder, mdl_error_t *err)
{
    for (int i = 0; i < mdl_model_files_count(files); i++) {
        const mdl_safetensors_t *file = mdl_model_files_at(files, i);
        for (int64_t t = 0; t < mdl_safetensors_count(file); t++) {
            const char *name = mdl_safetensors_at(file, t)->name;
            if (!is_wanted(list, name) && !is_redundant(&decoder->config, name))
                return mdl_fail(err, MDL_E_INPUT,
                                "%s: tensor %s has no place in the model that config.json "
                                "describes; they belong to different models",
                                folder, name);
        }
    }
    return MDL_OK;
}

/* Into values, which is memory of the host; what is kept as bfloat16, as such at its start. */
static int read_wanted(const mdl_model_files_t *files, const wanted_t *item, float *values,
                       mdl_error_t *err)
{
    int rc = mdl_model_files_read_float(files, item->name, item->n_dim, item->dims, values, err);
    for (int64_t i = 0; rc == MDL_OK && item->offset != 0 && i < n_value_of(item); i++)
        values[i] += item->offset;
    for (int64_t i = 0; rc == MDL_OK && item->bfloat16 && i < n_value_of(item); i++) {
        mdl_bfloat16_t value = mdl_to_bfloat16(values[i]);
        memcpy((char *)values + i * (int64_t)sizeof value, &value, sizeof value);
    }
    return rc;
}

static int read_all(const mdl_model_files_t *files, const wanted_list_t *list,
                    const mdl_backend_t *backend, mdl_error_t *err)
{
    float *stage = NULL;
    int64_t n_room = 0;
    int straight = backend->on_host && !backend->bfloat16, rc = MDL_OK;
    for (int64_t i = 0; !straight && i < list->n; i++)
        n_room = n_value_of(&list->item[i]) > n_room ? n_value_of(&list->item[i]) : n_room;
    MDL_TRY(mdl_alloc(&stage, (size_t)n_room, sizeof *stage, "the largest tensor", err));
    for (int64_t i = 0; i < list->n; i++) {
        const wanted_t *item = &list->item[i];
        MDL_TRY(read_wanted(files, item, straight ? item->out : stage, err));
        if (!straight)
            MDL_TRY(backend->upload(item->out, stage, n_byte_of(item), err));
    }
done:
    free(stage);
    return rc;
}

static int load(const char *folder, mdl_decoder_t *decoder, mdl_error_t *err)
{
    int rc = MDL_OK;
    mdl_model_files_t *files = NULL;
    wanted_list_t list = {0};
    size_t n_path = strlen(folder) + sizeof "/config.json";
    char *path = NULL;
    MDL_TRY(mdl_alloc(&path, n_path, 1, "a path", err));
    snprintf(path, n_path, "%s/config.json", folder);
    MDL_TRY(mdl_model_config_read(path, &decoder->config, err));
    MDL_TRY(mdl_model_files_open(folder, &files, err));
    MDL_TRY(lay_out(decoder, &list, err));
    MDL_TRY(check_unknown(files, decoder, &list, folder, err));
    MDL_TRY(read_all(files, &list, decoder->backend, err));
    mdl_rope_frequency(&decoder->config.rope, decoder->config.n_head_feat, decoder->frequency);
    mdl_rope_frequency(&decoder->config.rope_local, decoder->config.n_head_feat,
                       decoder->frequency_local);
done:
    mdl_model_files_close(files);
    free(list.item);
    free(path);
    return rc;
}

int mdl_decoder_load(const mdl_backend_t *backend, const char *folder, mdl_decoder_t **decoder,
                     mdl_error_t *err)
{
    int rc = MDL_OK;
    mdl_decoder_t *loaded = NULL;
    *decoder = NULL;
    MDL_TRY(mdl_alloc(&loaded, 1, sizeof *loaded, "a decoder", err));
    loaded->backend = backend;
    MDL_TRY(load(folder, loaded, err));
    *decoder = loaded;
    loaded = NULL;
done:
    mdl_decoder_free(loaded);
    return rc;
}

const mdl_backend_t *mdl_decoder_backend(const mdl_decoder_t *decoder)
{
    return decoder->backend;
}

const mdl_model_config_t *mdl_decoder_config(const mdl_decoder_t *decoder)
{
    return &decoder->config;
}

void mdl_decoder_free(mdl_decoder_t *decoder)
{
    if (decoder == NULL)
        return;
    decoder->backend->release(decoder->storage);
    free(decoder->frequency);
    free(decoder->block);
    free(decoder);
}
