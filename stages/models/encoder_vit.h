/* The vision transformer that six of the families are (Dosovitskiy et al. 2021, arXiv 2010.11929).
 *
 *   x = patches of the image, projected; a class token before them; + positions; pre-norm
 *   for each block: x += scale1 * projection(attention(norm1(x)))
 *                   x += scale2 * down(activation(up(norm2(x))))
 *
 * A family has its own names of tensors (mdl_vit_layout_t) and leaves out what it has no name for;
 * mdl_vision_config_t tells the rest: SwiGLU and inner norms, biases, what follows the last block.
 * EVA-02 turns queries and keys by their place as well. */
#ifndef MDL_MODELS_ENCODER_VIT_H
#define MDL_MODELS_ENCODER_VIT_H

#include "models/affine.h"
#include "models/encoder.h"

typedef struct {
    mdl_affine_t norm1, qkv, attention_norm, projection; /* qkv [3 d, d] */
    mdl_affine_t norm2, up, mlp_norm, down; /* up [f, d], or gate and up one below the other */
    float *scale1, *scale2;                 /* [d] or NULL */
} mdl_vit_block_t;

/* Attention pooling of SigLIP: one learnt query looks at all tokens. */
typedef struct {
    float *probe; /* [d] */
    mdl_affine_t qkv, projection, norm, up, down;
} mdl_vit_head_t;

typedef struct {
    mdl_vision_config_t config;
    int has_class_token;
    const mdl_backend_t *backend;
    void *storage;         /* the backend's, all of the below in one allocation */
    mdl_affine_t patch;    /* [d, 3 * patch * patch] */
    float *class_token;    /* [d] */
    float *position;       /* [has_class_token + grid * grid, d] */
    float *cosine, *sine;  /* [grid * grid, d / n_head / 2] of EVA-02 */
    mdl_affine_t pre_norm; /* weight NULL: none */
    mdl_affine_t last_norm;
    mdl_vit_block_t *block; /* [n_layer] */
    mdl_vit_head_t head;
} mdl_vit_t;

/* How a family's checkpoints call their tensors, after what all names begin with. NULL: the family
 * has no such thing. */
typedef struct {
    mdl_vision_family_t family;
    const char *patch;
    int patch_biased;
    const char *class_token, *position;
    int n_leading; /* dimensions of length 1 before those of the positions */
    const char *pre_norm, *last_norm;

    const char *block; /* what stands before the number of a block; the rest follows it */
    const char *norm1;
    const char *qkv;                 /* one tensor, or */
    const char *query, *key, *value; /* three */
    int key_unbiased;
    const char *attention_norm, *projection, *scale1;
    const char *norm2, *up, *down, *scale2;
    const char *gate_up;                      /* SwiGLU: one tensor, or */
    const char *gate, *gated_up, *gated_down; /* two; and the second layer */
    const char *mlp_norm;

    const char *ignored[2]; /* tensors that no forward pass needs */
} mdl_vit_layout_t;

/* The layout of files: that of config's family whose names they have. prefix is set to what all
 * names begin with. Not collective. Returns MDL_E_INPUT. */
int mdl_vit_find_layout(const mdl_model_files_t *files, const char *folder,
                        const mdl_vision_config_t *config, const mdl_vit_layout_t **layout,
                        char prefix[MDL_TENSOR_NAME], mdl_error_t *err);

/* Reads the weights that config asks for; freed by mdl_vit_free. Not collective.
 * Returns MDL_E_INPUT or MDL_E_MEMORY. */
int mdl_vit_load(const mdl_backend_t *backend, const mdl_model_files_t *files, const char *folder,
                 const mdl_vision_config_t *config, mdl_vit_t **vit, mdl_error_t *err);

/* NULL is allowed. */
void mdl_vit_free(mdl_vit_t *vit);

/* As mdl_encoder_forward, for a size that was checked. */
int mdl_vit_forward(const mdl_vit_t *vit, const float *pixel, int64_t n_image, int64_t height,
                    int64_t width, const mdl_encoder_output_t *output, mdl_error_t *err);

#endif
