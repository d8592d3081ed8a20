#include "io/vision_config.h"

#include "io/json_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_CONFIG_BYTE ((size_t)16 * 1024 * 1024)

typedef struct {
    const char *path;
    const json_t *root; /* the object that describes the vision encoder */
    mdl_error_t *err;
} reader_t;

/* What a family's files may leave out, as transformers fills it in. */
typedef struct {
    const char *model_type;
    mdl_vision_family_t family;
    int64_t n_feat, n_mlp_feat, n_layer, n_head, image_size, patch_size;
    const char *activation;
    double norm_eps;
} family_t;

static const family_t families[] = {
    {"clip_vision_model", MDL_VISION_CLIP, 768, 3072, 12, 12, 224, 32, "quick_gelu", 1e-5},
    {"siglip_vision_model", MDL_VISION_SIGLIP, 768, 3072, 12, 12, 224, 16, "gelu_pytorch_tanh",
     1e-6},
    {"dinov2", MDL_VISION_DINOV2, 768, 0, 12, 12, 224, 14, "gelu", 1e-6},
    {"internvl_vision", MDL_VISION_INTERNVIT, 1024, 4096, 24, 16, 448, 14, "gelu", 1e-6},
    {"intern_vit_6b", MDL_VISION_INTERNVIT, 0, 0, 0, 0, 0, 0, "gelu", 1e-6},
    {"eva02", MDL_VISION_EVA02, 0, 0, 0, 0, 0, 0, "gelu", 1e-6},
    {"convnext", MDL_VISION_CONVNEXT, 0, 0, 4, 0, 224, 4, "gelu", 1e-12},
};
enum { N_FAMILY = sizeof families / sizeof families[0] };

/* The vision part of a file that describes an image and a text encoder. */
static const struct {
    const char *model_type, *vision_type;
} pairs[] = {{"clip", "clip_vision_model"},
             {"siglip", "siglip_vision_model"},
             {"internvl", "internvl_vision"}};
enum { N_PAIR = sizeof pairs / sizeof pairs[0] };

#define KNOWN_TYPES                                                                                \
    "clip_vision_model, siglip_vision_model, dinov2, internvl_vision, intern_vit_6b, eva02, "      \
    "convnext, and the vision_config of clip, siglip and internvl"

static int refuse(const reader_t *reader, const char *key, const char *value, const char *known)
{
    return mdl_fail(reader->err, MDL_E_INPUT, "%s: %s is \"%s\"; this engine knows %s",
                    reader->path, key, value, known);
}

/* The model_type of root. timm's own files name an architecture in its place. */
static const char *type_of(const json_t *root)
{
    const json_t *type = json_object_get(root, "model_type");
    const char *architecture = json_string_value(json_object_get(root, "architecture"));
    if (type == NULL && architecture != NULL && strncmp(architecture, "eva02_", 6) == 0)
        return "eva02";
    return json_string_value(type);
}

/* The family of root, which is moved to its vision_config for a pair; NULL: none. */
static const family_t *find_family(const json_t **root)
{
    const char *type = type_of(*root);
    for (int i = 0; type != NULL && i < N_PAIR; i++) {
        if (strcmp(type, pairs[i].model_type) != 0)
            continue;
        *root = json_object_get(*root, "vision_config");
        type = json_string_value(json_object_get(*root, "model_type"));
        type = type != NULL ? type : pairs[i].vision_type;
        break;
    }
    for (int i = 0; type != NULL && json_is_object(*root) && i < N_FAMILY; i++)
        if (strcmp(type, families[i].model_type) == 0)
            return &families[i];
    return NULL;
}

