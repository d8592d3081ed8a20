#include "io/preprocessor_config.h"

#include "core/text.h"
#include "io/json_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_CONFIG_BYTE ((size_t)1024 * 1024)
enum { MAX_SIDE = 1 << 13, BILINEAR = 2, BICUBIC = 3 /* Pillow's numbers */ };

typedef struct {
    const char *path;
    const json_t *root;
    mdl_error_t *err;
} reader_t;

/* A flag of root; absent is fallback. */
static int flag(const reader_t *reader, const char *key, int fallback)
{
    const json_t *value = json_object_get(reader->root, key);
    return value == NULL || json_is_null(value) ? fallback : json_is_true(value);
}

static int read_side(const reader_t *reader, const char *what, const json_t *value, int64_t *side)
{
    *side = json_integer_value(value);
    if (!json_is_integer(value) || *side < 1 || *side > MAX_SIDE)
        return mdl_fail(reader->err, MDL_E_INPUT, "%s: %s must be a whole number in 1 .. %d",
                        reader->path, what, MAX_SIDE);
    return MDL_OK;
}

/* height and width of value: one number for both, or an object with each. */
static int read_sides(const reader_t *reader, const char *what, const json_t *value,
                      int64_t *height, int64_t *width)
{
    int is_object = json_is_object(value);
    int rc = read_side(reader, what, is_object ? json_object_get(value, "height") : value, height);
    if (rc == MDL_OK)
        rc = read_side(reader, what, is_object ? json_object_get(value, "width") : value, width);
    return rc;
}

static int read_three(const reader_t *reader, const char *key, double out[3])
{
    const json_t *values = json_object_get(reader->root, key);
    for (size_t i = 0; i < 3; i++) {
        const json_t *value = json_array_get(values, i);
        out[i] = json_number_value(value);
        if (!json_is_number(value) || !isfinite(out[i]) || json_array_size(values) != 3)
            return mdl_fail(reader->err, MDL_E_INPUT, "%s: %s must be three numbers", reader->path,
                            key);
    }
    return MDL_OK;
}

/* ConvNeXt enlarges by 1 / crop_pct and crops, but resizes to a square from 384 on. */
static int read_convnext_size(const reader_t *reader, mdl_preprocessor_t *preprocessor)
{
    const json_t *share = json_object_get(reader->root, "crop_pct");
    double crop = share == NULL || json_is_null(share) ? 224.0 / 256.0 : json_number_value(share);
    int64_t side = preprocessor->shortest_edge;
    if (!(crop > 0.1 && crop <= 1) || side == 0)
        return mdl_fail(reader->err, MDL_E_INPUT,
                        "%s: ConvNeXt needs size.shortest_edge and a crop_pct in 0.1 .. 1",
                        reader->path);
    if (side >= 384) {
        preprocessor->height = preprocessor->width = side;
        preprocessor->shortest_edge = 0;
    } else {
        preprocessor->shortest_edge = (int64_t)((double)side / crop);
        preprocessor->crop_height = preprocessor->crop_width = side;
    }
    return MDL_OK;
}

static int read_size(const reader_t *reader, mdl_preprocessor_t *preprocessor)
{
    const json_t *size = json_object_get(reader->root, "size");
    const json_t *type = json_object_get(reader->root, "image_processor_type");
    const json_t *shortest = json_object_get(size, "shortest_edge");
    if (type == NULL)
        type = json_object_get(reader->root, "feature_extractor_type");
    const char *name = json_is_string(type) ? json_string_value(type) : "";
    int is_convnext = strncmp(name, "ConvNext", 8) == 0;
    int crops = flag(reader, "do_center_crop", json_object_get(reader->root, "crop_size") != NULL);
    int rc;
    if (shortest != NULL || json_is_integer(size)) /* one number is the older spelling */
        rc = read_side(reader, "size", shortest != NULL ? shortest : size,
                       &preprocessor->shortest_edge);
    else
        rc = read_sides(reader, "size", size, &preprocessor->height, &preprocessor->width);
    if (rc == MDL_OK && is_convnext)
        rc = read_convnext_size(reader, preprocessor);
    else if (rc == MDL_OK && crops)
        rc = read_sides(reader, "crop_size", json_object_get(reader->root, "crop_size"),
                        &preprocessor->crop_height, &preprocessor->crop_width);
    return rc;
}

static int read_resample(const reader_t *reader, mdl_preprocessor_t *preprocessor)
{
    const json_t *value = json_object_get(reader->root, "resample");
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || (number != BILINEAR && number != BICUBIC))
        return mdl_fail(reader->err, MDL_E_INPUT,
                        "%s: resample must be 2 (bilinear) or 3 (bicubic)", reader->path);
    preprocessor->bicubic = number == BICUBIC;
    return MDL_OK;
}

static int read_values(const reader_t *reader, mdl_preprocessor_t *preprocessor, const char *mean,
                       const char *deviation)
{
    const json_t *rescale = json_object_get(reader->root, "rescale_factor");
    preprocessor->rescale = rescale == NULL ? 1.0 / 255.0 : json_number_value(rescale);
    if (!isfinite(preprocessor->rescale) || preprocessor->rescale <= 0)
        return mdl_fail(reader->err, MDL_E_INPUT, "%s: rescale_factor must be above 0",
                        reader->path);
    int rc = read_three(reader, mean, preprocessor->mean);
    if (rc == MDL_OK)
        rc = read_three(reader, deviation, preprocessor->deviation);
    for (int i = 0; rc == MDL_OK && i < 3; i++)
        if (preprocessor->deviation[i] <= 0)
            rc = mdl_fail(reader->err, MDL_E_INPUT, "%s: %s must be above 0", reader->path,
                          deviation);
    return rc;
}

