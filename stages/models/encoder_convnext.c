#include "models/encoder_convnext.h"

#include <stdlib.h>

enum { WIDTH_K = 7, N_K = WIDTH_K * WIDTH_K, WIDENING = 4, SHRINK = 2 };
#define INNER_EPS 1e-6 /* of all norms but the last one */

static void want_stage(mdl_tensor_list_t *list, mdl_convnext_t *convnext, int s, const char *prefix)
{
    const mdl_vision_config_t *config = &convnext->config;
    mdl_convnext_stage_t *stage = &convnext->stage[s];
    int64_t c = config->stage_feat[s], n_before = s > 0 ? config->stage_feat[s - 1] : 0;
    const int64_t projection[4] = {c, n_before, SHRINK, SHRINK};
    const int64_t depthwise[4] = {c, 1, WIDTH_K, WIDTH_K};
    if (s > 0) {
        mdl_affine_want_norm(list, &stage->norm, n_before,
                             "%sencoder.stages.%d.downsampling_layer.0", prefix, s);
        mdl_tensor_list_want_matrix(list, &stage->projection.weight, 4, projection,
                                    "%sencoder.stages.%d.downsampling_layer.1.weight", prefix, s);
        mdl_tensor_list_want(list, &stage->projection.bias, 1, &c,
                             "%sencoder.stages.%d.downsampling_layer.1.bias", prefix, s);
    }
    for (int b = 0; b < (int)config->stage_depth[s]; b++) {
        mdl_convnext_block_t *block = &stage->block[b];
        mdl_tensor_list_want(list, &block->depthwise.weight, 4, depthwise,
                             "%sencoder.stages.%d.layers.%d.dwconv.weight", prefix, s, b);
        mdl_tensor_list_want(list, &block->depthwise.bias, 1, &c,
                             "%sencoder.stages.%d.layers.%d.dwconv.bias", prefix, s, b);
        mdl_affine_want_norm(list, &block->norm, c, "%sencoder.stages.%d.layers.%d.layernorm",
                             prefix, s, b);
        mdl_affine_want_linear(list, &block->up, WIDENING * c, c,
                               "%sencoder.stages.%d.layers.%d.pwconv1", prefix, s, b);
        mdl_affine_want_linear(list, &block->down, c, WIDENING * c,
                               "%sencoder.stages.%d.layers.%d.pwconv2", prefix, s, b);
        if (config->layer_scale)
            mdl_tensor_list_want(list, &block->scale, 1, &c,
                                 "%sencoder.stages.%d.layers.%d.layer_scale_parameter", prefix, s,
                                 b);
    }
}

/* weight [c, 7, 7] -> [7, 7, c], so that the channels of a pixel are neighbours. room: scratch of
 * two such arrays. */
static int put_channels_last(const mdl_backend_t *be, float *weight, int64_t c, float *room,
                             mdl_error_t *err)
{
    float *turned = room + c * N_K;
    size_t n_byte = (size_t)(c * N_K) * sizeof *weight;
    int rc = be->download(room, weight, n_byte, err);
    for (int64_t k = 0; rc == MDL_OK && k < N_K; k++)
        for (int64_t i = 0; i < c; i++)
            turned[k * c + i] = room[i * N_K + k];
    return rc == MDL_OK ? be->upload(weight, turned, n_byte, err) : rc;
}

static int turn_depthwise(mdl_convnext_t *convnext, mdl_error_t *err)
{
    const mdl_vision_config_t *config = &convnext->config;
    int rc = MDL_OK;
    for (int64_t s = 0; rc == MDL_OK && s < config->n_layer; s++) {
        int64_t c = config->stage_feat[s];
        float *room;
        rc = mdl_alloc(&room, (size_t)(2 * c * N_K), sizeof *room, "a convolution's weights", err);
        for (int64_t b = 0; rc == MDL_OK && b < config->stage_depth[s]; b++)
            rc = put_channels_last(convnext->backend, convnext->stage[s].block[b].depthwise.weight,
                                   c, room, err);
        free(room);
    }
    return rc;
}

