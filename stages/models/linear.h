/* The linear layers of a decoder block, by the names that checkpoints and LoRA targets use.
 * A decoder has either the separate layers or those that fuse them (config.fused). */
#ifndef MDL_MODELS_LINEAR_H
#define MDL_MODELS_LINEAR_H

#include "core/error.h"
#include "io/model_config.h"

#include <stdint.h>

typedef enum {
    MDL_LINEAR_Q,
    MDL_LINEAR_K,
    MDL_LINEAR_V,
    MDL_LINEAR_O,
    MDL_LINEAR_GATE,
    MDL_LINEAR_UP,
    MDL_LINEAR_DOWN,
    MDL_LINEAR_QKV,     /* rows of q, k and v */
    MDL_LINEAR_GATE_UP, /* rows of gate and up */
    MDL_N_LINEAR
} mdl_linear_t;

/* Layers of one group read the same input, so their products are computed in one call. */
typedef enum {
    MDL_GROUP_QKV,
    MDL_GROUP_O,
    MDL_GROUP_GATE_UP,
    MDL_GROUP_DOWN,
    MDL_N_GROUP
} mdl_linear_group_t;

/* The path inside the block: "self_attn.q_proj". */
const char *mdl_linear_path(mdl_linear_t linear);

/* Width of the layer's input and output. */
int64_t mdl_linear_n_in(const mdl_model_config_t *config, mdl_linear_t linear);
int64_t mdl_linear_n_out(const mdl_model_config_t *config, mdl_linear_t linear);

/* The layers of group are first, ..., last, in the order of mdl_linear_t. */
mdl_linear_t mdl_group_first(const mdl_model_config_t *config, mdl_linear_group_t group);
mdl_linear_t mdl_group_last(const mdl_model_config_t *config, mdl_linear_group_t group);

/* The set of bits 1u << mdl_linear_t of the layers that the decoder has. */
uint32_t mdl_linear_present(const mdl_model_config_t *config);

/* Sum of the output widths of the layers of group. */
int64_t mdl_group_n_out(const mdl_model_config_t *config, mdl_linear_group_t group);

/* Reads a list such as "q_proj,v_proj" ("all" for every layer) into a set of bits
 * 1u << mdl_linear_t; layers that a decoder doesn't have are no targets in it. Returns MDL_E_INPUT
 * naming the unknown word. Not collective. */
int mdl_linear_targets(const char *list, uint32_t *targets, mdl_error_t *err);

#endif
