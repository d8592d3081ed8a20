#include "io/model_config.h"

#include "io/json_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_CONFIG_BYTE ((size_t)16 * 1024 * 1024)

typedef struct {
    const char *path;
    const json_t *root;
    mdl_error_t *err;
} reader_t;

static int refuse(const reader_t *reader, const char *key, const char *value, const char *known)
{
    return mdl_fail(reader->err, MDL_E_INPUT, "%s: %s is \"%s\"; this engine knows %s",
                    reader->path, key, value, known);
}

/* A whole number in 1 .. max; fallback stands for a key that is absent or null (0: required). */
static int read_size(const reader_t *reader, const char *key, int64_t fallback, int64_t max,
                     int64_t *size)
{
    const json_t *value = json_object_get(reader->root, key);
    if ((value == NULL || json_is_null(value)) && fallback > 0) {
        *size = fallback;
        return MDL_OK;
    }
    *size = json_integer_value(value);
    if (!json_is_integer(value) || *size < 1 || *size > max)
        return mdl_fail(reader->err, MDL_E_INPUT, "%s: %s must be a whole number in 1 .. %lld",
                        reader->path, key, (long long)max);
    return MDL_OK;
}

/* A finite number above 0 in object; fallback stands for an absent key (0: required). */
static int read_positive(const reader_t *reader, const json_t *object, const char *key,
                         double fallback, double *number)
{
    const json_t *value = json_object_get(object, key);
    if (value == NULL && fallback > 0) {
        *number = fallback;
        return MDL_OK;
    }
    *number = json_number_value(value);
    if (!json_is_number(value) || !isfinite(*number) || *number <= 0)
        return mdl_fail(reader->err, MDL_E_INPUT, "%s: %s must be a number above 0", reader->path,
                        key);
    return MDL_OK;
}

/* true or false; absent or null is false. */
static int read_flag(const reader_t *reader, const char *key, int *flag)
{
    const json_t *value = json_object_get(reader->root, key);
    *flag = json_is_true(value);
    if (value != NULL && !json_is_boolean(value) && !json_is_null(value))
        return mdl_fail(reader->err, MDL_E_INPUT, "%s: %s must be true or false", reader->path,
                        key);
    return MDL_OK;
}

static int read_family(const reader_t *reader, mdl_model_config_t *config)
{
    static const char *const bias_keys[] = {"attention_bias", "mlp_bias"};
    const char *type = json_string_value(json_object_get(reader->root, "model_type"));
    const char *activation = json_string_value(json_object_get(reader->root, "hidden_act"));
    if (type == NULL || strcmp(type, "llama") != 0)
        return refuse(reader, "model_type", type != NULL ? type : "(none)", "llama");
    if (activation != NULL && strcmp(activation, "silu") != 0)
        return refuse(reader, "hidden_act", activation, "silu");
    snprintf(config->model_type, sizeof config->model_type, "%s", type);
    for (int i = 0; i < 2; i++) {
        int biased;
        int rc = read_flag(reader, bias_keys[i], &biased);
        if (rc != MDL_OK)
            return rc;
        if (biased)
            return refuse(reader, bias_keys[i], "true", "false");
    }
    return MDL_OK;
}

static int read_sizes(const reader_t *reader, mdl_model_config_t *config)
{
    int rc = MDL_OK;
    MDL_TRY(read_size(reader, "vocab_size", 0, 1 << 24, &config->n_vocab));
    MDL_TRY(read_size(reader, "hidden_size", 0, 1 << 17, &config->n_feat));
    MDL_TRY(read_size(reader, "intermediate_size", 0, 1 << 20, &config->n_mlp_feat));
    MDL_TRY(read_size(reader, "num_hidden_layers", 0, 1024, &config->n_layer));
    MDL_TRY(read_size(reader, "num_attention_heads", 0, 1024, &config->n_head));
    MDL_TRY(read_size(reader, "num_key_value_heads", config->n_head, 1024, &config->n_kv_head));
    MDL_TRY(read_size(reader, "max_position_embeddings", 2048, 1 << 24, &config->n_max_position));
    if (config->n_head % config->n_kv_head != 0)
        MDL_TRY(mdl_fail(reader->err, MDL_E_INPUT,
                         "%s: num_key_value_heads %lld doesn't divide num_attention_heads %lld",
                         reader->path, (long long)config->n_kv_head, (long long)config->n_head));
    const json_t *head_dim = json_object_get(reader->root, "head_dim");
    if ((head_dim == NULL || json_is_null(head_dim)) && config->n_feat % config->n_head != 0)
        MDL_TRY(mdl_fail(reader->err, MDL_E_INPUT,
                         "%s: num_attention_heads %lld doesn't divide hidden_size %lld and "
                         "head_dim is not given",
                         reader->path, (long long)config->n_head, (long long)config->n_feat));
    MDL_TRY(
        read_size(reader, "head_dim", config->n_feat / config->n_head, 1024, &config->n_head_feat));
    if (config->n_head_feat % 2 != 0)
        MDL_TRY(mdl_fail(reader->err, MDL_E_INPUT,
                         "%s: the head width %lld is odd; rotary positions need an even one",
                         reader->path, (long long)config->n_head_feat));
done:
    return rc;
}