int mdl_convnext_load(const mdl_backend_t *backend, const mdl_model_files_t *files,
                      const char *folder, const mdl_vision_config_t *config,
                      mdl_convnext_t **convnext, mdl_error_t *err)
{
    static const char patch_name[] = "embeddings.patch_embeddings.weight";
    const int64_t c = config->stage_feat[0],
                  patch[4] = {c, 3, config->patch_size, config->patch_size};
    int rc = MDL_OK;
    char prefix[MDL_TENSOR_NAME] = "";
    mdl_tensor_list_t list = {.backend = backend};
    mdl_convnext_t *loaded = NULL;
    *convnext = NULL;
    int n_found = mdl_tensor_prefix(files, patch_name, prefix);
    if (n_found != 1)
        MDL_TRY(mdl_fail(err, MDL_E_INPUT,
                         "%s: %d tensors of the weights end with %s where there must be one",
                         folder, n_found, patch_name));
    MDL_TRY(mdl_alloc(&loaded, 1, sizeof *loaded, "a vision encoder", err));
    loaded->config = *config;
    loaded->backend = backend;
    mdl_tensor_list_want_matrix(&list, &loaded->patch.weight, 4, patch, "%s%s", prefix, patch_name);
    mdl_tensor_list_want(&list, &loaded->patch.bias, 1, &c, "%sembeddings.patch_embeddings.bias",
                         prefix);
    mdl_affine_want_norm(&list, &loaded->patch_norm, c, "%sembeddings.layernorm", prefix);
    for (int s = 0; s < (int)config->n_layer; s++) {
        MDL_TRY(mdl_alloc(&loaded->stage[s].block, (size_t)config->stage_depth[s],
                          sizeof(mdl_convnext_block_t), "the blocks of a vision encoder", err));
        want_stage(&list, loaded, s, prefix);
    }
    mdl_affine_want_norm(&list, &loaded->last_norm, config->n_feat, "%slayernorm", prefix);
    MDL_TRY(mdl_tensor_list_read(&list, files, folder, prefix, NULL, 0, &loaded->storage, err));
    MDL_TRY(turn_depthwise(loaded, err));
    *convnext = loaded;
    loaded = NULL;
done:
    free(list.item);
    mdl_convnext_free(loaded);
    return rc;
}

void mdl_convnext_free(mdl_convnext_t *convnext)
{
    if (convnext == NULL)
        return;
    for (int64_t s = 0; s < convnext->config.n_layer; s++)
        free(convnext->stage[s].block);
    convnext->backend->release(convnext->storage);
    free(convnext);
}

/* Of any state, for images that are large enough. */
static mdl_encoder_shape_t state_shape(const mdl_vision_config_t *config, int64_t state,
                                       int64_t height, int64_t width)
{
    int64_t stage = state > 0 ? state - 1 : 0;
    int64_t shrink = config->patch_size << stage;
    mdl_encoder_shape_t shape = {
        .height = height / shrink, .width = width / shrink, .n_feat = config->stage_feat[stage]};
    shape.n_token = shape.height * shape.width;
    return shape;
}

int mdl_convnext_shape(const mdl_convnext_t *convnext, int64_t state, int64_t height, int64_t width,
                       mdl_encoder_shape_t *shape, mdl_error_t *err)
{
    const mdl_vision_config_t *config = &convnext->config;
    int64_t least = config->patch_size << (config->n_layer - 1);
    if (height < least || width < least)
        return mdl_fail(err, MDL_E_INPUT,
                        "images of %lld x %lld pixels are too small: this encoder reduces them to "
                        "1/%lld",
                        (long long)height, (long long)width, (long long)least);
    *shape = state_shape(config, state, height, width);
    return MDL_OK;
}

/* The scratch of one image; each but pixel has room for the widest stage. */
typedef struct {
    void *storage; /* the backend's, all of the below in one allocation */
    float *pixel, *x, *branch, *wide, *middle;
} pass_t;

static int begin_pass(const mdl_convnext_t *convnext, int64_t height, int64_t width, pass_t *pass,
                      mdl_error_t *err)
{
    int64_t size = convnext->config.patch_size, n_pixel = 3 * height * width;
    int64_t n = 0, n_patch = (height / size) * (width / size) * 3 * size * size;
    for (int64_t s = 0; s < convnext->config.n_layer; s++) {
        mdl_encoder_shape_t shape = state_shape(&convnext->config, s + 1, height, width);
        int64_t n_map = shape.n_token * shape.n_feat;
        n = n_map > n ? n_map : n;
    }
    int64_t n_wide = WIDENING * n > n_patch ? WIDENING * n : n_patch;
    int rc = convnext->backend->alloc(
        &pass->storage, (size_t)(n_pixel + 2 * n + n_wide + WIDENING * n) * sizeof(float),
        "a pass of a vision encoder", err);
    pass->pixel = pass->storage;
    pass->x = pass->pixel + n_pixel;
    pass->branch = pass->x + n;
    pass->wide = pass->branch + n;
    pass->middle = pass->wide + n_wide;
    return rc;
}

