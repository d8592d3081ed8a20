/* The table of families, and which blocks see a window only. */
#include "io/model_config_reader.h"

#include <stdio.h>
#include <string.h>

static const char known_families[] = "llama, mistral, qwen2, phi3, gemma and gemma3_text";

/* Vicuna, Llama 3 and SmolLM2 call themselves llama. Gemma 1 files that say gelu mean its tanh
 * form (google/gemma-2b's own code). */
static const mdl_family_t families[] = {
    {.model_type = "llama", .activations = "silu", .norm_eps = 1e-6, .theta = 1e4},
    {.model_type = "mistral",
     .activations = "silu",
     .norm_eps = 1e-6,
     .window_rule = MDL_WINDOW_ALL,
     .n_window = 4096,
     .theta = 1e4},
    {.model_type = "qwen2",
     .activations = "silu",
     .qkv_biased = 1,
     .norm_eps = 1e-6,
     .window_rule = MDL_WINDOW_TAIL,
     .n_window = 4096,
     .theta = 1e4},
    {.model_type = "phi3",
     .activations = "silu",
     .fused = 1,
     .norm_eps = 1e-5,
     .window_rule = MDL_WINDOW_ALL,
     .theta = 1e4},
    {.model_type = "gemma",
     .activations = "gelu_pytorch_tanh gelu",
     .activation = MDL_ACTIVATION_GELU_TANH,
     .norm_from_one = 1,
     .embedding_scaled = 1,
     .tied_head = 1,
     .n_head_feat = 256,
     .norm_eps = 1e-6,
     .theta = 1e4},
    {.model_type = "gemma3_text",
     .activations = "gelu_pytorch_tanh",
     .activation = MDL_ACTIVATION_GELU_TANH,
     .norm_from_one = 1,
     .embedding_scaled = 1,
     .head_normed = 1,
     .output_normed = 1,
     .tied_head = 1,
     .n_head_feat = 256,
     .norm_eps = 1e-6,
     .query_scalar = 256,
     .window_rule = MDL_WINDOW_PATTERN,
     .n_window = 4096,
     .theta = 1e6,
     .local_theta = 1e4},
};

/* Options that change the result and that no family here has. */
static const char *const absent_keys[] = {"attention_bias",
                                          "mlp_bias",
                                          "use_bidirectional_attention",
                                          "attn_logit_softcapping",
                                          "qk_layernorm",
                                          "final_logit_softcapping",
                                          "rope_interleaved",
                                          "use_qk_norm",
                                          "no_rope_layers",
                                          "blocksparse_block_size",
                                          "mup_width_multiplier",
                                          "use_mrope",
                                          "quantization_config"};

static int has_word(const char *words, const char *word)
{
    size_t n_word = strlen(word);
    for (const char *at = words; *at != '\0'; at += at[0] == ' ') {
        size_t n = strcspn(at, " ");
        if (n == n_word && memcmp(at, word, n) == 0)
            return 1;
        at += n;
    }
    return 0;
}

static int check_activation(const mdl_config_reader_t *reader, const char *key)
{
    const json_t *value = json_object_get(reader->root, key);
    if (value == NULL || json_is_null(value))
        return MDL_OK;
    const char *name = json_string_value(value);
    if (name == NULL || !has_word(reader->family->activations, name))
        return mdl_config_refuse(reader, key, name != NULL ? name : "no text",
                                 reader->family->activations);
    return MDL_OK;
}

static int check_absent(const mdl_config_reader_t *reader)
{
    for (size_t i = 0; i < sizeof absent_keys / sizeof *absent_keys; i++) {
        const json_t *value = json_object_get(reader->root, absent_keys[i]);
        if (value == NULL || json_is_null(value) || json_is_false(value) ||
            (json_is_array(value) && json_array_size(value) == 0))
            continue;
        return mdl_fail(reader->err, MDL_E_INPUT,
                        "%s: %s is set; this engine computes no model that has it", reader->path,
                        absent_keys[i]);
    }
    return MDL_OK;
}

int mdl_family_read(mdl_config_reader_t *reader, mdl_model_config_t *config)
{
    int rc = MDL_OK;
    const char *type = json_string_value(json_object_get(reader->root, "model_type"));
    const mdl_family_t *family = NULL;
    for (size_t i = 0; type != NULL && i < sizeof families / sizeof *families; i++)
        if (strcmp(families[i].model_type, type) == 0)
            family = &families[i];
    if (family == NULL)
        return mdl_config_refuse(reader, "model_type", type != NULL ? type : "(none)",
                                 known_families);
    reader->family = family;
    MDL_TRY(check_activation(reader, "hidden_act"));
    MDL_TRY(check_activation(reader, "hidden_activation"));
    MDL_TRY(check_absent(reader));
    snprintf(config->model_type, sizeof config->model_type, "%s", type);
    config->activation = family->activation;
    config->norm_from_one = family->norm_from_one;
    config->embedding_scaled = family->embedding_scaled;
    config->qkv_biased = family->qkv_biased;
    config->fused = family->fused;
    config->head_normed = family->head_normed;
    config->output_normed = family->output_normed;
    if (family->query_scalar > 0)
        MDL_TRY(mdl_config_positive(reader, reader->root, "query_pre_attn_scalar",
                                    family->query_scalar, &config->query_scalar));
done:
    return rc;
}

