/* The rotary positions of a config.json, by its older and its newer keys. */
#include "io/model_config_reader.h"

#include <math.h>
#include <string.h>

static const char known_types[] = "default, linear, llama3 and longrope";

static int is_empty(const json_t *object)
{
    return object == NULL || json_is_null(object) || json_object_size(object) == 0;
}

static int read_type(const mdl_config_reader_t *reader, const json_t *scaling,
                     mdl_rope_config_t *rope)
{
    const char *type = json_string_value(json_object_get(scaling, "rope_type"));
    if (type == NULL)
        type = json_string_value(json_object_get(scaling, "type"));
    if (type == NULL && !is_empty(scaling) && json_object_get(scaling, "rope_theta") == NULL)
        return mdl_config_refuse(reader, "rope_scaling.rope_type", "(none)", known_types);
    if (type == NULL || strcmp(type, "default") == 0)
        rope->type = MDL_ROPE_DEFAULT;
    else if (strcmp(type, "linear") == 0)
        rope->type = MDL_ROPE_LINEAR;
    else if (strcmp(type, "llama3") == 0)
        rope->type = MDL_ROPE_LLAMA3;
    else if (strcmp(type, "longrope") == 0 || strcmp(type, "su") == 0)
        rope->type = MDL_ROPE_LONGROPE;
    else
        return mdl_config_refuse(reader, "rope_type", type, known_types);
    return MDL_OK;
}

static int read_original(const mdl_config_reader_t *reader, const json_t *scaling,
                         const mdl_model_config_t *config, mdl_rope_config_t *rope)
{
    static const char key[] = "original_max_position_embeddings";
    const json_t *place = json_object_get(scaling, key) != NULL ? scaling : reader->root;
    return mdl_config_positive(reader, place, key, (double)config->n_max_position,
                               &rope->n_original_position);
}

static int read_llama3(const mdl_config_reader_t *reader, const json_t *scaling,
                       const mdl_model_config_t *config, mdl_rope_config_t *rope)
{
    int rc = MDL_OK;
    MDL_TRY(mdl_config_positive(reader, scaling, "factor", 0, &rope->factor));
    MDL_TRY(mdl_config_positive(reader, scaling, "low_freq_factor", 0, &rope->low_freq_factor));
    MDL_TRY(mdl_config_positive(reader, scaling, "high_freq_factor", 0, &rope->high_freq_factor));
    MDL_TRY(read_original(reader, scaling, config, rope));
    if (rope->high_freq_factor <= rope->low_freq_factor)
        rc = mdl_fail(reader->err, MDL_E_INPUT,
                      "%s: high_freq_factor must be above low_freq_factor", reader->path);
done:
    return rc;
}

static int read_factors(const mdl_config_reader_t *reader, const json_t *scaling, const char *key,
                        int64_t n_factor, double *factors)
{
    const json_t *list = json_object_get(scaling, key);
    if (!json_is_array(list) || (int64_t)json_array_size(list) != n_factor)
        return mdl_fail(reader->err, MDL_E_INPUT,
                        "%s: %s must be a list of %lld numbers, half the head's width",
                        reader->path, key, (long long)n_factor);
    for (int64_t i = 0; i < n_factor; i++) {
        const json_t *value = json_array_get(list, (size_t)i);
        factors[i] = json_number_value(value);
        if (!json_is_number(value) || !isfinite(factors[i]) || factors[i] <= 0)
            return mdl_fail(reader->err, MDL_E_INPUT, "%s: %s[%lld] must be a number above 0",
                            reader->path, key, (long long)i);
    }
    return MDL_OK;
}

/* LongRoPE (Ding et al. 2024, arXiv 2402.13753) as Phi-3 uses it. Sequences longer than the
 * original context would turn by long_factor; the engine keeps to those up to it. */
