#include "io/model_config.h"

#include "io/model_config_reader.h"

#include <math.h>
#include <string.h>

#define MAX_CONFIG_BYTE ((size_t)16 * 1024 * 1024)

int mdl_config_refuse(const mdl_config_reader_t *reader, const char *key, const char *value,
                      const char *known)
{
    return mdl_fail(reader->err, MDL_E_INPUT, "%s: %s is \"%s\"; this engine knows %s",
                    reader->path, key, value, known);
}

static int is_absent(const json_t *value)
{
    return value == NULL || json_is_null(value);
}

int mdl_config_size(const mdl_config_reader_t *reader, const char *key, int64_t fallback,
                    int64_t max, int64_t *size)
{
    const json_t *value = json_object_get(reader->root, key);
    if (is_absent(value) && fallback > 0) {
        *size = fallback;
        return MDL_OK;
    }
    *size = json_integer_value(value);
    if (!json_is_integer(value) || *size < 1 || *size > max)
        return mdl_fail(reader->err, MDL_E_INPUT, "%s: %s must be a whole number in 1 .. %lld",
                        reader->path, key, (long long)max);
    return MDL_OK;
}

int mdl_config_positive(const mdl_config_reader_t *reader, const json_t *object, const char *key,
                        double fallback, double *number)
{
    const json_t *value = json_object_get(object, key);
    if (is_absent(value) && fallback > 0) {
        *number = fallback;
        return MDL_OK;
    }
    *number = json_number_value(value);
    if (!json_is_number(value) || !isfinite(*number) || *number <= 0)
        return mdl_fail(reader->err, MDL_E_INPUT, "%s: %s must be a number above 0", reader->path,
                        key);
    return MDL_OK;
}

int mdl_config_flag(const mdl_config_reader_t *reader, const char *key, int fallback, int *flag)
{
    const json_t *value = json_object_get(reader->root, key);
    *flag = is_absent(value) ? fallback : json_is_true(value);
    if (!is_absent(value) && !json_is_boolean(value))
        return mdl_fail(reader->err, MDL_E_INPUT, "%s: %s must be true or false", reader->path,
                        key);
    return MDL_OK;
}

static int read_head_width(const mdl_config_reader_t *reader, mdl_model_config_t *config)
{
    int64_t fallback = reader->family->n_head_feat;
    if (fallback == 0 && is_absent(json_object_get(reader->root, "head_dim"))) {
        if (config->n_feat % config->n_head != 0)
            return mdl_fail(reader->err, MDL_E_INPUT,
                            "%s: num_attention_heads %lld doesn't divide hidden_size %lld and "
                            "head_dim is not given",
                            reader->path, (long long)config->n_head, (long long)config->n_feat);
        fallback = config->n_feat / config->n_head;
    }
    int rc = mdl_config_size(reader, "head_dim", fallback, MDL_MAX_HEAD_FEAT, &config->n_head_feat);
    if (rc == MDL_OK && (config->n_head_feat % 2 != 0 || config->n_head_feat > MDL_MAX_HEAD_FEAT))
        rc = mdl_fail(reader->err, MDL_E_INPUT,
                      "%s: the head width %lld is odd or above %d; rotary positions need an even "
                      "one",
                      reader->path, (long long)config->n_head_feat, MDL_MAX_HEAD_FEAT);
    return rc;
}

static int read_sizes(const mdl_config_reader_t *reader, mdl_model_config_t *config)
{
    int rc = MDL_OK;
    MDL_TRY(mdl_config_size(reader, "vocab_size", 0, 1 << 24, &config->n_vocab));
    MDL_TRY(mdl_config_size(reader, "hidden_size", 0, 1 << 17, &config->n_feat));
    MDL_TRY(mdl_config_size(reader, "intermediate_size", 0, 1 << 20, &config->n_mlp_feat));
    MDL_TRY(mdl_config_size(reader, "num_hidden_layers", 0, MDL_MAX_LAYER, &config->n_layer));
    MDL_TRY(mdl_config_size(reader, "num_attention_heads", 0, 1024, &config->n_head));
    MDL_TRY(
        mdl_config_size(reader, "num_key_value_heads", config->n_head, 1024, &config->n_kv_head));
    MDL_TRY(
        mdl_config_size(reader, "max_position_embeddings", 2048, 1 << 24, &config->n_max_position));
    if (config->n_head % config->n_kv_head != 0)
        MDL_TRY(mdl_fail(reader->err, MDL_E_INPUT,
                         "%s: num_key_value_heads %lld doesn't divide num_attention_heads %lld",
                         reader->path, (long long)config->n_kv_head, (long long)config->n_head));
    MDL_TRY(read_head_width(reader, config));
done:
    return rc;
}

/* A token id: a whole number, or the first one of a list; -1 when absent or null. */
static int read_token_id(const mdl_config_reader_t *reader, const char *key, int64_t n_vocab,
                         int64_t *id)
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
    mdl_config_reader_t reader = {.path = path, .root = root, .err = err};
    MDL_TRY(mdl_family_read(&reader, config));
    MDL_TRY(read_sizes(&reader, config));
    MDL_TRY(mdl_config_positive(&reader, root, "rms_norm_eps", reader.family->norm_eps,
                                &config->norm_eps));
    MDL_TRY(mdl_config_flag(&reader, "tie_word_embeddings", reader.family->tied_head,
                            &config->tied_head));
    MDL_TRY(mdl_windows_read(&reader, config));
    MDL_TRY(mdl_rope_read(&reader, config));
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
    block += config->output_normed ? 2 * d : 0;
    block += config->head_normed ? 2 * config->n_head_feat : 0;
    block += config->qkv_biased ? n_query + 2 * n_key : 0;
    return config->n_vocab * d * (config->tied_head ? 1 : 2) + config->n_layer * block + d;
}