static void run_block(const mdl_convnext_t *convnext, const mdl_convnext_block_t *block,
                      const mdl_encoder_shape_t *shape, const pass_t *pass)
{
    const mdl_backend_t *be = convnext->backend;
    int64_t c = shape->n_feat, n = shape->n_token;
    be->depthwise_conv_forward(pass->branch, pass->x, block->depthwise.weight,
                               block->depthwise.bias, shape->height, shape->width, c, WIDTH_K);
    mdl_affine_norm(be, pass->branch, pass->branch, &block->norm, n, c, INNER_EPS);
    mdl_affine_linear(be, pass->wide, pass->branch, &block->up, n, WIDENING * c, c);
    mdl_activation_forward(be, pass->middle, pass->wide, n * WIDENING * c,
                           convnext->config.activation);
    mdl_affine_linear(be, pass->branch, pass->middle, &block->down, n, c, WIDENING * c);
    be->rows_add_scaled(pass->x, pass->branch, block->scale, n, c);
}

/* Moves x from the shape before to the stage's, then through its blocks. */
static void run_stage(const mdl_convnext_t *convnext, int64_t s, const mdl_encoder_shape_t *before,
                      const mdl_encoder_shape_t *shape, const pass_t *pass)
{
    const mdl_backend_t *be = convnext->backend;
    const mdl_convnext_stage_t *stage = &convnext->stage[s];
    int64_t c = before->n_feat;
    if (s > 0) {
        mdl_image_layout_t layout = {c, before->height, before->width, 1, before->width * c, c};
        mdl_affine_norm(be, pass->x, pass->x, &stage->norm, before->n_token, c, INNER_EPS);
        be->patches(pass->wide, pass->x, &layout, SHRINK);
        mdl_affine_linear(be, pass->x, pass->wide, &stage->projection, shape->n_token,
                          shape->n_feat, c * SHRINK * SHRINK);
    }
    for (int64_t b = 0; b < convnext->config.stage_depth[s]; b++)
        run_block(convnext, &stage->block[b], shape, pass);
}

/* pixel [3, height, width] to the first stage's input of this shape. */
static int embed(const mdl_convnext_t *convnext, const float *pixel, int64_t height, int64_t width,
                 const mdl_encoder_shape_t *shape, const pass_t *pass, mdl_error_t *err)
{
    const mdl_backend_t *be = convnext->backend;
    int64_t size = convnext->config.patch_size, n_pixel = height * width;
    mdl_image_layout_t layout = {3, height, width, n_pixel, width, 1};
    int rc = be->upload(pass->pixel, pixel, (size_t)(3 * n_pixel) * sizeof *pixel, err);
    be->patches(pass->wide, pass->pixel, &layout, size);
    mdl_affine_linear(be, pass->x, pass->wide, &convnext->patch, shape->n_token, shape->n_feat,
                      3 * size * size);
    mdl_affine_norm(be, pass->x, pass->x, &convnext->patch_norm, shape->n_token, shape->n_feat,
                    INNER_EPS);
    return rc;
}

static int run_image(const mdl_convnext_t *convnext, const float *pixel, int64_t image,
                     int64_t height, int64_t width, const mdl_encoder_output_t *output,
                     const pass_t *pass, mdl_error_t *err)
{
    const mdl_vision_config_t *config = &convnext->config;
    const mdl_backend_t *be = convnext->backend;
    mdl_encoder_shape_t shape = state_shape(config, 0, height, width);
    int64_t c = config->n_feat, n = 0;
    int rc;
    MDL_TRY(embed(convnext, pixel + image * 3 * height * width, height, width, &shape, pass, err));
    for (int64_t s = -1; s < config->n_layer; s++) {
        mdl_encoder_shape_t before = shape;
        shape = state_shape(config, s + 1, height, width);
        if (s >= 0)
            run_stage(convnext, s, &before, &shape, pass);
        n = shape.n_token * shape.n_feat;
        if (output->state != NULL && output->state[s + 1] != NULL)
            MDL_TRY(be->download(output->state[s + 1] + image * n, pass->x,
                                 (size_t)n * sizeof(float), err));
    }
    if (output->last != NULL)
        MDL_TRY(be->download(output->last + image * n, pass->x, (size_t)n * sizeof(float), err));
    if (output->pooled != NULL) {
        be->rows_mean(pass->branch, pass->x, shape.n_token, c);
        mdl_affine_norm(be, pass->middle, pass->branch, &convnext->last_norm, 1, c,
                        config->norm_eps);
        rc = be->download(output->pooled + image * c, pass->middle, (size_t)c * sizeof(float), err);
    }
done:
    return rc;
}

int mdl_convnext_forward(const mdl_convnext_t *convnext, const float *pixel, int64_t n_image,
                         int64_t height, int64_t width, const mdl_encoder_output_t *output,
                         mdl_error_t *err)
{
    pass_t pass = {0};
    int rc = begin_pass(convnext, height, width, &pass, err);
    for (int64_t image = 0; rc == MDL_OK && image < n_image; image++)
        rc = run_image(convnext, pixel, image, height, width, output, &pass, err);
    convnext->backend->release(pass.storage);
    return rc;
}
