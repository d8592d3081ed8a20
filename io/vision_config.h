/* The part of a published config.json that a vision encoder needs: Hugging Face's keys, and timm's
 * for EVA-02. */
#ifndef MDL_IO_VISION_CONFIG_H
#define MDL_IO_VISION_CONFIG_H

#include "core/error.h"

#include <stdint.h>

enum { MDL_VISION_MAX_STAGE = 8 };

typedef enum {
    MDL_VISION_CLIP, /* and DFN-CLIP */
    MDL_VISION_SIGLIP,
    MDL_VISION_DINOV2,
    MDL_VISION_INTERNVIT,
    MDL_VISION_EVA02,
    MDL_VISION_CONVNEXT
} mdl_vision_family_t;

typedef enum { MDL_GELU, MDL_GELU_TANH, MDL_GELU_QUICK } mdl_vision_activation_t;

typedef struct {
    char model_type[32]; /* as the file calls the family */
    mdl_vision_family_t family;
    int64_t image_size; /* the side of the square images that it was trained on, in pixels */
    int64_t patch_size; /* the side of a patch, in pixels */
    mdl_vision_activation_t activation;
    double norm_eps;

    /* The vision transformers. */
    int64_t n_feat;      /* "d" in comments */
    int64_t n_mlp_feat;  /* "f" */
    int64_t n_layer;     /* blocks; stages of ConvNeXt */
    int64_t n_head;      /* divides n_feat */
    int qkv_bias;        /* 1: queries and values are biased; keys too unless EVA-02 */
    int gated_mlp;       /* 1: SwiGLU in place of the activation */
    int mlp_norm;        /* 1: a norm between the two layers of the MLP (EVA-02) */
    int attention_norm;  /* 1: a norm before the attention's last projection (EVA-02) */
    int pooling_head;    /* 1: attention pooling (SigLIP) */
    int last_norm;       /* 1: a norm after the last block */
    int64_t rope_height; /* EVA-02: the grid of patches that positions are scaled to */
    int64_t rope_width;

    /* ConvNeXt, for each of n_layer stages. */
    int64_t stage_feat[MDL_VISION_MAX_STAGE];
    int64_t stage_depth[MDL_VISION_MAX_STAGE];
    int layer_scale; /* 1: a factor for each feature of a block's output */
} mdl_vision_config_t;

/* Reads and checks the config.json at path, or its vision_config where it describes a pair of
 * encoders: sizes positive and bounded, heads divide, only what the engine computes accepted;
 * everything else is refused by name. Absent keys have the defaults of transformers 5.
 * Not collective. Returns MDL_E_MISSING, MDL_E_IO or MDL_E_INPUT. */
int mdl_vision_config_read(const char *path, mdl_vision_config_t *config, mdl_error_t *err);

/* 1 when the config.json at path describes a vision encoder that this engine knows, 0 for any other
 * file; tells which reader a folder needs. Not collective. */
int mdl_vision_config_known(const char *path);

#endif
