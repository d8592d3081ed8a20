/* The part of a Hugging Face config.json that the decoder needs.
 *
 * A family (model_type) is read into what it changes: which norms there are, biases, fused layers,
 * activation, windows, rotary positions. Nothing that computes asks for the family's name. */
#ifndef MDL_IO_MODEL_CONFIG_H
#define MDL_IO_MODEL_CONFIG_H

#include "core/error.h"

#include <stdint.h>

enum { MDL_MAX_LAYER = 1024, MDL_MAX_HEAD_FEAT = 1024 };

typedef enum {
    MDL_ROPE_DEFAULT,
    MDL_ROPE_LINEAR,
    MDL_ROPE_LLAMA3,
    MDL_ROPE_LONGROPE
} mdl_rope_type_t;

typedef struct {
    mdl_rope_type_t type;
    double theta;               /* base of the frequencies */
    double factor;              /* linear: all, llama3: low frequencies are divided by it */
    double low_freq_factor;     /* llama3: waves longer than n_original_position / this are low */
    double high_freq_factor;    /* llama3: waves shorter than n_original_position / this stay */
    double n_original_position; /* llama3, longrope: context length before the scaling */
    double magnitude;           /* cosine and sine are multiplied by it; longrope: 1 or more */
    double short_factor[MDL_MAX_HEAD_FEAT / 2]; /* longrope: divides each frequency */
} mdl_rope_config_t;

typedef enum { MDL_ACTIVATION_SILU, MDL_ACTIVATION_GELU_TANH } mdl_activation_t;

typedef struct {
    char model_type[32];    /* llama, mistral, qwen2, phi3, gemma, gemma3_text */
    int64_t n_vocab;        /* vocab_size */
    int64_t n_feat;         /* hidden_size, "d" in comments */
    int64_t n_mlp_feat;     /* intermediate_size, "f" */
    int64_t n_layer;        /* num_hidden_layers */
    int64_t n_head;         /* num_attention_heads */
    int64_t n_kv_head;      /* num_key_value_heads; divides n_head */
    int64_t n_head_feat;    /* head_dim; even */
    int64_t n_max_position; /* max_position_embeddings; longrope: at most n_original_position */
    double norm_eps;        /* rms_norm_eps */
    int tied_head;          /* 1: the output head is the token embedding */
    int64_t bos_id, eos_id; /* the first one where the file lists several; -1: none */

    mdl_activation_t activation; /* of the gate in the MLP */
    int norm_from_one;           /* 1: norms multiply by 1 + weight */
    int embedding_scaled;        /* 1: token embeddings are multiplied by sqrt(d) */
    int qkv_biased;              /* 1: q_proj, k_proj and v_proj add a bias */
    int fused;                   /* 1: one qkv_proj and one gate_up_proj hold the layers' rows */
    int head_normed;             /* 1: each head of q and k is normed before it is rotated */
    int output_normed;           /* 1: the outputs of attention and MLP are normed, too */
    double query_scalar;         /* scores are divided by its square root; 0: n_head_feat */

    int64_t n_window;                /* positions that a local block sees, its own with them */
    uint8_t is_local[MDL_MAX_LAYER]; /* 1: the block sees n_window positions, by rope_local */
    mdl_rope_config_t rope;          /* of the blocks that see every position before */
    mdl_rope_config_t rope_local;    /* of the local blocks */
} mdl_model_config_t;

/* Reads and checks the config.json at path: sizes positive and bounded, heads divide, only what
 * the engine computes (model_type, activation, rope type, windows, biases) accepted; everything
 * else is refused by name. Not collective. Returns MDL_E_MISSING, MDL_E_IO or MDL_E_INPUT. */
int mdl_model_config_read(const char *path, mdl_model_config_t *config, mdl_error_t *err);

/* Number of weights of the decoder that config describes; for plans of memory and time. */
int64_t mdl_model_config_n_weight(const mdl_model_config_t *config);

#endif
