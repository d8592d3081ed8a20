/* A frozen vision encoder: from normalised pixels to hidden states. */
#ifndef MDL_MODELS_ENCODER_H
#define MDL_MODELS_ENCODER_H

#include "core/error.h"
#include "io/vision_config.h"
#include "kernels/backend.h"

typedef struct mdl_encoder mdl_encoder_t;

/* One state for images of one size. */
typedef struct {
    int64_t n_token;  /* rows an image: the class token where there is one, then the grid */
    int64_t n_prefix; /* rows that stand before the grid */
    int64_t height;   /* of the grid of patches, row by row */
    int64_t width;
    int64_t n_feat;
} mdl_encoder_shape_t;

/* What a forward pass is to compute; NULL: not wanted. The host's memory, owned by the caller. */
typedef struct {
    float **state; /* [n_state], each NULL or [n_image, n_token, n_feat]: the input of block (stage
                      of ConvNeXt) i, the last one the output of the last block */
    float *last;   /* [n_image, n_token, n_feat] as the reference calls it: the last state, after
                      the final norm in SigLIP, DINOv2, EVA-02 and InternViT without mean pooling */
    float *pooled; /* [n_image, n_feat]; InternViT has none */
} mdl_encoder_output_t;

/* Loads config.json and model.safetensors (or the shards of its index) from folder into backend's
 * memory, matrices as it keeps frozen ones. Freed by mdl_encoder_free. Not collective.
 * Returns MDL_E_MISSING, MDL_E_IO, MDL_E_INPUT (naming what is unknown, missing or of a wrong
 * shape) or MDL_E_MEMORY. */
int mdl_encoder_load(const mdl_backend_t *backend, const char *folder, mdl_encoder_t **encoder,
                     mdl_error_t *err);

/* NULL is allowed. */
void mdl_encoder_free(mdl_encoder_t *encoder);

/* Borrowed. */
const mdl_vision_config_t *mdl_encoder_config(const mdl_encoder_t *encoder);

/* Blocks (stages) plus 1. */
int64_t mdl_encoder_n_state(const mdl_encoder_t *encoder);

/* Blocks, those of all stages of ConvNeXt. */
int64_t mdl_encoder_n_block(const mdl_encoder_t *encoder);

/* 0 for a family whose reference has no pooled output. */
int mdl_encoder_has_pooled(const mdl_encoder_t *encoder);

/* The shape of a state for images of height x width pixels; the last state's is that of the last
 * output as well. Not collective. Returns MDL_E_INPUT for a size that the family can't take: CLIP,
 * SigLIP and EVA-02 take their own alone, DINOv2 and InternViT interpolate their positions. */
int mdl_encoder_shape(const mdl_encoder_t *encoder, int64_t state, int64_t height, int64_t width,
                      mdl_encoder_shape_t *shape, mdl_error_t *err);

/* Encodes pixel [n_image, 3, height, width] in the host's memory, already normalised; runs no
 * further than what is wanted. Not collective. Returns MDL_E_INPUT as mdl_encoder_shape, or
 * MDL_E_MEMORY. */
int mdl_encoder_forward(const mdl_encoder_t *encoder, const float *pixel, int64_t n_image,
                        int64_t height, int64_t width, const mdl_encoder_output_t *output,
                        mdl_error_t *err);

#endif
