#include "models/encoder.h"

#include "models/encoder_convnext.h"
#include "models/encoder_vit.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_SIDE = 1 << 14 };

/* One of the two bodies. */
struct mdl_encoder {
    mdl_vision_config_t config;
    mdl_vit_t *vit;
    mdl_convnext_t *convnext;
};

static int load(const mdl_backend_t *backend, const char *folder, mdl_encoder_t *encoder,
                mdl_error_t *err)
{
    int rc = MDL_OK;
    mdl_model_files_t *files = NULL;
    size_t n_path = snprintf(NULL, 0, "%s/config.json", folder) + (size_t)1;
    char *path = NULL;
    MDL_TRY(mdl_alloc(&path, n_path, 1, "a path", err));
    snprintf(path, n_path, "%s/config.json", folder);
    MDL_TRY(mdl_vision_config_read(path, &encoder->config, err));
    MDL_TRY(mdl_model_files_open(folder, &files, err));
    if (encoder->config.family == MDL_VISION_CONVNEXT)
        MDL_TRY(
            mdl_convnext_load(backend, files, folder, &encoder->config, &encoder->convnext, err));
    else
        MDL_TRY(mdl_vit_load(backend, files, folder, &encoder->config, &encoder->vit, err));
done:
    mdl_model_files_close(files);
    free(path);
    return rc;
}

int mdl_encoder_load(const mdl_backend_t *backend, const char *folder, mdl_encoder_t **encoder,
                     mdl_error_t *err)
{
    int rc = MDL_OK;
    mdl_encoder_t *loaded = NULL;
    *encoder = NULL;
    MDL_TRY(mdl_alloc(&loaded, 1, sizeof *loaded, "a vision encoder", err));
    MDL_TRY(load(backend, folder, loaded, err));
    *encoder = loaded;
    loaded = NULL;
done:
    mdl_encoder_free(loaded);
    return rc;
}

void mdl_encoder_free(mdl_encoder_t *encoder)
{
    if (encoder == NULL)
        return;
    mdl_vit_free(encoder->vit);
    mdl_convnext_free(encoder->convnext);
    free(encoder);
}

const mdl_vision_config_t *mdl_encoder_config(const mdl_encoder_t *encoder)
{
    return &encoder->config;
}

int64_t mdl_encoder_n_state(const mdl_encoder_t *encoder)
{
    return encoder->config.n_layer + 1;
}

int64_t mdl_encoder_n_block(const mdl_encoder_t *encoder)
{
    const mdl_vision_config_t *config = &encoder->config;
    int64_t n_block = 0;
    if (encoder->convnext == NULL)
        return config->n_layer;
    for (int64_t s = 0; s < config->n_layer; s++)
        n_block += config->stage_depth[s];
    return n_block;
}

int mdl_encoder_has_pooled(const mdl_encoder_t *encoder)
{
    const mdl_vision_config_t *config = &encoder->config;
    return config->family != MDL_VISION_INTERNVIT &&
           (config->family != MDL_VISION_SIGLIP || config->pooling_head);
}

static int vit_shape(const mdl_vit_t *vit, int64_t height, int64_t width,
                     mdl_encoder_shape_t *shape, mdl_error_t *err)
{
    const mdl_vision_config_t *config = &vit->config;
    int interpolates =
        config->family == MDL_VISION_DINOV2 || config->family == MDL_VISION_INTERNVIT;
    if (!interpolates && (height != config->image_size || width != config->image_size))
        return mdl_fail(err, MDL_E_INPUT,
                        "images of %lld x %lld pixels: this encoder takes %lld x %lld alone",
                        (long long)height, (long long)width, (long long)config->image_size,
                        (long long)config->image_size);
    if (height < config->patch_size || width < config->patch_size)
        return mdl_fail(err, MDL_E_INPUT,
                        "images of %lld x %lld pixels are smaller than a patch of %lld",
                        (long long)height, (long long)width, (long long)config->patch_size);
    *shape = (mdl_encoder_shape_t){.n_prefix = vit->has_class_token,
                                   .height = height / config->patch_size,
                                   .width = width / config->patch_size,
                                   .n_feat = config->n_feat};
    shape->n_token = shape->n_prefix + shape->height * shape->width;
    return MDL_OK;
}

int mdl_encoder_shape(const mdl_encoder_t *encoder, int64_t state, int64_t height, int64_t width,
                      mdl_encoder_shape_t *shape, mdl_error_t *err)
{
    if (height < 1 || width < 1 || height > MAX_SIDE || width > MAX_SIDE)
        return mdl_fail(err, MDL_E_INPUT, "images of %lld x %lld pixels; the sides may be 1 .. %d",
                        (long long)height, (long long)width, MAX_SIDE);
    if (encoder->convnext != NULL)
        return mdl_convnext_shape(encoder->convnext, state, height, width, shape, err);
    return vit_shape(encoder->vit, height, width, shape, err);
}

int mdl_encoder_forward(const mdl_encoder_t *encoder, const float *pixel, int64_t n_image,
                        int64_t height, int64_t width, const mdl_encoder_output_t *output,
                        mdl_error_t *err)
{
    mdl_encoder_shape_t shape;
    int rc = mdl_encoder_shape(encoder, 0, height, width, &shape, err);
    if (rc != MDL_OK)
        return rc;
    if (encoder->convnext != NULL)
        return mdl_convnext_forward(encoder->convnext, pixel, n_image, height, width, output, err);
    return mdl_vit_forward(encoder->vit, pixel, n_image, height, width, output, err);
}