static int read_transformers(const reader_t *reader, mdl_preprocessor_t *preprocessor)
{
    static const char *const always[] = {"do_resize", "do_rescale", "do_normalize"};
    static const char *const never[] = {"do_pad", "do_rescale_offset", "crop_to_patches"};
    int rc;
    for (int i = 0; i < 3; i++) {
        if (!flag(reader, always[i], 1))
            return mdl_fail(reader->err, MDL_E_INPUT, "%s: this engine knows %s = true alone",
                            reader->path, always[i]);
        if (flag(reader, never[i], 0))
            return mdl_fail(reader->err, MDL_E_INPUT, "%s: this engine knows %s = false alone",
                            reader->path, never[i]);
    }
    MDL_TRY(read_size(reader, preprocessor));
    MDL_TRY(read_resample(reader, preprocessor));
    rc = read_values(reader, preprocessor, "image_mean", "image_std");
done:
    return rc;
}

/* A text of root; absent is fallback. */
static const char *text_of(const reader_t *reader, const char *key, const char *fallback)
{
    const json_t *value = json_object_get(reader->root, key);
    if (value == NULL || json_is_null(value))
        return fallback;
    return json_is_string(value) ? json_string_value(value) : "";
}

/* timm's transforms_imagenet_eval: enlarge by 1 / crop_pct, by the shortest edge or (squash) to a
 * size, and crop. */
static int read_timm_size(const reader_t *reader, mdl_preprocessor_t *preprocessor)
{
    const json_t *size = json_object_get(reader->root, "input_size");
    const json_t *share = json_object_get(reader->root, "crop_pct");
    const char *mode = text_of(reader, "crop_mode", "center");
    double crop = share == NULL || json_is_null(share) ? 0.875 : json_number_value(share);
    int64_t height, width;
    int squash = strcmp(mode, "squash") == 0;
    if (!squash && strcmp(mode, "center") != 0)
        return mdl_fail(reader->err, MDL_E_INPUT,
                        "%s: this engine knows the crop_mode center or squash, not '%s'",
                        reader->path, mode);
    if (json_array_size(size) != 3 || json_integer_value(json_array_get(size, 0)) != 3)
        return mdl_fail(reader->err, MDL_E_INPUT, "%s: input_size must be 3, height, width",
                        reader->path);
    int rc = read_side(reader, "input_size", json_array_get(size, 1), &height);
    if (rc == MDL_OK)
        rc = read_side(reader, "input_size", json_array_get(size, 2), &width);
    if (rc != MDL_OK)
        return rc;
    if (!(crop > 0.1 && crop <= 1) || (!squash && height != width))
        return mdl_fail(reader->err, MDL_E_INPUT,
                        "%s: crop_pct must be in 0.1 .. 1, and input_size square unless squashed",
                        reader->path);
    preprocessor->crop_height = height;
    preprocessor->crop_width = width;
    preprocessor->crop_rounds = 1;
    preprocessor->shortest_edge = squash ? 0 : (int64_t)floor((double)height / crop);
    preprocessor->height = squash ? (int64_t)floor((double)height / crop) : 0;
    preprocessor->width = squash ? (int64_t)floor((double)width / crop) : 0;
    return MDL_OK;
}

static int read_timm(const reader_t *reader, mdl_preprocessor_t *preprocessor)
{
    const char *interpolation = text_of(reader, "interpolation", "bicubic");
    int rc = read_timm_size(reader, preprocessor);
    if (rc != MDL_OK)
        return rc;
    preprocessor->bicubic = strcmp(interpolation, "bicubic") == 0;
    if (!preprocessor->bicubic && strcmp(interpolation, "bilinear") != 0)
        return mdl_fail(reader->err, MDL_E_INPUT,
                        "%s: this engine knows the interpolation bilinear or bicubic, not '%s'",
                        reader->path, interpolation);
    return read_values(reader, preprocessor, "mean", "std");
}

int mdl_preprocessor_find(const char *folder, char **path, mdl_error_t *err)
{
    json_t *root = NULL;
    char *config = mdl_text("%s/config.json", folder);
    *path = mdl_text("%s/preprocessor_config.json", folder);
    int rc = MDL_OK;
    if (config == NULL || *path == NULL)
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
    else if (access(*path, F_OK) != 0 && access(config, F_OK) == 0)
        rc = mdl_json_read(config, MAX_CONFIG_BYTE, &root, err);
    if (rc == MDL_OK && json_is_object(json_object_get(root, "pretrained_cfg"))) {
        char *other = *path;
        *path = config;
        config = other;
    }
    json_decref(root);
    free(config);
    return rc;
}

int mdl_preprocessor_read(const char *path, mdl_preprocessor_t *preprocessor, mdl_error_t *err)
{
    json_t *root = NULL;
    memset(preprocessor, 0, sizeof *preprocessor);
    int rc = mdl_json_read(path, MAX_CONFIG_BYTE, &root, err);
    if (rc != MDL_OK)
        return rc;
    const json_t *timm = json_object_get(root, "pretrained_cfg");
    const reader_t reader = {path, timm != NULL ? timm : root, err};
    rc = timm != NULL ? read_timm(&reader, preprocessor) : read_transformers(&reader, preprocessor);
    json_decref(root);
    return rc;
}
