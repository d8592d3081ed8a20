/* What is trained for a candidate: the projector and the LoRA matrices, as one flat array.
 *
 * Projector (two layers, exact GELU): visual = gelu(feature W1' + b1) W2' + b2.
 * LoRA (Hu et al. 2021, arXiv 2106.09685): y = x W' + alpha/r (x A') B'. */
#ifndef MDL_MODELS_ADAPTER_H
#define MDL_MODELS_ADAPTER_H

#include "core/error.h"
#include "io/model_config.h"
#include "kernels/backend.h"
#include "models/linear.h"

#include <stdint.h>

typedef struct {
    int64_t rank;     /* r; 0: no LoRA, the projector alone is trained */
    double alpha;     /* the LoRA product is scaled by alpha / rank */
    uint32_t targets; /* bits 1u << mdl_linear_t, see mdl_linear_targets */
} mdl_adapter_options_t;

/* One parameter tensor inside the flat array. */
typedef struct {
    char name[96];   /* projector.W1, lora.model.layers.0.self_attn.q_proj.lora_A.weight */
    int64_t offset;  /* of the first value in param and grad */
    int64_t n_value; /* product of dims */
    int n_dim;       /* 1 or 2 */
    int64_t dims[2];
    int64_t n_fan_in; /* starts uniform in +-1/sqrt(n_fan_in); 0: starts at zero */
} mdl_slice_t;

/* The LoRA matrices of one group of layers in one block; offsets into param and grad.
 * The A matrices of a group follow each other: together they are [n_target * r, n_in]. */
typedef struct {
    int n_target; /* layers of the group that have LoRA */
    mdl_linear_t linear[3];
    int64_t a;    /* offset of A, [n_target * r, n_in] */
    int64_t b[3]; /* offset of each layer's B, [n_out, r] */
} mdl_lora_group_t;

typedef struct {
    const mdl_backend_t *backend; /* whose memory param and grad are */
    int64_t n_param;
    float *param; /* [n_param] */
    float *grad;  /* [n_param] */
    int64_t n_slice;
    mdl_slice_t *slice; /* [n_slice], in the order of offset, without gaps */

    int64_t n_vision_feat; /* "dv" */
    int64_t n_feat;        /* d of the decoder */
    int64_t n_layer;
    int64_t rank;
    float lora_scale;       /* alpha / rank */
    int64_t w1, b1, w2, b2; /* offsets: W1 [d, dv], b1 [d], W2 [d, d], b2 [d] */
    mdl_lora_group_t *lora; /* [n_layer, MDL_N_GROUP] */
} mdl_adapter_t;

/* Makes the parameters on backend for a decoder of this config and features of n_vision_feat
 * numbers.
 * W1, b1, W2, b2 and A start as PyTorch's Linear does, uniform in +-1/sqrt(fan in), B at zero.
 * Every value is a function of (seed, slice, element) alone. grad starts at zero.
 * Freed by mdl_adapter_free. Not collective. Returns MDL_E_INPUT or MDL_E_MEMORY. */
int mdl_adapter_new(const mdl_backend_t *backend, const mdl_model_config_t *config,
                    int64_t n_vision_feat, const mdl_adapter_options_t *options, uint64_t seed,
                    mdl_adapter_t **adapter, mdl_error_t *err);

/* The number of parameters of such an adapter; for plans. */
int64_t mdl_adapter_n_param(const mdl_model_config_t *config, int64_t n_vision_feat,
                            const mdl_adapter_options_t *options);

/* NULL is allowed. */
void mdl_adapter_free(mdl_adapter_t *adapter);

/* The slice called name, or NULL. */
const mdl_slice_t *mdl_adapter_find(const mdl_adapter_t *adapter, const char *name);

#endif
