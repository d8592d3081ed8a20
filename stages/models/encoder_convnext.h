/* ConvNeXt (Liu et al. 2022, arXiv 2201.03545), channels last.
 *
 *   x = norm(patches of the image, projected)
 *   for each stage: x = projection of 2 x 2 patches of norm(x), but not in the first
 *                   for each block: x += scale * down(activation(up(norm(depthwise 7 x 7 of x))))
 */
#ifndef MDL_MODELS_ENCODER_CONVNEXT_H
#define MDL_MODELS_ENCODER_CONVNEXT_H

#include "models/affine.h"
#include "models/encoder.h"

typedef struct {
    mdl_affine_t depthwise; /* [7, 7, c] */
    mdl_affine_t norm, up, down;
    float *scale; /* [c] or NULL */
} mdl_convnext_block_t;

typedef struct {
    mdl_affine_t norm, projection; /* before the stage's blocks; the first stage has none */
    mdl_convnext_block_t *block;   /* [depth] */
} mdl_convnext_stage_t;

typedef struct {
    mdl_vision_config_t config;
    const mdl_backend_t *backend;
    void *storage; /* the backend's, all weights in one allocation */
    mdl_affine_t patch, patch_norm, last_norm;
    mdl_convnext_stage_t stage[MDL_VISION_MAX_STAGE];
} mdl_convnext_t;

/* Reads the weights that config asks for; freed by mdl_convnext_free. Not collective.
 * Returns MDL_E_INPUT or MDL_E_MEMORY. */
int mdl_convnext_load(const mdl_backend_t *backend, const mdl_model_files_t *files,
                      const char *folder, const mdl_vision_config_t *config,
                      mdl_convnext_t **convnext, mdl_error_t *err);

/* NULL is allowed. */
void mdl_convnext_free(mdl_convnext_t *convnext);

/* As mdl_encoder_shape. */
int mdl_convnext_shape(const mdl_convnext_t *convnext, int64_t state, int64_t height, int64_t width,
                       mdl_encoder_shape_t *shape, mdl_error_t *err);

/* As mdl_encoder_forward, for a size that was checked. */
int mdl_convnext_forward(const mdl_convnext_t *convnext, const float *pixel, int64_t n_image,
                         int64_t height, int64_t width, const mdl_encoder_output_t *output,
                         mdl_error_t *err);

#endif