/* Either rope_parameters (newer files) or rope_scaling beside rope_theta (older ones). */
static int read_rope(const reader_t *reader, mdl_model_config_t *config)
{
    int rc = MDL_OK;
    mdl_rope_config_t *rope = &config->rope;
    const json_t *nested = json_object_get(reader->root, "rope_parameters");
    if (!json_is_object(nested))
        nested = json_object_get(reader->root, "rope_scaling");
    const json_t *theta_in = json_object_get(nested, "rope_theta") != NULL ? nested : reader->root;
    MDL_TRY(read_positive(reader, theta_in, "rope_theta", 10000.0, &rope->theta));

    const char *type = json_string_value(json_object_get(nested, "rope_type"));
    if (type == NULL)
        type = json_string_value(json_object_get(nested, "type"));
    rope->type = MDL_ROPE_DEFAULT;
    if (type == NULL && json_object_size(nested) > 0 && theta_in != nested)
        MDL_TRY(refuse(reader, "rope_scaling.rope_type", "(none)", "default and llama3"));
    double rotary_share;
    MDL_TRY(read_positive(reader, nested, "partial_rotary_factor", 1.0, &rotary_share));
    if (rotary_share != 1.0)
        MDL_TRY(refuse(reader, "partial_rotary_factor", "below 1", "1"));
    if (type == NULL || strcmp(type, "default") == 0)
        goto done;
    if (strcmp(type, "llama3") != 0)
        MDL_TRY(refuse(reader, "rope_type", type, "default and llama3"));
    rope->type = MDL_ROPE_LLAMA3;
    MDL_TRY(read_positive(reader, nested, "factor", 0, &rope->factor));
    MDL_TRY(read_positive(reader, nested, "low_freq_factor", 0, &rope->low_freq_factor));
    MDL_TRY(read_positive(reader, nested, "high_freq_factor", 0, &rope->high_freq_factor));
    MDL_TRY(read_positive(reader, nested, "original_max_position_embeddings",
                          (double)config->n_max_position, &rope->n_original_position));
    if (rope->high_freq_factor <= rope->low_freq_factor)
        MDL_TRY(mdl_fail(reader->err, MDL_E_INPUT,
                         "%s: high_freq_factor must be above low_freq_factor", reader->path));
done:
    return rc;
}

/* A token id: a whole number, or the first one of a list; -1 when absent or null. */
static int read_token_id(const reader_t *reader, const char *key, int64_t n_vocab, int64_t *id)
{
    const json_t *value = json_object_get(reader->root, key);
    *id = -1;
    if (json_is_array(value))
        value = json_array_get(value, 0);
    if (value == NULL || json_is_null(value))
        return MDL_OK;
    *id = json_integer_value(value);
    if (!json_is_integer(value) || *id < 0 || *id >= n_vocab)
        return mdl_fail(reader->err, MDL_E_INPUT, "%s: %s must be a token id in 0 .. %lld",
                        reader->path, key, (long long)n_vocab - 1);
    return MDL_OK;
}

int mdl_model_config_read(const char *path, mdl_model_config_t *config, mdl_error_t *err)
{
    json_t *root = NULL;
    memset(config, 0, sizeof *config);
    int rc = mdl_json_read(path, MAX_CONFIG_BYTE, &root, err);
    if (rc != MDL_OK)
        return rc;
    reader_t reader = {path, root, err};
    MDL_TRY(read_family(&reader, config));
    MDL_TRY(read_sizes(&reader, config));
    MDL_TRY(read_positive(&reader, root, "rms_norm_eps", 1e-6, &config->norm_eps));
    MDL_TRY(read_flag(&reader, "tie_word_embeddings", &config->tied_head));
    MDL_TRY(read_rope(&reader, config));
    MDL_TRY(read_token_id(&reader, "bos_token_id", config->n_vocab, &config->bos_id));
    MDL_TRY(read_token_id(&reader, "eos_token_id", config->n_vocab, &config->eos_id));
done:
    json_decref(root);
    return rc;
}

int64_t mdl_model_config_n_weight(const mdl_model_config_t *config)
{
    int64_t d = config->n_feat, n_query = config->n_head * config->n_head_feat;
    int64_t n_key = config->n_kv_head * config->n_head_feat;
    int64_t block = 2 * d + 2 * d * (n_query + n_key) + 3 * d * config->n_mlp_feat;
    return config->n_vocab * d * (config->tied_head ? 1 : 2) + config->n_layer * block + d;
}