static int read_longrope(const mdl_config_reader_t *reader, const json_t *scaling,
                         mdl_model_config_t *config, mdl_rope_config_t *rope)
{
    int rc = MDL_OK;
    double long_factor[MDL_MAX_HEAD_FEAT / 2], ratio;
    int64_t n_half = config->n_head_feat / 2;
    MDL_TRY(read_factors(reader, scaling, "short_factor", n_half, rope->short_factor));
    MDL_TRY(read_factors(reader, scaling, "long_factor", n_half, long_factor));
    MDL_TRY(read_original(reader, scaling, config, rope));
    ratio = (double)config->n_max_position / rope->n_original_position;
    MDL_TRY(mdl_config_positive(reader, scaling, "factor", ratio, &ratio));
    if (rope->n_original_position < 2)
        MDL_TRY(mdl_fail(reader->err, MDL_E_INPUT,
                         "%s: original_max_position_embeddings must be 2 or more", reader->path));
    rope->magnitude = ratio > 1 ? sqrt(1 + log(ratio) / log(rope->n_original_position)) : 1;
    MDL_TRY(mdl_config_positive(reader, scaling, "attention_factor", rope->magnitude,
                                &rope->magnitude));
    if (rope->n_original_position < (double)config->n_max_position)
        config->n_max_position = (int64_t)rope->n_original_position;
done:
    return rc;
}

/* One set of rotary settings; scaling may be NULL. */
static int read_rope(const mdl_config_reader_t *reader, const json_t *scaling,
                     const char *theta_key, double theta, mdl_model_config_t *config,
                     mdl_rope_config_t *rope)
{
    int rc = MDL_OK;
    double rotary_share;
    const json_t *theta_in = reader->root, *share_in = reader->root;
    static const char share_key[] = "partial_rotary_factor";
    rope->magnitude = 1;
    if (json_object_get(scaling, "rope_theta") != NULL) {
        theta_in = scaling;
        theta_key = "rope_theta";
    }
    MDL_TRY(mdl_config_positive(reader, theta_in, theta_key, theta, &rope->theta));
    if (json_object_get(scaling, share_key) != NULL)
        share_in = scaling;
    MDL_TRY(mdl_config_positive(reader, share_in, share_key, 1.0, &rotary_share));
    if (rotary_share != 1.0)
        MDL_TRY(mdl_config_refuse(reader, share_key, "not 1", "1"));
    MDL_TRY(read_type(reader, scaling, rope));
    if (rope->type == MDL_ROPE_LINEAR)
        rc = mdl_config_positive(reader, scaling, "factor", 0, &rope->factor);
    else if (rope->type == MDL_ROPE_LLAMA3)
        rc = read_llama3(reader, scaling, config, rope);
    else if (rope->type == MDL_ROPE_LONGROPE)
        rc = read_longrope(reader, scaling, config, rope);
done:
    return rc;
}

/* rope_parameters (newer files; one for each kind of block in families that have two), or
 * rope_scaling beside rope_theta (older ones). */
int mdl_rope_read(const mdl_config_reader_t *reader, mdl_model_config_t *config)
{
    int rc = MDL_OK;
    const mdl_family_t *family = reader->family;
    const json_t *nested = json_object_get(reader->root, "rope_parameters");
    const json_t *flat = json_object_get(reader->root, "rope_scaling");
    if ((nested != NULL && !json_is_null(nested) && !json_is_object(nested)) ||
        (flat != NULL && !json_is_null(flat) && !json_is_object(flat)))
        return mdl_fail(reader->err, MDL_E_INPUT,
                        "%s: rope_parameters and rope_scaling must be objects", reader->path);
    if (!is_empty(nested) && !is_empty(flat))
        return mdl_fail(reader->err, MDL_E_INPUT,
                        "%s: rope_parameters and rope_scaling are both set; keep one",
                        reader->path);
    const json_t *global = is_empty(nested) ? flat : nested, *local = NULL;
    if (family->local_theta > 0 && !is_empty(nested)) {
        global = json_object_get(nested, "full_attention");
        local = json_object_get(nested, "sliding_attention");
        if (!json_is_object(global) || !json_is_object(local))
            return mdl_fail(reader->err, MDL_E_INPUT,
                            "%s: rope_parameters must hold full_attention and sliding_attention",
                            reader->path);
    }
    MDL_TRY(read_rope(reader, global, "rope_theta", family->theta, config, &config->rope));
    config->rope_local = config->rope;
    if (family->local_theta > 0)
        MDL_TRY(read_rope(reader, local, "rope_local_base_freq", family->local_theta, config,
                          &config->rope_local));
done:
    return rc;
}