/* A whole number in 1 .. max; fallback stands for a key that is absent or null (0: required). */
static int size_value(const reader_t *reader, const char *key, const json_t *value,
                      int64_t fallback, int64_t max, int64_t *size)
{
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

static int read_size(const reader_t *reader, const char *key, int64_t fallback, int64_t max,
                     int64_t *size)
{
    return size_value(reader, key, json_object_get(reader->root, key), fallback, max, size);
}

/* A length, given as one number or as [length, length]. */
static int read_square(const reader_t *reader, const char *key, int64_t fallback, int64_t max,
                       int64_t *size)
{
    const json_t *value = json_object_get(reader->root, key);
    if (!json_is_array(value))
        return size_value(reader, key, value, fallback, max, size);
    if (json_array_size(value) != 2 ||
        !json_equal(json_array_get(value, 0), json_array_get(value, 1)))
        return mdl_fail(reader->err, MDL_E_INPUT, "%s: %s must be one length or two equal ones",
                        reader->path, key);
    return size_value(reader, key, json_array_get(value, 0), 0, max, size);
}

/* A finite number above 0; fallback stands for an absent key (0: required). */
static int read_positive(const reader_t *reader, const char *key, double fallback, double *number)
{
    const json_t *value = json_object_get(reader->root, key);
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

static int read_flag(const reader_t *reader, const char *key, int fallback, int *flag)
{
    const json_t *value = json_object_get(reader->root, key);
    *flag = value == NULL || json_is_null(value) ? fallback : json_is_true(value);
    if (value != NULL && !json_is_boolean(value) && !json_is_null(value))
        return mdl_fail(reader->err, MDL_E_INPUT, "%s: %s must be true or false", reader->path,
                        key);
    return MDL_OK;
}

/* One option with the only value that is computed, as JSON; absent and null mean it as well unless
 * required. */
typedef struct {
    const char *key, *value;
    int required;
} only_t;

static int check_only(const reader_t *reader, const only_t *options, int n)
{
    for (int i = 0; i < n; i++) {
        const json_t *got = json_object_get(reader->root, options[i].key);
        if ((got == NULL || json_is_null(got)) && !options[i].required)
            continue;
        json_t *right = json_loads(options[i].value, JSON_DECODE_ANY, NULL);
        int same = json_is_number(got) && json_is_number(right)
                       ? json_number_value(got) == json_number_value(right)
                       : json_equal(got, right);
        json_decref(right);
        if (!same)
            return mdl_fail(reader->err, MDL_E_INPUT, "%s: this engine knows %s = %s alone",
                            reader->path, options[i].key, options[i].value);
    }
    return MDL_OK;
}

static int read_activation(const reader_t *reader, const char *fallback,
                           mdl_vision_activation_t *activation)
{
    const json_t *value = json_object_get(reader->root, "hidden_act");
    const char *name = value == NULL ? fallback : json_string_value(value);
    if (name != NULL && strcmp(name, "gelu") == 0)
        *activation = MDL_GELU;
    else if (name != NULL && strcmp(name, "gelu_pytorch_tanh") == 0)
        *activation = MDL_GELU_TANH;
    else if (name != NULL && strcmp(name, "quick_gelu") == 0)
        *activation = MDL_GELU_QUICK;
    else
        return refuse(reader, "hidden_act", name != NULL ? name : "(none)",
                      "gelu, gelu_pytorch_tanh and quick_gelu");
    return MDL_OK;
}

static int check_sizes(const reader_t *reader, const mdl_vision_config_t *config)
{
    if (config->image_size < config->patch_size)
        return mdl_fail(reader->err, MDL_E_INPUT,
                        "%s: the patch size %lld is above the image size %lld", reader->path,
                        (long long)config->patch_size, (long long)config->image_size);
    if (config->n_feat % config->n_head != 0)
        return mdl_fail(reader->err, MDL_E_INPUT,
                        "%s: %lld attention heads don't divide %lld features", reader->path,
                        (long long)config->n_head, (long long)config->n_feat);
    return MDL_OK;
}

/* The keys that CLIP, SigLIP, DINOv2 and InternViT share. */
static int read_vit(const reader_t *reader, const family_t *family, mdl_vision_config_t *config)
{
    static const only_t only[] = {{"num_channels", "3", 0}};
    int rc = MDL_OK;
    MDL_TRY(check_only(reader, only, 1));
    MDL_TRY(read_size(reader, "hidden_size", family->n_feat, 1 << 16, &config->n_feat));
    MDL_TRY(read_size(reader, "num_hidden_layers", family->n_layer, 1024, &config->n_layer));
    MDL_TRY(read_size(reader, "num_attention_heads", family->n_head, 1024, &config->n_head));
    MDL_TRY(read_square(reader, "image_size", family->image_size, 1 << 14, &config->image_size));
    MDL_TRY(read_square(reader, "patch_size", family->patch_size, 1024, &config->patch_size));
    MDL_TRY(read_positive(reader, "layer_norm_eps", family->norm_eps, &config->norm_eps));
    MDL_TRY(read_activation(reader, family->activation, &config->activation));
    if (family->family != MDL_VISION_DINOV2)
        MDL_TRY(read_size(reader, "intermediate_size", family->n_mlp_feat, 1 << 18,
                          &config->n_mlp_feat));
    config->qkv_bias = 1;
    config->last_norm = 1;
    MDL_TRY(check_sizes(reader, config));
    if (family->family == MDL_VISION_SIGLIP)
        MDL_TRY(read_flag(reader, "vision_use_head", 1, &config->pooling_head));
done:
    return rc;
}

/* The width of the MLP is the features times mlp_ratio. */
static int read_mlp_ratio(const reader_t *reader, double fallback, mdl_vision_config_t *config)
{
    double ratio;
    int rc = read_positive(reader, "mlp_ratio", fallback, &ratio);
    if (rc == MDL_OK && (ratio > 64 || (double)config->n_feat * ratio < 1))
        return mdl_fail(reader->err, MDL_E_INPUT, "%s: mlp_ratio is out of bounds", reader->path);
    if (rc == MDL_OK)
        config->n_mlp_feat = (int64_t)((double)config->n_feat * ratio);
    return rc;
}

static int read_dinov2(const reader_t *reader, const family_t *family, mdl_vision_config_t *config)
{
    int rc = MDL_OK;
    MDL_TRY(read_vit(reader, family, config));
    MDL_TRY(read_mlp_ratio(reader, 4, config));
    MDL_TRY(read_flag(reader, "qkv_bias", 1, &config->qkv_bias));
    MDL_TRY(read_flag(reader, "use_swiglu_ffn", 0, &config->gated_mlp));
    if (config->gated_mlp) /* two thirds, rounded up to a multiple of 8 */
        config->n_mlp_feat = ((int64_t)((double)(config->n_mlp_feat * 2) / 3) + 7) / 8 * 8;
done:
    return rc;
}

/* Both transformers' keys and those of the model's own files. */
static int read_internvit(const reader_t *reader, const family_t *family,
                          mdl_vision_config_t *config)
{
    static const only_t only[] = {{"norm_type", "\"layer_norm\"", 0},
                                  {"use_qk_norm", "false", 0},
                                  {"qk_normalization", "false", 0},
                                  {"use_absolute_position_embeddings", "true", 0}};
    static const only_t own[] = {{"norm_type", "\"layer_norm\"", 1},
                                 {"qk_normalization", "false", 1}};
    int rc = MDL_OK, is_own = strcmp(family->model_type, "intern_vit_6b") == 0, mean_pooling = 1;
    MDL_TRY(check_only(reader, only, sizeof only / sizeof only[0]));
    if (is_own)
        MDL_TRY(check_only(reader, own, sizeof own / sizeof own[0]));
    MDL_TRY(read_vit(reader, family, config));
    MDL_TRY(read_flag(reader, is_own ? "qkv_bias" : "attention_bias", 0, &config->qkv_bias));
    if (!is_own)
        MDL_TRY(read_flag(reader, "use_mean_pooling", 1, &mean_pooling));
    config->last_norm = !mean_pooling;
done:
    return rc;
}

/* The grid that positions are scaled to; the image's own where none is given. */
static int read_rope_grid(const reader_t *reader, mdl_vision_config_t *config)
{
    int64_t n_grid = config->image_size / config->patch_size;
    const json_t *grid = json_object_get(reader->root, "ref_feat_shape");
    int64_t usual = grid == NULL || json_is_null(grid) ? n_grid : 0;
    int rc = size_value(reader, "ref_feat_shape", json_array_get(grid, 0), usual, 1 << 14,
                        &config->rope_height);
    if (rc == MDL_OK)
        rc = size_value(reader, "ref_feat_shape", json_array_get(grid, 1), usual, 1 << 14,
                        &config->rope_width);
    return rc;
}

/* The EVA-02-CLIP models of timm by the name of their architecture. */
static int read_eva02_architecture(const reader_t *reader, const char *name,
                                   mdl_vision_config_t *config)
{
    static const struct {
        const char *name;
        int64_t image_size, patch_size, n_feat, n_layer, n_head;
    } known[] = {{"eva02_base_patch16_clip_224", 224, 16, 768, 12, 12},
                 {"eva02_large_patch14_clip_224", 224, 14, 1024, 24, 16},
                 {"eva02_large_patch14_clip_336", 336, 14, 1024, 24, 16}};
    static const only_t only[] = {{"model_args", "{}", 0}, {"global_pool", "\"token\"", 0}};
    enum { N_KNOWN = sizeof known / sizeof known[0] };
    int i = 0;
    while (i < N_KNOWN && strcmp(name, known[i].name) != 0)
        i++;
    if (i == N_KNOWN)
        return refuse(reader, "architecture", name,
                      "eva02_base_patch16_clip_224, eva02_large_patch14_clip_224 and "
                      "eva02_large_patch14_clip_336; give another one's arguments by their keys");
    config->image_size = known[i].image_size;
    config->patch_size = known[i].patch_size;
    config->n_feat = known[i].n_feat;
    config->n_layer = known[i].n_layer;
    config->n_head = known[i].n_head;
    config->n_mlp_feat = config->n_feat * 8 / 3;
    config->gated_mlp = config->mlp_norm = config->attention_norm = 1;
    config->rope_height = config->rope_width = 16;
    return check_only(reader, only, sizeof only / sizeof only[0]);
}

/* timm's arguments as keys. */
static int read_eva02_arguments(const reader_t *reader, mdl_vision_config_t *config)
{
    static const only_t only[] = {{"qkv_fused", "false", 1},
                                  {"use_rot_pos_emb", "true", 1},
                                  {"qkv_bias", "true", 0},
                                  {"use_abs_pos_emb", "true", 0},
                                  {"global_pool", "\"token\"", 0},
                                  {"in_chans", "3", 0},
                                  {"class_token", "true", 0},
                                  {"num_reg_tokens", "0", 0},
                                  {"use_post_norm", "false", 0},
                                  {"use_pre_transformer_norm", "false", 0},
                                  {"use_fc_norm", "false", 0},
                                  {"use_post_transformer_norm", "true", 0},
                                  {"no_embed_class", "false", 0},
                                  {"attn_type", "\"eva\"", 0},
                                  {"dynamic_img_size", "false", 0},
                                  {"rope_type", "\"cat\"", 0},
                                  {"rope_mixed_mode", "false", 0},
                                  {"rope_rotate_half", "false", 0},
                                  {"rope_temperature", "10000", 0},
                                  {"rope_grid_offset", "0", 0},
                                  {"rope_grid_indexing", "\"ij\"", 0}};
    int rc = MDL_OK;
    MDL_TRY(check_only(reader, only, sizeof only / sizeof only[0]));
    const json_t *init = json_object_get(reader->root, "init_values");
    if (init != NULL && !json_is_null(init))
        MDL_TRY(mdl_fail(reader->err, MDL_E_INPUT,
                         "%s: init_values is given; this engine knows EVA-02 without layer scale",
                         reader->path));
    MDL_TRY(read_square(reader, "img_size", 0, 1 << 14, &config->image_size));
    MDL_TRY(read_square(reader, "patch_size", 0, 1024, &config->patch_size));
    MDL_TRY(read_size(reader, "embed_dim", 0, 1 << 16, &config->n_feat));
    MDL_TRY(read_size(reader, "depth", 0, 1024, &config->n_layer));
    MDL_TRY(read_size(reader, "num_heads", 0, 1024, &config->n_head));
    MDL_TRY(read_mlp_ratio(reader, 4, config));
    MDL_TRY(read_flag(reader, "swiglu_mlp", 0, &config->gated_mlp));
    MDL_TRY(read_flag(reader, "scale_mlp", 0, &config->mlp_norm));
    MDL_TRY(read_flag(reader, "scale_attn_inner", 0, &config->attention_norm));
    MDL_TRY(check_sizes(reader, config));
    if (config->n_feat / config->n_head % 4 != 0)
        MDL_TRY(
            mdl_fail(reader->err, MDL_E_INPUT,
                     "%s: the head width %lld is not a multiple of 4, which rotary positions in "
                     "two dimensions need",
                     reader->path, (long long)(config->n_feat / config->n_head)));
    MDL_TRY(read_rope_grid(reader, config));
done:
    return rc;
}

static int read_eva02(const reader_t *reader, mdl_vision_config_t *config)
{
    const char *architecture = json_string_value(json_object_get(reader->root, "architecture"));
    config->activation = MDL_GELU;
    config->norm_eps = 1e-6;
    config->qkv_bias = 1;
    config->last_norm = 1;
    if (architecture != NULL && json_object_get(reader->root, "embed_dim") == NULL)
        return read_eva02_architecture(reader, architecture, config);
    return read_eva02_arguments(reader, config);
}

static int read_convnext(const reader_t *reader, const family_t *family,
                         mdl_vision_config_t *config)
{
    static const only_t only[] = {{"num_channels", "3", 0}};
    static const int64_t widths[] = {96, 192, 384, 768}, depths[] = {3, 3, 9, 3};
    const json_t *width = json_object_get(reader->root, "hidden_sizes");
    const json_t *depth = json_object_get(reader->root, "depths");
    int rc = MDL_OK;
    MDL_TRY(check_only(reader, only, 1));
    MDL_TRY(read_size(reader, "num_stages", 4, MDL_VISION_MAX_STAGE, &config->n_layer));
    MDL_TRY(read_size(reader, "patch_size", family->patch_size, 64, &config->patch_size));
    MDL_TRY(read_square(reader, "image_size", family->image_size, 1 << 14, &config->image_size));
    MDL_TRY(read_positive(reader, "layer_norm_eps", family->norm_eps, &config->norm_eps));
    MDL_TRY(read_activation(reader, family->activation, &config->activation));
    for (int64_t i = 0; i < config->n_layer; i++) {
        int64_t usual_width = i < 4 && width == NULL ? widths[i] : 0;
        int64_t usual_depth = i < 4 && depth == NULL ? depths[i] : 0;
        MDL_TRY(size_value(reader, "hidden_sizes", json_array_get(width, (size_t)i), usual_width,
                           1 << 14, &config->stage_feat[i]));
        MDL_TRY(size_value(reader, "depths", json_array_get(depth, (size_t)i), usual_depth, 1024,
                           &config->stage_depth[i]));
    }
    const json_t *scale = json_object_get(reader->root, "layer_scale_init_value");
    if (scale != NULL && !json_is_number(scale))
        MDL_TRY(mdl_fail(reader->err, MDL_E_INPUT, "%s: layer_scale_init_value must be a number",
                         reader->path));
    config->layer_scale = scale == NULL || json_number_value(scale) > 0;
    config->n_feat = config->stage_feat[config->n_layer - 1];
done:
    return rc;
}

int mdl_vision_config_read(const char *path, mdl_vision_config_t *config, mdl_error_t *err)
{
    json_t *root = NULL;
    memset(config, 0, sizeof *config);
    int rc = mdl_json_read(path, MAX_CONFIG_BYTE, &root, err);
    if (rc != MDL_OK)
        return rc;
    reader_t reader = {path, root, err};
    const family_t *family = find_family(&reader.root);
    const char *type = type_of(reader.root);
    if (family == NULL)
        MDL_TRY(refuse(&reader, "model_type", type != NULL ? type : "(none)", KNOWN_TYPES));
    config->family = family->family;
    snprintf(config->model_type, sizeof config->model_type, "%s", family->model_type);
    if (family->family == MDL_VISION_DINOV2)
        rc = read_dinov2(&reader, family, config);
    else if (family->family == MDL_VISION_INTERNVIT)
        rc = read_internvit(&reader, family, config);
    else if (family->family == MDL_VISION_EVA02)
        rc = read_eva02(&reader, config);
    else if (family->family == MDL_VISION_CONVNEXT)
        rc = read_convnext(&reader, family, config);
    else
        rc = read_vit(&reader, family, config);
done:
    json_decref(root);
    return rc;
}

int mdl_vision_config_known(const char *path)
{
    json_t *root = NULL;
    if (mdl_json_read(path, MAX_CONFIG_BYTE, &root, NULL) != MDL_OK)
        return 0;
    const json_t *inner = root;
    int known = find_family(&inner) != NULL;
    json_decref(root);
    return known;
}