/* sliding_window: absent is the family's default, null is none. */
static int read_window(const mdl_config_reader_t *reader, mdl_model_config_t *config)
{
    const mdl_family_t *family = reader->family;
    const json_t *value = json_object_get(reader->root, "sliding_window");
    int used = 1, rc;
    config->n_window = family->n_window;
    if (family->window_rule == MDL_WINDOW_TAIL) {
        rc = mdl_config_flag(reader, "use_sliding_window", 0, &used);
        if (rc != MDL_OK)
            return rc;
    }
    if (!used || (value != NULL && json_is_null(value))) {
        config->n_window = 0;
        return MDL_OK;
    }
    if (value != NULL && family->window_rule == MDL_WINDOW_NONE)
        return mdl_fail(reader->err, MDL_E_INPUT, "%s: sliding_window is set, but %s has no window",
                        reader->path, family->model_type);
    return value == NULL ? MDL_OK
                         : mdl_config_size(reader, "sliding_window", 0, 1 << 24, &config->n_window);
}

static int follow_rule(const mdl_config_reader_t *reader, mdl_model_config_t *config)
{
    int64_t first_local = 0, n_pattern = 6;
    int rc = MDL_OK;
    mdl_window_rule_t rule = reader->family->window_rule;
    const json_t *tail = json_object_get(reader->root, "max_window_layers");
    if (rule == MDL_WINDOW_TAIL && tail != NULL) {
        first_local = json_integer_value(tail);
        if (!json_is_integer(tail) || first_local < 0)
            return mdl_fail(reader->err, MDL_E_INPUT, "%s: max_window_layers must be 0 or more",
                            reader->path);
    } else if (rule == MDL_WINDOW_TAIL) {
        first_local = 28;
    }
    if (rule == MDL_WINDOW_PATTERN)
        rc =
            mdl_config_size(reader, "sliding_window_pattern", n_pattern, MDL_MAX_LAYER, &n_pattern);
    for (int64_t layer = 0; rc == MDL_OK && layer < config->n_layer; layer++) {
        if (rule == MDL_WINDOW_PATTERN)
            config->is_local[layer] = (layer + 1) % n_pattern != 0;
        else
            config->is_local[layer] = config->n_window > 0 && layer >= first_local;
    }
    return rc;
}

/* layer_types says it block by block; where the family has one rule for all, it must agree. */
static int read_layer_types(const mdl_config_reader_t *reader, mdl_model_config_t *config)
{
    const json_t *types = json_object_get(reader->root, "layer_types");
    mdl_window_rule_t rule = reader->family->window_rule;
    if (types == NULL || json_is_null(types))
        return MDL_OK;
    if (!json_is_array(types) || (int64_t)json_array_size(types) != config->n_layer)
        return mdl_fail(reader->err, MDL_E_INPUT,
                        "%s: layer_types must be a list of %lld words, one a block", reader->path,
                        (long long)config->n_layer);
    for (int64_t layer = 0; layer < config->n_layer; layer++) {
        const char *type = json_string_value(json_array_get(types, (size_t)layer));
        int is_local = type != NULL && strcmp(type, "sliding_attention") == 0;
        if (!is_local && (type == NULL || strcmp(type, "full_attention") != 0))
            return mdl_config_refuse(reader, "layer_types", type != NULL ? type : "no text",
                                     "full_attention and sliding_attention");
        if ((rule == MDL_WINDOW_NONE || rule == MDL_WINDOW_ALL) &&
            is_local != config->is_local[layer])
            return mdl_fail(reader->err, MDL_E_INPUT,
                            "%s: layer_types says %s for block %lld, sliding_window says otherwise",
                            reader->path, type, (long long)layer);
        config->is_local[layer] = (uint8_t)is_local;
    }
    return MDL_OK;
}

int mdl_windows_read(const mdl_config_reader_t *reader, mdl_model_config_t *config)
{
    int rc = MDL_OK, any = 0;
    MDL_TRY(read_window(reader, config));
    MDL_TRY(follow_rule(reader, config));
    MDL_TRY(read_layer_types(reader, config));
    for (int64_t layer = 0; layer < config->n_layer; layer++)
        any |= config->is_local[layer];
    if (any && config->n_window == 0)
        rc = mdl_fail(reader->err, MDL_E_INPUT,
                      "%s: some blocks see a window, but sliding_window isn't set or in use",
                      reader->path);
    if (!any)
        config->n_window = 0;
done:
    return rc;
}
